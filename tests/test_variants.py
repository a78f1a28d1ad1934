"""The contract of a variant: every option in conf/variant/ passes these tests, on every axis that it chooses."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from zoo.errors import ZooError
from zoo.evaluation.evaluator import evaluate, in_groups
from zoo.model.activations import ACTIVATIONS
from zoo.model.autoencoder import Autoencoder
from zoo.model.io import build_model, load_model, save_model
from zoo.runs.job import AXES

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32)]
CONF = Path(__file__).parents[1] / "conf"


def content(path):
    """An option file as it is, read without Hydra and without `zoo.options`."""
    return yaml.safe_load((CONF / f"{path}.yaml").read_text())


def choices(variant):
    """{axis: option} of a variant, and of its data set."""

    def chosen(path, prefix=""):
        for entry in content(path).get("defaults", ()):
            if isinstance(entry, dict):
                (axis, option), *_ = entry.items()
                yield axis.removeprefix(prefix), option

    general, own = dict(chosen("config")), dict(chosen(f"variant/{variant}", "override /"))
    data = (general | own)["data"]
    return general | dict(chosen(f"data/{data}", "override /")) | own


def merged(axis, option):
    """An option file with the files that it extends."""
    own = content(f"{axis}/{option}")
    parents = [parent for parent in own.pop("defaults", []) if parent != "_self_"]
    return {key: value for parent in parents for key, value in merged(axis, parent).items()} | own


def target(node):
    """The class or function that an option file names."""
    module, _, name = node["_target_"].rpartition(".")
    return getattr(import_module(module), name)


def scalars(node):
    """The settings of an option file that are numbers or booleans."""
    return {k: v for k, v in node.items() if k[0] != "_" and isinstance(v, int | float) and not isinstance(v, str)}


@pytest.fixture(scope="session")
def job(compose_job, variant):
    return compose_job(f"variant={variant}")


@pytest.fixture
def images():
    def batch(shape, n=5):
        return torch.rand(n, *shape, generator=torch.Generator().manual_seed(0))

    return batch


def weights_equal(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# The parts


def test_every_part_is_exactly_that_of_its_option_file(job, variant):
    chosen = choices(variant)
    files = {axis: merged(axis, chosen[axis]) for axis in AXES if axis != "data"}
    model = build_model(job.config, (1, 28, 28), seed=0)
    assert type(model) is Autoencoder
    for axis, node in files.items():
        part = job.make(axis)
        builder = isinstance(part, partial)
        assert (part.func if builder else type(part)) is target(node), axis
        if isinstance(built := getattr(model, axis, part), nn.Module):
            assert type(built) is target(node), axis
        for name, value in scalars(node).items():
            assert (part.keywords[name] if builder else getattr(part, name)) == value, f"{axis}.{name}"
    if "prior" in files["bottleneck"]:
        assert type(model.bottleneck.prior) is target(merged("prior", chosen["prior"]))
    named = {ACTIVATIONS[node["activation"]] for node in files.values() if "activation" in node} - {nn.Identity}
    assert {type(m) for m in model.modules()} & set(ACTIVATIONS.values()) - {nn.Identity} == named


def test_the_name_of_a_row_is_the_variants(job, variant):
    assert (job.variant, job.data.partition("-")[0]) == (variant, choices(variant)["data"])
    assert job.name.split()[0] == variant


# Shapes and gradients


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(job, images, shape):
    model = build_model(job.config, shape, seed=0)
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
def test_every_weight_has_a_finite_gradient(job, images, shape):
    model = build_model(job.config, shape, seed=0)
    x = images(shape)
    job.make("objective")(model, x, model(x, torch.Generator().manual_seed(0)))["total"].backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name


def combinations():
    """One variant for every combination of what may depend on the network: bottleneck, prior, terms, masks."""
    found = {}
    for path in sorted((CONF / "variant").glob("*.yaml")):
        chosen = choices(path.stem)
        objective = merged("objective", chosen["objective"])
        terms = tuple(term["_target_"] for term in objective["terms"]), objective["importance_weighted"]
        masks = target(merged("corruption", chosen["corruption"])).masks and chosen["corruption"]
        found.setdefault((chosen["bottleneck"], chosen["prior"], terms, masks), path.stem)
    return sorted(found.values())


@pytest.fixture(scope="module", params=combinations())
def combination(request, compose_job):
    return compose_job(f"variant={request.param}")


@pytest.fixture(scope="module")
def networks(compose_job):
    short = {"nonnegative": ["network.sweeps=2"]}  # each sweep takes a step for each of a thousand units
    stems = [path.stem for path in (CONF / "network").glob("*")]
    return {stem: compose_job(f"network={stem}", *short.get(stem, [])).config["network"] for stem in stems}


def test_every_bottleneck_and_its_terms_work_with_every_network(combination, networks, network, images):
    config = combination.config | {"network": networks[network]}
    bottleneck = combination.make("bottleneck")()
    try:
        model = build_model(config, (1, 8, 8), seed=0)
    except ZooError as error:
        assert bottleneck.in_features != bottleneck.out_features, "only networks with shared weights may refuse"
        refusal = str(error)
    else:
        refusal = None
    if refusal:
        assert f"network={network}" in refusal
        return
    x = images((1, 8, 8))
    assert model.encode(x).shape == (len(x), model.bottleneck.out_features)
    assert model.reconstruct(x).shape == x.shape
    objective, step = combination.make("objective"), model(x, torch.Generator().manual_seed(0))
    if network == "nonnegative" and "contractive" in objective.weights:
        with pytest.raises(ZooError, match="contractive: the encoder has no gradient"):
            objective(model, x, step)
        return
    assert objective(model, x, step)["total"].isfinite()


# Randomness


def test_the_deterministic_code_is_deterministic(job, images):
    model = build_model(job.config, (1, 8, 8), seed=0).eval()
    x = images((1, 8, 8))
    torch.manual_seed(1)
    first = model.encode(x)
    torch.manual_seed(2)
    assert torch.equal(model.encode(x), first)
    assert torch.allclose(model.encode(x[:1]), first[:1], atol=1e-5), "a code depends on the rest of its batch"


def test_a_forward_pass_draws_from_its_generator_only(job, images):
    model = build_model(job.config, (1, 8, 8), seed=0)
    x, state = images((1, 8, 8)), torch.get_rng_state()
    one, two = (model(x, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one.raw, two.raw)
    assert torch.equal(one.seen, two.seen)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_seed_determines_weights_and_scores_bit_for_bit_and_another_seed_gives_others(small_job, fit_job):
    axes = deepcopy(small_job.axes)
    if small_job.data == "digits":
        axes["data"]["source"]["test_fraction"] = 0.85  # 243 training images: four steps per epoch
    if "epochs" in axes["fit"]:
        axes["fit"]["epochs"] = 2
    short = replace(small_job, axes=axes, seed=7)
    first = fit_job(short)
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002 (a state that a library might read)
    state = torch.get_rng_state()
    second = fit_job(short)
    assert torch.equal(torch.get_rng_state(), state), "the fit used the global random state"
    assert weights_equal(first.model, second.model)
    assert first.metrics == second.metrics
    assert first.report.history == second.report.history

    other = fit_job(replace(short, seed=8))
    x = first.data.test[:]
    if "epochs" in axes["fit"]:
        assert other.metrics["mse"]["value"] != first.metrics["mse"]["value"]
    else:
        assert torch.allclose(other.model.reconstruct(x), first.model.reconstruct(x), atol=1e-4)
    assert torch.equal(other.data.test[:], x)
    assert torch.equal(other.data.validation[:], first.data.validation[:])


# Results of a fit


def test_a_short_fit_beats_the_mean_image(fitted):
    if fitted.data.source.pairs is not None:
        pytest.skip("its decoder predicts the contexts of a word, and not the word")
    mean_image = (fitted.data.test[:] - fitted.data.train[:].mean(0)).square().mean().item()
    assert fitted.metrics["mse"]["value"] < 0.8 * mean_image


def test_a_saved_model_gives_identical_outputs(fitted, tmp_path):
    model, x, path = fitted.model, fitted.data.test[:], tmp_path / "deeper" / "model.safetensors"
    save_model(path, model, fitted.job.config, fitted.data.form, fitted.job.seed)
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
    assert scores(loaded, fitted) == fitted.metrics


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_scores_do_not_depend_on_the_mode_of_the_model(fitted, training):
    fitted.model.train(training)
    torch.manual_seed(int(training))
    assert scores(fitted.model, fitted) == fitted.metrics
    assert all(module.training is training for module in fitted.model.modules())


def scores(model, fitted):
    """The metrics that `fitted` holds, of a model."""
    return evaluate(model, fitted.data, in_groups(("reconstruction",)), asdict(fitted.report))
