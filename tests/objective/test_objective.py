"""The objective by hand: images of four pixels, penalties that are plain numbers."""

import math
from dataclasses import replace

import pytest
import torch

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.io import build_model
from zoo.model.likelihoods import GaussianLikelihood
from zoo.objective.objective import Objective, step_on
from zoo.objective.terms.revive import Revive
from zoo.types import Code, SparseCode, Step

STD = 1 / math.sqrt(2 * math.pi)  # log std + log(2 pi) / 2 = 0, so that the nll is pi (x - raw)^2


@pytest.fixture
def model():
    return Autoencoder(
        torch.nn.Flatten(), Pointwise(4), torch.nn.Unflatten(1, (1, 2, 2)), GaussianLikelihood(STD), NoCorruption()
    )


@pytest.fixture
def x():
    return torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)


def step(raw, x, hidden=None, **penalties):
    code = Code(torch.zeros(len(raw), 4), torch.zeros(len(x), 4), {k: torch.tensor(v) for k, v in penalties.items()})
    return Step(code, raw, x, hidden)


def test_nll_is_summed_over_pixels_and_averaged_over_images(model, x):
    raw = torch.tensor([0.5, 1.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)  # 4 pixels off by 1/2, and a perfect image
    terms = Objective()(model, x, step(raw, x))
    assert terms.keys() == {"total", "nll"}
    assert terms["nll"].item() == pytest.approx(math.pi * 4 * 0.25 / 2)
    assert terms["total"].item() == terms["nll"].item()


def test_penalties_are_weighted_in_the_total_and_returned_unweighted(model, x):
    terms = Objective({"kl": 0.5, "off": 0.0})(model, x, step(x, x, kl=[1.0, 3.0], l1=[10.0, 20.0], off=[7.0, 7.0]))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"total": 0.5 * 2 + 15, "nll": 0, "kl": 2, "l1": 15, "off": 7}, abs=1e-6
    )


@pytest.mark.parametrize(
    ("warmup", "progress", "share"),
    [(0.0, 0.0, 1.0), (0.5, 0.0, 0.0), (0.5, 0.125, 0.25), (0.5, 0.5, 1.0), (0.5, 0.9, 1.0), (1.0, 0.75, 0.75)],
)
def test_warmup_weights_every_penalty_and_not_the_nll(model, x, warmup, progress, share):
    made = step(x + 1, x, kl=[4.0, 4.0])
    terms = Objective({"kl": 2.0}, warmup=warmup)(model, x, made, progress)
    assert terms["nll"].item() == pytest.approx(math.pi * 4)
    assert terms["kl"].item() == 4
    assert terms["total"].item() == pytest.approx(math.pi * 4 + share * 2 * 4)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_visible_pixels_have_their_weight_and_hidden_ones_one(model, x, weight):
    hidden = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).expand(2, 1, 2, 2)
    terms = Objective(visible_weight=weight)(model, x, step(x + 1, x, hidden))
    assert terms["nll"].item() == pytest.approx(math.pi * (1 + 3 * weight))


def test_without_a_corruption_every_pixel_has_weight_one(model, x):
    assert Objective(visible_weight=0.25)(model, x, step(x + 1, x))["nll"].item() == pytest.approx(math.pi * 4)


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_samples_are_averaged(model, x, weight):
    raw = torch.cat([x, x + 1, x + 2])  # three samples of each image, off by 0, 1 and 2
    hidden = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).expand(2, 1, 2, 2)
    made = step(raw, x, hidden, kl=[1.0, 1.0, 2.0, 2.0, 6.0, 6.0])
    terms = Objective(visible_weight=weight)(model, x, made)
    assert terms["nll"].item() == pytest.approx(math.pi * (1 + 3 * weight) * (0 + 1 + 4) / 3)
    assert terms["total"].item() == pytest.approx(terms["nll"].item() + 3, rel=1e-6)


def test_terms_receive_the_model_the_images_and_the_step(model, x):
    def decay(model, x, step):
        return {"decay": model.likelihood.std * x.flatten(1).sum(1) + step.raw.flatten(1).sum(1)}

    terms = Objective({"decay": 3.0}, terms=[decay])(model, x, step(x, x, kl=[1.0, 1.0]))
    expected = (STD * (0 + 4) + (0 + 4)) / 2
    assert terms["decay"].item() == pytest.approx(expected)
    assert terms["total"].item() == pytest.approx(3 * expected + 1)


