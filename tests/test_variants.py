"""The contract of a variant: whatever stands in conf/variant/ must pass all of this, on every axis it names."""

from __future__ import annotations

import random
from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch
import yaml
from hydra.utils import get_object
from torch import nn

from experiments.job import AXES
from experiments.models import build_model, load_model, make, save_model
from zoo.autoencoder import Autoencoder
from zoo.errors import ZooError
from zoo.evaluation.evaluator import evaluate
from zoo.fit.gradient import Gradient

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32)]


@pytest.fixture
def written(repository, variant):
    """{axis: what its yaml says}, read from the files themselves and not through Hydra."""

    def content(path):
        return yaml.safe_load((repository / "conf" / f"{path}.yaml").read_text())

    def chosen(path, prefix=""):
        for entry in content(path)["defaults"]:
            if isinstance(entry, dict):
                (group, option), *_ = entry.items()
                yield group.removeprefix(prefix), option

    def merged(axis, option):
        own = content(f"{axis}/{option}")
        parents = [parent for parent in own.pop("defaults", []) if parent != "_self_"]
        return {key: value for parent in parents for key, value in merged(axis, parent).items()} | own

    choices = dict(chosen("config")) | dict(chosen(f"variant/{variant}", "override /"))
    return {axis: merged(axis, choices[axis]) for axis in AXES if axis != "data"}


@pytest.fixture
def images():
    def batch(shape, n=5):
        return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))

    return batch


