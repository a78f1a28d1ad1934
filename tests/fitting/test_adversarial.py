"""The adversarial fit of small models to the digits: model and discriminator, each with its own optimiser."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from zoo.data.sources import digits
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.adversarial import Adversarial, AdversarialLoss, AdversarialModule
from zoo.fitting.discriminators import ImageDiscriminator, PermutationDiscriminator, PriorDiscriminator, permuted
from zoo.fitting.gradient import Gradient, initialise_from_data
from zoo.fitting.schedules import cosine
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.model.priors.mixture import MixturePrior
from zoo.objective.objective import Objective, step_on

DISCRIMINATORS = {
    "prior": partial(PriorDiscriminator, weight=1.0),
    "permutation": partial(PermutationDiscriminator, weight=1.0),
    "image": partial(ImageDiscriminator, weight=1.0, feature_weight=1.0),
}
STILL = 1e-50  # above 0, but 0 in float32: it changes no weight


@pytest.fixture(scope="module")
def data():
    return Splits(digits)


@pytest.fixture(params=DISCRIMINATORS)
def builder(request):
    return DISCRIMINATORS[request.param]


def model(bottleneck=DiagonalPosterior):
    return build((1, 8, 8), linear, lambda: bottleneck(4), GaussianLikelihood(), NoCorruption(), seed=0)


def sgd(lr):
    return partial(torch.optim.SGD, lr=lr)


class Kept:
    """Builds discriminators and keeps the last one with its initial weights."""

    def __init__(self, builder):
        self.builder = builder

    def __call__(self, model, shape):
        self.made = self.builder(model, shape)
        self.before = flat(self.made)
        return self.made


def flat(module):
    return torch.cat([parameter.detach().flatten().clone() for parameter in module.parameters()])


def fit(discriminator, optimizer=sgd(1e-4), discriminator_optimizer=sgd(1e-2), **settings):  # noqa: B008 (partials are not changed)
    settings = {"epochs": 1, "batch_size": 400, "progress": False, "matmul": "highest"} | settings
    optimizers = {"optimizer": optimizer, "discriminator_optimizer": discriminator_optimizer}
    return Adversarial(discriminator=discriminator, **optimizers, **settings)


def test_each_optimiser_changes_the_weights_of_its_own_module(data, builder):
    for rate, discriminator_rate in ((1e-4, STILL), (STILL, 1e-2)):
        fitted, kept = model(), Kept(builder)
        initialise_from_data(fitted, data)
        before = flat(fitted)
        fit(kept, sgd(rate), sgd(discriminator_rate))(fitted, data, Objective(), seed=0)
        assert torch.equal(flat(fitted), before) == (rate == STILL)
        assert torch.equal(flat(kept.made), kept.before) == (discriminator_rate == STILL)


def test_the_discriminators_loss_has_gradients_for_its_own_weights_only(data, builder):
    fitted = model()
    discriminator = builder(fitted, data.shape)
    x, g = data.train[:32], torch.Generator().manual_seed(0)
    loss = discriminator.loss(fitted, x, step_on(fitted, x, g, None))
    loss.backward()
    assert all(parameter.grad is None for parameter in fitted.parameters())
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


def test_a_step_uses_both_gradients_at_the_same_weights(data):
    """One step over all images, against the two gradients by hand."""
    fitted, by_hand = model(Pointwise), model(Pointwise)
    initialise_from_data(by_hand, data)
    kept = Kept(DISCRIMINATORS["prior"])
    fit(kept, batch_size=10_000)(fitted, data, Objective(), seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        discriminator = DISCRIMINATORS["prior"](by_hand, data.shape)
    assert torch.equal(flat(discriminator), kept.before)
    x = data.train[:]
    z = by_hand.encode(x)
    total = by_hand.likelihood.nll(by_hand.decoder(z), x).mean() + F.softplus(-discriminator.network(z)).mean()
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(total, list(by_hand.parameters()))])
    torch.testing.assert_close(flat(fitted), flat(by_hand) - 1e-4 * gradient, rtol=1e-4, atol=1e-6)
    prior = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    loss = F.softplus(-discriminator.network(prior)).mean() + F.softplus(discriminator.network(z.detach())).mean()
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(discriminator.parameters()))])
    torch.testing.assert_close(flat(kept.made), flat(discriminator) - 1e-2 * gradient, rtol=1e-4, atol=1e-6)


def test_clips_the_gradient_of_each_optimiser(data):
    def moved(clip):
        fitted, kept = model(), Kept(DISCRIMINATORS["prior"])
        initialise_from_data(fitted, data)
        before = flat(fitted)
        fit(kept, batch_size=10_000, clip=clip)(fitted, data, Objective(), seed=0)
        return (flat(fitted) - before).norm().item(), (flat(kept.made) - kept.before).norm().item()

    free, clipped = moved(None), moved(0.01)
    assert clipped == pytest.approx((1e-4 * 0.01, 1e-2 * 0.01), rel=0.05)
    assert free[0] > 10 * clipped[0]
    assert free[1] > 10 * clipped[1]


def test_both_rates_follow_the_schedule(data):
    rates = []

    def noted(name):
        def build(parameters):
            optimizer = torch.optim.SGD(parameters, lr={"model": 1e-4, "discriminator": 1e-2}[name])
            optimizer.register_step_pre_hook(lambda o, *_: rates.append((name, o.param_groups[0]["lr"])))
            return optimizer

        return build

    optimizers = noted("model"), noted("discriminator")
    fit(DISCRIMINATORS["prior"], *optimizers, schedule=cosine, epochs=5)(model(), data, Objective(), seed=0)
    of_model, of_discriminator = ([rate for who, rate in rates if who == name] for name in ("model", "discriminator"))
    assert of_model[-1] < 0.1 * of_model[0]
    assert of_discriminator == pytest.approx([100 * rate for rate in of_model])


def test_the_weights_are_those_of_the_last_validation(data):
    """Its penalties are not comparable between epochs, and the objective alone is not what is minimised."""
    prior = partial(PriorDiscriminator, weight=300.0)
    adam = partial(torch.optim.Adam, lr=1e-2)
    report = fit(prior, adam, adam, epochs=9, validate_every=2)(model(Pointwise), data, Objective(), seed=0)
    nll = report.history["validation_nll"]
    assert nll.index(min(nll)) != len(nll) - 1, "the test needs an objective that gets worse"
    assert report.best_epoch == 8


def test_the_total_is_the_models_loss(data, builder):
    history = fit(builder)(model(), data, Objective(), seed=0).history
    parts = sum(values[0] for name, values in history.items() if name.startswith("train_"))
    parts -= history["train_total"][0] + history["train_discriminator"][0]
    assert history["train_total"][0] == pytest.approx(parts, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 3}, r"^fit\.patience=3: .* not comparable; remove it$"),
        ({"discriminator_optimizer": sgd(-1.0)}, r"^fit\.discriminator_optimizer: Invalid learning rate"),
        ({"discriminator_optimizer": sgd(0.0)}, r"^fit\.discriminator_optimizer\.lr=0\.0: must be greater than 0"),
    ],
)
def test_settings_that_an_adversarial_fit_cannot_use_are_refused(settings, message):
    with pytest.raises(ZooError, match=message):
        fit(DISCRIMINATORS["prior"], **settings)


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (partial(PriorDiscriminator, weight=-1.0), r"fit\.discriminator\.weight=-1\.0"),
        (partial(PriorDiscriminator, weight=float("nan")), r"fit\.discriminator\.weight=nan"),
        (partial(PriorDiscriminator, weight=1.0, hidden=[0]), r"fit\.discriminator\.hidden=\[0\]"),
        (partial(PermutationDiscriminator, weight=float("inf")), r"fit\.discriminator\.weight=inf"),
        (partial(ImageDiscriminator, weight=1.0, feature_weight=-1.0), r"fit\.discriminator\.feature_weight=-1\.0"),
        (partial(ImageDiscriminator, weight=1.0, feature_weight=1.0, filters=[True]), r"filters=\[True\]"),
    ],
)
def test_a_number_of_a_discriminator_out_of_range_is_refused(builder, message):
    with pytest.raises(ZooError, match=message):
        builder(model(), (1, 8, 8))


def test_with_weight_zero_the_fit_equals_the_gradient_fit(data):
    plain, fitted = model(Pointwise), model(Pointwise)
    settings = {"epochs": 3, "batch_size": 400, "progress": False, "matmul": "highest", "clip": 2.0}
    Gradient(sgd(1e-3), **settings)(plain, data, Objective(), seed=0)
    fit(partial(PriorDiscriminator, weight=0.0), sgd(1e-3), **settings)(fitted, data, Objective(), seed=0)
    torch.testing.assert_close(flat(fitted), flat(plain), rtol=1e-5, atol=1e-6)


def test_progress_goes_from_zero_to_one(data):
    class Watched(Objective):
        def __call__(self, model, x, step, progress=1.0):
            (seen if torch.is_grad_enabled() else validated).append(progress)
            return super().__call__(model, x, step, progress)

    seen, validated = [], []
    fit(DISCRIMINATORS["prior"], epochs=4, batch_size=647)(model(), data, Watched(), seed=0)
    steps = len(seen)
    assert seen == pytest.approx([step / steps for step in range(steps)])
    assert validated == [1.0] * 4


def test_history_holds_the_terms_of_model_and_discriminator(data, builder):
    history = fit(builder, epochs=2)(model(), data, Objective(), seed=0).history
    assert {"train_discriminator", "validation_discriminator", "train_total", "validation_nll"} <= history.keys()
    assert {len(values) for values in history.values()} == {2}


def test_codes_approach_the_prior(data):
    """Codes that start far from N(0, I) approach it, for which there is no other term."""

    def distance(weight):
        fitted = model(Pointwise)
        with torch.no_grad():
            fitted.encoder[1].bias.fill_(3.0)
        adam = partial(torch.optim.Adam, lr=5e-3)
        fit(partial(PriorDiscriminator, weight=weight), adam, adam, epochs=30, batch_size=100)(
            fitted, data, Objective(), seed=0
        )
        z = fitted.encode(data.train[:]).detach()
        return (z.mean(0).norm() + (z.T.cov() - torch.eye(4)).norm()).item()

    assert distance(20.0) < 0.75 * distance(0.0)


def test_permuted_keeps_the_values_of_each_unit_and_removes_correlations():
    z = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).expand(-1, 3)
    shuffled = permuted(z, torch.Generator().manual_seed(1))
    assert torch.equal(shuffled.sort(0).values, z.sort(0).values)
    assert (shuffled.T.corrcoef() - torch.eye(3)).abs().max() < 0.2


def test_the_estimated_total_correlation_is_that_of_the_formula(data):
    """-1/2 log(1 - r^2) nats for two correlated units among four, and zero for independent ones."""

    def estimate(correlated):
        g = torch.Generator().manual_seed(0)
        discriminator = PermutationDiscriminator(model(), data.shape, weight=1.0)
        optimizer = torch.optim.Adam(discriminator.parameters(), lr=3e-3)

        def drawn():
            z = torch.randn(256, 4, generator=g)
            return torch.cat([z[:, :3], 0.8 * z[:, :1] + 0.6 * z[:, 3:]], 1) if correlated else z

        for _ in range(300):
            z = drawn()
            loss = (
                F.softplus(-discriminator.network(z)).mean() + F.softplus(discriminator.network(permuted(z, g))).mean()
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return discriminator.network(torch.cat([drawn() for _ in range(40)])).mean().item()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert estimate(correlated=True) == pytest.approx(0.51, abs=0.2)  # -log(1 - 0.8^2) / 2
        assert estimate(correlated=False) == pytest.approx(0.0, abs=0.1)


def test_discriminators_of_images_need_a_prior(data):
    with pytest.raises(ZooError, match=r"fit=adversarial_image needs samples .* choose bottleneck=gaussian_posterior"):
        fit(DISCRIMINATORS["image"])(model(Pointwise), data, Objective(), seed=0)


def test_discriminators_of_images_need_one_reconstruction_of_an_image(data):
    several = partial(DiagonalPosterior, samples=2)
    with pytest.raises(ZooError, match=r"^fit=adversarial_image .* gives 2; set bottleneck\.samples=1"):
        fit(DISCRIMINATORS["image"])(model(several), data, Objective(), seed=0)


@pytest.mark.parametrize("kind", ["prior", "image"])
def test_the_prior_is_that_of_the_bottleneck_and_is_not_fitted_to_the_discriminator(data, kind):
    """With draws from the prior as codes, true and false are the same; a mixture's own weights get no gradient."""
    fitted = model(partial(DiagonalPosterior, prior=MixturePrior))
    with torch.no_grad():
        fitted.bottleneck.prior.mean += 5
    discriminator, x = DISCRIMINATORS[kind](fitted, data.shape), data.train[:32]
    step = step_on(fitted, x, torch.Generator().manual_seed(0), None)
    if kind == "prior":
        drawn = fitted.bottleneck.sample(len(x), torch.Generator().manual_seed(0)).detach()
        step = replace(step, code=replace(step.code, z=drawn), generator=torch.Generator().manual_seed(0))
        logits = discriminator.network(drawn)
        expected = F.softplus(-logits).mean() + F.softplus(logits).mean()
        torch.testing.assert_close(discriminator.loss(fitted, x, step), expected)
    step = step_on(fitted, x, torch.Generator().manual_seed(0), None)
    adversarial = discriminator.penalties(fitted, x, step)["adversarial"]
    gradients = torch.autograd.grad(adversarial, list(fitted.bottleneck.prior.parameters()), allow_unused=True)
    assert gradients == (None, None, None)