@pytest.mark.parametrize(("progress", "excess"), [(0.0, 2.0), (0.1, 1.0), (0.25, 0.0), (0.5, 0.0), (1.0, 0.0)], ids=str)
def test_a_capacity_grows_and_only_what_exceeds_it_costs(model, x, progress, excess):
    objective = Objective({"kl": 10.0}, warmup=0.5, capacities={"kl": 5.0})
    terms = objective(model, x, step(x, x, kl=[1.0, 3.0]), progress)
    assert terms["kl"].item() == 2
    assert terms["total"].item() == pytest.approx(10 * excess, abs=1e-5)


@pytest.mark.parametrize("capacity", [2.0, 4.0])
def test_a_short_fit_holds_the_kl_below_its_capacity_and_uses_its_code(compose_job, fit_job, capacity):
    run = fit_job(compose_job("variant=annealed_vae", f"objective.capacities.kl={capacity}", "budget.epochs=15"))
    assert 0.8 * capacity < run.report.history["validation_kl"][-1] < capacity + 0.2
    mean_image = (run.data.test[:] - run.data.train[:].mean(0)).square().flatten(1).sum(1).mean().item()
    assert run.metrics["sse"]["value"] < 0.75 * mean_image


def test_importance_weights_by_hand(model, x):
    raw = torch.cat([x, x + 1, x + 2])  # three samples of each image, nll of 0, 4 pi and 16 pi
    kl = torch.tensor([[1.0, 2.0], [-9.0, 0.5], [-40.0, 3.0]])
    made = step(raw, x, kl=kl.flatten().tolist())
    losses = torch.tensor([0.0, 4 * math.pi, 16 * math.pi])[:, None] + kl
    terms = Objective(importance_weighted=True)(model, x, made)
    assert terms["total"].item() == pytest.approx(-(-losses).exp().mean(0).log().mean().item(), abs=1e-5)
    assert terms["total"] < Objective()(model, x, made)["total"]
    assert terms["nll"].item() == pytest.approx(math.pi * 20 / 3, rel=1e-6)


def test_one_importance_weight_is_the_elbo_in_value_and_gradient(x):
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 6))
    decoder = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Unflatten(1, (1, 2, 2)))
    vae = Autoencoder(
        encoder, DiagonalPosterior(3, closed_form=False), decoder, GaussianLikelihood(STD), NoCorruption()
    )
    found = []
    for weighted in (False, True):
        vae.zero_grad()
        total = Objective(importance_weighted=weighted)(vae, x, vae(x, torch.Generator().manual_seed(0)))["total"]
        total.backward()
        found.append([total, *(parameter.grad.clone() for parameter in vae.parameters())])
    for elbo, iwae in zip(*found, strict=True):
        torch.testing.assert_close(iwae, elbo)


def test_importance_weights_need_every_penalty_per_sample(model, x):
    with pytest.raises(ZooError, match="the penalty kl has no value for each of the 2 samples"):
        Objective(importance_weighted=True)(model, x, step(torch.cat([x, x]), x, kl=[1.0, 1.0]))


def test_a_weight_of_a_missing_penalty_is_refused(model, x):
    with pytest.raises(ZooError, match=r"\['beta'\], but this model's penalties are \['kl'\]; remove them"):
        Objective({"beta": 4.0})(model, x, step(x, x, kl=[1.0, 1.0]))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": {"kl": -1.0}}, r"objective\.weights\.kl=-1\.0"),
        ({"weights": {"kl": math.nan}}, r"objective\.weights\.kl=nan"),
        ({"weights": {"kl": math.inf}}, r"objective\.weights\.kl=inf"),
        ({"weights": {"kl": True}}, r"objective\.weights\.kl=True"),
        ({"visible_weight": -0.5}, r"objective\.visible_weight=-0\.5"),
        ({"visible_weight": math.inf}, r"objective\.visible_weight=inf"),
        ({"warmup": -0.1}, r"objective\.warmup=-0\.1"),
        ({"warmup": 5}, r"objective\.warmup=5: a fraction of the fit, must be from 0 to 1"),
        ({"warmup": math.nan}, r"objective\.warmup=nan"),
        ({"warmup": True}, r"objective\.warmup=True"),
        ({"capacities": {"kl": -1.0}}, r"objective\.capacities\.kl=-1\.0"),
        ({"capacities": {"kl": math.inf}}, r"objective\.capacities\.kl=inf"),
    ],
)
def test_a_number_out_of_range_is_refused(wrong, message):
    with pytest.raises(ZooError, match=message):
        Objective(**wrong)