def weights_equal(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def settings(node):
    """The scalars that a yaml gives by value."""
    return {k: v for k, v in node.items() if k[0] != "_" and isinstance(v, int | float) and not isinstance(v, str)}


# What is built


def test_every_part_is_exactly_what_the_yaml_names(compose_job, variant, written):
    job = compose_job(f"variant={variant}")
    model = build_model(job.config, (1, 28, 28), seed=0)
    assert type(model) is Autoencoder
    for axis, node in written.items():
        target, made = get_object(node["_target_"]), make(job.axes[axis])
        builder = isinstance(made, partial)
        assert (made.func if builder else type(made)) is target, axis
        if isinstance(part := getattr(model, axis, made), nn.Module):
            assert type(part) is target, axis
        for name, value in settings(node).items():
            assert (made.keywords[name] if builder else getattr(made, name)) == value, f"{axis}.{name}"
    named = {get_object(written[axis]["activation"]["path"]) for axis in written if "activation" in written[axis]}
    assert {type(m) for m in model.modules() if type(m).__module__ == "torch.nn.modules.activation"} == named


def test_the_name_of_a_row_is_the_variants(compose_job, variant):
    job = compose_job(f"variant={variant}")
    assert (job.variant, job.data) == (variant, "digits")
    assert job.name.split()[0] == variant


# What goes in and out


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(compose_job, images, variant, shape):
    model = build_model(compose_job(f"variant={variant}").config, shape, seed=0)
    x = images(shape)
    z = model.encode(x)
    assert z.shape == (len(x), model.bottleneck.out_features)
    assert model.decode(z).shape == model.reconstruct(x).shape == x.shape
    step = model(x, torch.Generator().manual_seed(0))
    samples = len(step.code.z) // len(x)
    assert step.code.z.shape == (samples * len(x), model.bottleneck.out_features)
    assert step.raw.shape == (samples * len(x), model.likelihood.channels(shape[0]), *shape[1:])
    assert step.seen.shape == x.shape
    assert step.code.point.shape == z.shape
    for name, penalty in step.code.penalties.items():
        assert penalty.shape in ((len(x),), (samples * len(x),)), name
    if step.hidden is not None:
        assert step.hidden.expand_as(x).unique().tolist() in ([0, 1], [1])
    for tensor in (z, model.decode(z), step.code.z, step.raw, step.seen):
        assert tensor.dtype is torch.float32
        assert tensor.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_weight_has_a_finite_gradient(compose_job, images, variant, shape):
    job = compose_job(f"variant={variant}")
    model = build_model(job.config, shape, seed=0)
    x = images(shape)
    make(job.axes["objective"])(model, x, model(x, torch.Generator().manual_seed(0)))["total"].backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


def test_every_network_that_takes_the_bottleneck(compose_job, images, variant, network):
    job = compose_job(f"variant={variant}", f"network={network}")
    bottleneck = make(job.config["bottleneck"])()
    try:
        model = build_model(job.config, (1, 8, 8), seed=0)
    except ZooError as error:
        assert bottleneck.in_features != bottleneck.out_features, "only a mirrored network may refuse a bottleneck"
        refusal = str(error)
    else:
        refusal = None
    if refusal:
        assert f"network={network}" in refusal
        return
    x = images((1, 8, 8))
    assert model.encode(x).shape == (len(x), model.bottleneck.out_features)
    assert model.reconstruct(x).shape == x.shape
    terms = make(job.axes["objective"])(model, x, model(x, torch.Generator().manual_seed(0)))
    assert terms["total"].isfinite()


# What is random and what is not


def test_the_point_code_is_deterministic(compose_job, images, variant):
    model = build_model(compose_job(f"variant={variant}").config, (1, 8, 8), seed=0).eval()
    x = images((1, 8, 8))
    torch.manual_seed(1)
    first = model.encode(x)
    torch.manual_seed(2)
    assert torch.equal(model.encode(x), first)
    assert torch.allclose(model.encode(x[:1]), first[:1], atol=1e-5), "a code depends on the rest of its batch"


def test_a_pass_draws_from_its_generator_alone(compose_job, images, variant):
    model = build_model(compose_job(f"variant={variant}").config, (1, 8, 8), seed=0)
    x, state = images((1, 8, 8)), torch.get_rng_state()
    one, two = (model(x, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one.raw, two.raw)
    assert torch.equal(one.seen, two.seen)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_seed_gives_the_same_weights_and_scores_bit_for_bit_and_another_others(compose_job, fit_job, variant):
    job = compose_job(f"variant={variant}", "seed=7", "budget.epochs=2")
    first = fit_job(job)
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002 (a state that a library might read)
    state = torch.get_rng_state()
    second = fit_job(job)
    assert torch.equal(torch.get_rng_state(), state), "the fit used the global random state"
    assert weights_equal(first.model, second.model)
    assert first.metrics == second.metrics
    assert first.report.history == second.report.history

    other = fit_job(replace(job, seed=8))
    x = first.data.test[:]
    if isinstance(make(job.axes["fit"]), Gradient):
        assert other.metrics["mse"]["value"] != first.metrics["mse"]["value"]
    else:
        assert torch.allclose(other.model.reconstruct(x), first.model.reconstruct(x), atol=1e-4)
    assert torch.equal(other.data.test[:], x)
    assert torch.equal(other.data.validation[:], first.data.validation[:])


# What comes of it


def test_a_short_fit_beats_the_mean_image(fitted):
    mean_image = (fitted.data.test[:] - fitted.data.train[:].mean(0)).square().mean().item()
    assert fitted.metrics["mse"]["value"] < 0.8 * mean_image


def test_a_saved_model_gives_identical_outputs(fitted, tmp_path):
    model, x, path = fitted.model, fitted.data.test[:], tmp_path / "deeper" / "model.safetensors"
    save_model(path, model, fitted.job.config, fitted.data.shape, fitted.job.seed)
    loaded = load_model(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert not any(module.training for module in loaded.modules())
    assert weights_equal(model, loaded)
    z = model.encode(x)
    assert torch.equal(loaded.encode(x), z)
    assert torch.equal(loaded.decode(z), model.decode(z))
    assert torch.equal(loaded.reconstruct(x), model.reconstruct(x))
    one, other = (m(x, torch.Generator().manual_seed(5)) for m in (model, loaded))
    assert torch.equal(one.raw, other.raw)
    assert evaluate(loaded, fitted.data, ["reconstruction"], asdict(fitted.report)) == fitted.metrics


@pytest.mark.parametrize("left_in", [True, False], ids=["train", "eval"])
def test_scores_do_not_depend_on_the_mode_a_model_was_left_in(fitted, left_in):
    fitted.model.train(left_in)
    torch.manual_seed(int(left_in))
    again = evaluate(fitted.model, fitted.data, ["reconstruction"], asdict(fitted.report))
    assert again == fitted.metrics
    assert all(module.training is left_in for module in fitted.model.modules())
