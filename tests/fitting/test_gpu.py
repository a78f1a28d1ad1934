"""Fits on a GPU: results, and recorded steps. Skipped without a GPU."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from zoo.fitting.gradient import Gradient
from zoo.fitting.replay import Replay, replayable
from zoo.fitting.stacked import fit_stacked, stackable
from zoo.model.io import build_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")

SHORT = ("trainer=gpu", "trainer.progress=false", "budget.epochs=6", "budget.batch_size=200")  # the last batch holds 93
EXACT = ("trainer.precision=32-true", "trainer.matmul=highest")

REPLAYED = {
    "annealed_vae",
    "bernoulli_vae",
    "beta_tc_vae",
    "beta_vae",
    "contractive_ae",
    "conv_ae",
    "conv_vae",
    "deep_ae",
    "deep_nested_dropout",
    "denoising_ae",
    "denoising_blind_ae",
    "denoising_conv_ae",
    "denoising_pixelate_ae",
    "denoising_salt_and_pepper_ae",
    "fsq",
    "gumbel_ae",
    "hierarchical_vae",
    "inpainting_ae",
    "iwae",
    "laplace_vae",
    "lfq",
    "linear_ae",
    "linear_ae_tied",
    "masking_dae",
    "matching_pursuit",
    "mixture_vae",
    "nested_dropout",
    "overcomplete_ae",
    "rae_l2",
    "residual_ae",
    "shallow_ae",
    "simmim",
    "vae",
    "vamp_vae",
}


@pytest.fixture
def parts(compose_job):
    """Overrides -> a fit, a fresh model, its objective and its data."""

    def made(*overrides, seed=0):
        job = compose_job(*SHORT, *overrides)
        data = job.make("data")
        return job.make("fit"), build_model(job.config, data.shape, seed), job.make("objective"), data

    return made


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def difference(one, other):
    return float((weights(one) - weights(other)).norm() / weights(other).norm())


def by_gradients(fit):
    """The fit; skips the test for closed forms, which take no steps and always use the CPU."""
    if not isinstance(fit, Gradient):
        pytest.skip("a closed form, which takes no steps and always uses the CPU")
    return fit


def test_every_variant_learns(parts, variant):
    fit, model, objective, data = parts(f"variant={variant}")
    history = by_gradients(fit)(model, data, objective, 0).history
    assert all(map(math.isfinite, history["train_nll"]))
    assert history["train_nll"][-1] < history["train_nll"][0]
    assert {parameter.device.type for parameter in model.parameters()} == {"cpu"}, "on the CPU after the fit"


@pytest.mark.parametrize("variant", ["linear_ae", "deep_ae", "conv_ae", "rae_l2", "topk", "batch_topk", "gated"])
def test_the_weights_equal_those_of_a_fit_on_the_cpu(parts, variant):
    fit, model, objective, data = parts(f"variant={variant}", *EXACT)
    _, twin, twins_objective, _ = parts(f"variant={variant}")
    fit(model, data, objective, 0)
    replace(fit, accelerator="cpu")(twin, data, twins_objective, 0)
    assert difference(model, twin) < 5e-3


# Recorded steps


def test_a_replayed_fit_equals_the_fit(parts, variant):
    """Also where a step draws noise, from the same state of the generators."""
    fitted, reports = [], []
    for replayed in ("true", "false"):
        fit, model, objective, data = parts(f"variant={variant}", *EXACT, f"trainer.replay={replayed}")
        reports.append(by_gradients(fit)(model, data, objective, 0))
        fitted.append(model)
    assert difference(*fitted) < 5e-3
    assert reports[0].history["train_total"] == pytest.approx(reports[1].history["train_total"], rel=1e-3, abs=1e-2)


def test_which_variants_are_replayed(parts, variant):
    fit, model, objective, data = parts(f"variant={variant}")
    state = {name: tensor.clone() for name, tensor in model.cuda().state_dict().items()}
    random = torch.cuda.get_rng_state()
    one_optimiser = type(fit) is Gradient  # those of adversarial fits were never recorded on a GPU
    found = one_optimiser and replayable(model, objective, data.train[:8].cuda())
    assert torch.equal(torch.cuda.get_rng_state(), random)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, state[name], rtol=0, atol=0, equal_nan=True)
    assert found == (variant in REPLAYED)


def test_a_recorded_step_reads_new_inputs_and_weights():
    weight = torch.ones(3, device="cuda", requires_grad=True)
    calls = []

    def step(x, progress):
        calls.append(len(x))
        return {"total": (x * weight).sum() * progress}

    replay = Replay(step, [weight])
    for i in range(8):
        x = torch.full((2, 3), float(i), device="cuda")
        total = float(weight.detach().sum()) * i * i
        assert replay(x, i / 2)["total"].item() == pytest.approx(total, rel=1e-5)
        torch.testing.assert_close(weight.grad, torch.full((3,), float(i * i), device="cuda"))
        with torch.no_grad():
            weight += 1
    assert len(calls) == 4, "three normal steps and one recording"
    replay(torch.ones(1, 3, device="cuda"), 1.0)
    assert calls[-1] == 1, "another shape needs another recording"


def test_steps_that_read_values_or_have_state_are_not_replayed(parts):
    _, model, objective, data = parts("variant=deep_ae")
    x = data.train[:8].cuda()
    model.cuda()

    class Reading:
        def __call__(self, *arguments):
            terms = objective(*arguments)
            return terms if terms["nll"].item() > 0 else {}

    class Stateful:
        calls = 0

        def __call__(self, *arguments):
            self.calls += 1
            return {name: value * self.calls for name, value in objective(*arguments).items()}

    assert replayable(model, objective, x)
    assert not replayable(model, Reading(), x)
    assert not replayable(model, Stateful(), x)


# Several seeds at once


@pytest.mark.parametrize("variant", ["linear_ae_tied", "deep_ae", "conv_ae", "rae_l2", "overcomplete_ae"])
@pytest.mark.parametrize("replayed", [True, False])
def test_stacked_fits_equal_single_fits(parts, variant, replayed):
    seeds = (0, 1, 5)
    made = [parts(f"variant={variant}", *EXACT, seed=seed) for seed in seeds]
    fit, _, objective, data = made[0]
    fit = replace(fit, replay=replayed)
    models, twins = [m[1] for m in made], [parts(f"variant={variant}", *EXACT, seed=seed)[1] for seed in seeds]
    assert stackable(fit, models, data, objective)
    reports = fit_stacked(fit, models, data, objective, seeds)
    for model, twin, seed, report in zip(models, twins, seeds, reports, strict=True):
        other = fit(twin, data, objective, seed)
        assert report.history["validation_total"] == pytest.approx(other.history["validation_total"], rel=1e-3)
        assert difference(model, twin) < 5e-3