@pytest.mark.parametrize("k", [0, -1, 1.5, True])
def test_revive_refuses_a_number_of_units_out_of_range(k):
    with pytest.raises(ZooError, match="k of revive"):
        Revive(k)


# What a step changes, and what it draws


@pytest.mark.parametrize("training", [True, False])
def test_a_likelihood_observes_the_reconstruction_once_per_training_step(x, training):
    seen = []

    class Observing(GaussianLikelihood):
        def observe(self, raw, x, weight=None):
            seen.append((raw, x, weight))

    flat = torch.nn.Flatten(), torch.nn.Unflatten(1, (1, 2, 2))
    model = Autoencoder(flat[0], Pointwise(4), flat[1], Observing(STD), NoCorruption()).train(training)
    hidden = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).expand(2, 1, 2, 2)
    raw = x + 1
    Objective(visible_weight=0.25)(model, x, step(raw, x, hidden))
    assert len(seen) == training
    for found in seen:
        assert found[0] is raw
        assert found[1] is x
        torch.testing.assert_close(found[2], 0.25 + 0.75 * hidden)


def test_the_variance_of_a_likelihood_is_that_of_reconstructions_and_not_of_residuals(compose_job):
    """`revive` and `gate` evaluate the likelihood of other outputs."""
    job = compose_job("variant=gated", "likelihood=optimal_gaussian", "likelihood.momentum=1.0")
    model = build_model(job.config, (1, 8, 8), seed=0)
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model.bottleneck.idle.fill_(10**6)  # most units are dead
    made = model(x, torch.Generator().manual_seed(0))
    made = replace(made, code=replace(made.code, dead=torch.ones_like(made.code.dead)))
    job.make("objective")(model, x, made)
    assert model.likelihood.variance.item() == pytest.approx((made.raw - x).square().mean().item(), rel=1e-5)


def test_the_losses_of_nested_codes_are_summed(model, x):
    raw = torch.cat([x, x + 1, x + 2])  # the full code and two of its prefixes
    code = SparseCode(torch.zeros(6, 4), torch.zeros(2, 4), h=torch.zeros(2, 4), dead=torch.zeros(4) > 0)
    terms = Objective()(model, x, Step(code, raw, x, None))
    assert terms["nll"].item() == terms["total"].item() == pytest.approx(math.pi * 4 * (0 + 1 + 4))


def test_terms_draw_from_the_generator_of_the_step(compose_job):
    """Equal generators give equal losses, however often the objective was called: validations are comparable."""
    for variant in ("wae_mmd", "info_vae"):
        job = compose_job(f"variant={variant}")
        model = build_model(job.config, (1, 8, 8), seed=0)
        images, objective = torch.rand(6, 1, 8, 8), job.make("objective")

        def total(model=model, images=images, objective=objective):
            return objective(model, images, step_on(model, images, torch.Generator().manual_seed(0), 6))["total"].item()

        assert total() == total()


def test_every_variant_trains_on_a_batch_of_one_image(compose_job, variant):
    job = compose_job(f"variant={variant}")
    model = build_model(job.config, (1, 8, 8), seed=0)
    x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    step = step_on(model, x, torch.Generator().manual_seed(0), 100)
    model.likelihood.observe(step.raw, x)
    terms = job.make("objective")(model, x, step, 0.5)
    assert all(value.isfinite() for value in terms.values())
    assert all(buffer.isfinite().all() for buffer in model.buffers() if buffer.is_floating_point())
    terms["total"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