@pytest.mark.parametrize("replay", [True, False])
def test_the_setting_of_replay_reaches_the_steps(replay):
    adversarial = fit(DISCRIMINATORS["image"], replay=replay)
    discriminator = DISCRIMINATORS["image"](model(), (1, 8, 8))
    assert AdversarialModule(model(), Objective(), adversarial, discriminator, 0)._may_replay == replay


def test_a_batch_of_one_image(builder):
    """The last batch of an epoch may hold one."""
    small, x = model(), torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    loss = AdversarialLoss(Objective(), builder(small, (1, 8, 8)))
    terms = loss(small, x, step_on(small, x, torch.Generator().manual_seed(0), 10), 0.5)
    terms["total"].backward()
    assert all(term.isfinite() for term in terms.values())
    for part in (small, loss.discriminator):
        assert all(p.grad.isfinite().all() for p in part.parameters() if p.grad is not None)


def test_augmentation_applies_to_both(data):
    """The discriminator and the model receive the augmented images, as in the gradient fit."""
    seen = []

    def darker(x, generator):
        seen.append(len(x))
        return x / 2

    def history(**settings):
        return fit(DISCRIMINATORS["image"], sgd(STILL), sgd(STILL), **settings)(
            model(), data, Objective(), seed=0
        ).history

    plain, augmented = history(), history(augment=darker)
    assert sum(seen) == len(data.train)
    assert plain["train_total"] != augmented["train_total"]
    assert plain["train_discriminator"] != augmented["train_discriminator"]
    assert plain["validation_total"] == augmented["validation_total"]
