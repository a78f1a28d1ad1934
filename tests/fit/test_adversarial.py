"""The adversarial fit, on the real digits with small models: two players, each with its own weights."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn import functional as F

from zoo.autoencoder import build
from zoo.bottlenecks.dense import Dense
from zoo.bottlenecks.diagonal import Diagonal
from zoo.corruption import Clean
from zoo.data.datamodule import ImageData
from zoo.data.sources import digits
from zoo.errors import ZooError
from zoo.fit.adversarial import Adversarial
from zoo.fit.discriminators import ImageDiscriminator, PermutationDiscriminator, PriorDiscriminator, permuted
from zoo.fit.gradient import Gradient
from zoo.likelihood import Gaussian
from zoo.networks.linear import linear
from zoo.objective import Objective

DISCRIMINATORS = {
    "prior": partial(PriorDiscriminator, weight=1.0),
    "permutation": partial(PermutationDiscriminator, weight=1.0),
    "image": partial(ImageDiscriminator, weight=1.0, feature_weight=1.0),
}


@pytest.fixture(scope="module")
def data():
    return ImageData(digits)


@pytest.fixture(params=DISCRIMINATORS)
def builder(request):
    return DISCRIMINATORS[request.param]


def model(bottleneck=Diagonal):
    return build((1, 8, 8), linear, lambda: bottleneck(4), Gaussian(), Clean(), seed=0)


def sgd(lr):
    return partial(torch.optim.SGD, lr=lr)


class Kept:
    """Builds discriminators and keeps them with their first weights."""

    def __init__(self, builder):
        self.builder = builder

    def __call__(self, model, shape):
        self.made = self.builder(model, shape)
        self.before = flat(self.made)
        return self.made


def flat(module):
    return torch.cat([parameter.detach().flatten().clone() for parameter in module.parameters()])


def fit(discriminator, ours=sgd(1e-4), theirs=sgd(1e-2), **settings):  # noqa: B008 (partials are not changed)
    settings = {"epochs": 1, "batch_size": 400, "progress": False, "matmul": "highest"} | settings
    return Adversarial(optimizer=ours, discriminator=discriminator, discriminator_optimizer=theirs, **settings)


def test_no_player_moves_the_others_weights(data, builder):
    for ours, theirs in ((1e-4, 0.0), (0.0, 1e-2)):
        fitted, kept = model(), Kept(builder)
        before = flat(fitted)
        fit(kept, sgd(ours), sgd(theirs))(fitted, data, Objective(), seed=0)
        assert torch.equal(flat(fitted), before) == (ours == 0)
        assert torch.equal(flat(kept.made), kept.before) == (theirs == 0)


def test_losses_have_gradients_for_one_player_each(data, builder):
    fitted = model()
    discriminator = builder(fitted, data.shape)
    x, g = data.train[:32], torch.Generator().manual_seed(0)
    loss = discriminator.loss(fitted, x, fitted(x, g), g)
    loss.backward()
    assert all(parameter.grad is None for parameter in fitted.parameters())
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


def test_a_step_is_made_of_both_players_gradients_at_the_same_place(data):
    """One step over all images, against the two gradients by hand."""
    fitted, by_hand = model(Dense), model(Dense)
    kept = Kept(DISCRIMINATORS["prior"])
    fit(kept, batch_size=10_000)(fitted, data, Objective(), seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        judge = DISCRIMINATORS["prior"](by_hand, data.shape)
    assert torch.equal(flat(judge), kept.before)
    x = data.train[:]
    z = by_hand.encode(x)
    total = by_hand.likelihood.nll(by_hand.decoder(z), x).mean() + F.softplus(-judge.network(z)).mean()
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(total, list(by_hand.parameters()))])
    torch.testing.assert_close(flat(fitted), flat(by_hand) - 1e-4 * gradient, rtol=1e-4, atol=1e-6)
    prior = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    loss = F.softplus(-judge.network(prior)).mean() + F.softplus(judge.network(z.detach())).mean()
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(judge.parameters()))])
    torch.testing.assert_close(flat(kept.made), flat(judge) - 1e-2 * gradient, rtol=1e-4, atol=1e-6)


def test_a_discriminator_that_counts_for_nothing_leaves_the_gradient_fit(data):
    plain, fitted = model(Dense), model(Dense)
    settings = {"epochs": 3, "batch_size": 400, "progress": False, "matmul": "highest", "clip": 2.0}
    Gradient(sgd(1e-3), **settings)(plain, data, Objective(), seed=0)
    fit(partial(PriorDiscriminator, weight=0.0), sgd(1e-3), **settings)(fitted, data, Objective(), seed=0)
    torch.testing.assert_close(flat(fitted), flat(plain), rtol=1e-5, atol=1e-6)


def test_progress_goes_from_nothing_to_all(data):
    class Watched(Objective):
        def __call__(self, model, x, step, progress=1.0):
            (seen if torch.is_grad_enabled() else validated).append(progress)
            return super().__call__(model, x, step, progress)

    seen, validated = [], []
    fit(DISCRIMINATORS["prior"], epochs=4, batch_size=647)(model(), data, Watched(), seed=0)
    steps = len(seen)
    assert seen == pytest.approx([step / steps for step in range(steps)])
    assert validated == [1.0] * 4


def test_history_holds_both_players(data, builder):
    history = fit(builder, epochs=2)(model(), data, Objective(), seed=0).history
    assert {"train_discriminator", "validation_discriminator", "train_total", "validation_nll"} <= history.keys()
    assert {len(values) for values in history.values()} == {2}


def test_codes_come_nearer_to_the_prior(data):
    """Codes that start far from N(0, I) are drawn there, which no other term asks for."""

    def distance(weight):
        fitted = model(Dense)
        with torch.no_grad():
            fitted.encoder[1].bias.fill_(3.0)
        adam = partial(torch.optim.Adam, lr=5e-3)
        fit(partial(PriorDiscriminator, weight=weight), adam, adam, epochs=30, batch_size=100)(
            fitted, data, Objective(), seed=0
        )
        z = fitted.encode(data.train[:]).detach()
        return (z.mean(0).norm() + (z.T.cov() - torch.eye(4)).norm()).item()

    assert distance(30.0) < 0.5 * distance(0.0)


def test_permuted_keeps_each_units_values_and_unties_them():
    z = torch.randn(500, 1, generator=torch.Generator().manual_seed(0)).expand(-1, 3)
    shuffled = permuted(z, torch.Generator().manual_seed(1))
    assert torch.equal(shuffled.sort(0).values, z.sort(0).values)
    assert (shuffled.T.corrcoef() - torch.eye(3)).abs().max() < 0.2


def test_permutations_are_told_from_codes_that_hang_together(data):
    """The estimate of the total correlation is positive for tied units, and zero for independent ones."""

    def estimate(tied):
        g = torch.Generator().manual_seed(0)
        judge = PermutationDiscriminator(model(), data.shape, weight=1.0)
        optimizer = torch.optim.Adam(judge.parameters(), lr=3e-3)

        def drawn():
            z = torch.randn(256, 4, generator=g)
            return torch.cat([z[:, :3], 0.8 * z[:, :1] + 0.6 * z[:, 3:]], 1) if tied else z

        for _ in range(300):
            z = drawn()
            loss = F.softplus(-judge.network(z)).mean() + F.softplus(judge.network(permuted(z, g))).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return judge.network(torch.cat([drawn() for _ in range(40)])).mean().item()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert estimate(tied=True) == pytest.approx(0.51, abs=0.2)  # -log(1 - 0.8^2) / 2
        assert estimate(tied=False) == pytest.approx(0.0, abs=0.1)


def test_images_are_judged_where_there_is_a_prior(data):
    with pytest.raises(ZooError, match="choose bottleneck=diagonal"):
        fit(DISCRIMINATORS["image"])(model(Dense), data, Objective(), seed=0)
