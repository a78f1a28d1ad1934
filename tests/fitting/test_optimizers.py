"""Which parameters decay, the ranges of an optimiser's numbers, and Muon."""

from __future__ import annotations

import json
import math
from copy import deepcopy
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from zoo.errors import ZooError
from zoo.fitting import muon as muon_module
from zoo.fitting.gradient import Gradient
from zoo.fitting.muon import COEFFICIENTS, Muon, orthogonal
from zoo.fitting.optimizers import check_optimizer, parameter_groups, weight_matrices
from zoo.fitting.schedules import cosine, one_cycle
from zoo.model.io import build_model


def network():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.GELU(), nn.ConvTranspose2d(3, 2, 3), nn.Flatten(), nn.LayerNorm(128), nn.Linear(128, 5)
    )


# Which parameters decay


def test_only_the_weights_of_dense_and_convolutional_layers_are_matrices():
    assert weight_matrices(network()) == {"0.weight", "2.weight", "5.weight"}


@pytest.mark.parametrize(
    ("variant", "matrices"),
    [("linear_ae", {"encoder.1.weight", "decoder.0.weight"}), ("topk", set()), ("matching_pursuit", set())],
)
def test_no_matrix_of_a_dictionary_is_among_them(compose_job, variant, matrices):
    """Adamw fits it, whatever `optimizer=muon` says; the search of recipes has no such rows."""
    job = compose_job(f"variant={variant}", "optimizer=muon")
    model = build_model(job.config, (1, 8, 8), seed=0)
    assert weight_matrices(model) == matrices
    recipes = json.loads((Path(__file__).parents[2] / "results" / "speed" / "recipe.json").read_text())["rows"]
    assert not [row for row in recipes if "dictionary" in row["comparison"] and "Muon" in row["arm"]]


@pytest.mark.parametrize(
    ("variant", "free"),
    [
        ("vamp_vae", "bottleneck.prior.logits"),
        ("mixture_vae", "bottleneck.prior."),
        ("topk", "encoder.1.origin"),
        ("topk", "decoder.0.parametrizations.weight.original"),
        ("jumprelu", "bottleneck.rule."),
        ("mae", "encoder.class_token"),
        ("mae", "encoder.norm.weight"),
    ],
)
def test_pseudo_inputs_components_origins_thresholds_and_norms_do_not_decay(compose_job, variant, free):
    """A step with no gradient but that of decay changes weight matrices only."""
    job = compose_job(f"variant={variant}")
    model = build_model(job.config, (1, 8, 8), seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0).grad = torch.zeros_like(parameter)
    torch.optim.AdamW(parameter_groups(model), lr=0.1, weight_decay=0.5).step()
    moved = {name for name, parameter in model.named_parameters() if not bool((parameter == 1).all())}
    assert [name for name, _ in model.named_parameters() if name.startswith(free)], "no such parameter"
    assert not [name for name in moved if name.startswith(free)]
    assert moved == weight_matrices(model)


def test_a_fit_decays_matrices_only(compose_job):
    job = compose_job("variant=vamp_vae", "optimizer=adamw", "optimizer.weight_decay=0.3", "budget.epochs=1")
    built = []
    fit = job.make("fit")
    build = fit.optimizer

    def kept(groups):
        built.append(build(groups))
        return built[-1]

    data = job.make("data")
    model = build_model(job.config, data.shape, seed=0)
    Gradient(kept, epochs=1, progress=False)(model, data, job.make("objective"), seed=0)
    decays = {id(p): group["weight_decay"] for group in built[-1].param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert decays[id(parameter)] == (0.3 if name in weight_matrices(model) else 0), name


# Ranges


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (partial(torch.optim.SGD, lr=0.0), r"^optimizer\.lr=0\.0: must be greater than 0"),
        (partial(torch.optim.SGD, lr=-1.0), r"^optimizer: Invalid learning rate: -1"),
        (partial(torch.optim.SGD, lr=math.nan), r"^optimizer.*nan"),
        (partial(torch.optim.AdamW, lr=math.inf), r"^optimizer\.lr=inf"),
        (partial(torch.optim.AdamW, lr=True), r"^optimizer\.lr=True"),
        (partial(torch.optim.AdamW, weight_decay=math.nan), r"^optimizer.*weight_decay.*nan"),
        (partial(torch.optim.AdamW, weight_decay=math.inf), r"^optimizer\.weight_decay=inf"),
        (partial(torch.optim.SGD, lr=0.1, momentum=1.5), r"^optimizer\.momentum=1\.5: must be .* less than 1$"),
        (partial(torch.optim.SGD, lr=0.1, momentum=True), r"^optimizer\.momentum=True"),
        (partial(torch.optim.RMSprop, alpha=2.0), r"^optimizer\.alpha=2\.0"),
        (partial(torch.optim.Adam, betas=(0.9, 1.0)), r"^optimizer: Invalid beta"),
        (partial(torch.optim.AdamW, eps=math.inf), r"^optimizer\.eps=inf"),
        (partial(Muon, lr=-0.1), r"^optimizer\.lr=-0\.1"),
        (partial(Muon, adamw_lr=0.0), r"^optimizer\.adamw_lr=0\.0"),
        (partial(Muon, momentum=1.0), r"^optimizer\.momentum=1\.0"),
        (partial(Muon, betas=(0.9, -0.1)), r"^optimizer\.betas=-0\.1"),
        (torch.optim.LBFGS, r"^optimizer: LBFGS doesn't support per-parameter options"),
    ],
)
def test_numbers_out_of_range_are_refused(build, message):
    with pytest.raises(ZooError, match=message):
        check_optimizer("optimizer", build)


def test_every_optimiser_of_the_option_files_is_in_range(compose_job, optimizer):
    compose_job("variant=deep_ae", f"optimizer={optimizer}").make("fit")


# Muon


@pytest.mark.parametrize("shape", [(64, 64), (20, 300), (300, 20)])
def test_the_update_of_a_random_matrix_is_nearly_orthogonal(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonal(matrix)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.linalg.svdvals(found)
    # of a square matrix, the smallest singular values are nearly 0
    assert values.quantile(0.1) > 0.6
    assert values.max() < 1.25
    assert (found * (u @ v)).sum() / (found.norm() * (u @ v).norm()) > 0.97


@pytest.mark.parametrize(("fast", "error"), [(False, 1e-4), (True, 0.1)])
def test_products_of_muon_are_in_bf16_only_where_the_device_multiplies_it(monkeypatch, fast, error):
    """In bf16 on a processor without instructions for it, a fit took seven times as long."""
    matrix = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(muon_module, "multiplies_bf16", lambda device: fast)
    difference = (orthogonal(matrix) - orthogonal_in_float64(matrix)).abs().max()
    assert 0 < difference < error
    assert (difference < 1e-4) == (not fast)


def orthogonal_in_float64(matrix, steps=5):
    x = matrix.double() / matrix.double().norm()
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def test_a_step_of_muon_by_hand():
    weight, bias = nn.Parameter(torch.ones(6, 2, 1, 1)), nn.Parameter(torch.ones(3))
    gradients = [torch.randn(6, 2, 1, 1, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    optimizer = Muon([weight, bias], lr=0.1, momentum=0.9, weight_decay=0.5)
    mean, expected = torch.zeros(6, 2), torch.ones(6, 2)
    for gradient in gradients:
        weight.grad = gradient
        optimizer.step()
        g = gradient.flatten(1)
        mean = 0.9 * mean + 0.1 * g
        update = orthogonal(0.1 * g + 0.9 * mean)
        expected = (1 - 0.1 * 0.5) * expected - 0.1 * math.sqrt(3) * update
    torch.testing.assert_close(weight.flatten(1), expected)
    assert torch.equal(bias, torch.ones(3)), "without a gradient"


def test_other_parameters_are_updated_as_by_adamw():
    made = network()
    twin = deepcopy(made)
    muon = Muon(parameter_groups(made), lr=0.1, weight_decay=0.5, adamw_lr=0.01)
    adamw = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.0)
    for step in range(3):
        for one in (made, twin):
            g = torch.Generator().manual_seed(step)
            for parameter in one.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=g)
        muon.step()
        adamw.step()
    matrices = weight_matrices(made)
    for (name, one), other in zip(made.named_parameters(), twin.parameters(), strict=True):
        same = torch.allclose(one, other, rtol=1e-5, atol=1e-6)
        assert same == (name not in matrices), name


def test_large_matrices_are_left_to_adamw():
    small, large, bias = nn.Parameter(torch.ones(3, 90)), nn.Parameter(torch.ones(4, 2, 2)), nn.Parameter(torch.ones(4))
    twin = nn.Parameter(torch.ones(4, 2, 2))
    groups = [{"params": [small, large], "matrices": True}, {"params": [bias], "matrices": False, "weight_decay": 0.0}]
    muon = Muon(groups, lr=0.1, weight_decay=0.5, adamw_lr=0.01, largest=3)
    adamw = torch.optim.AdamW([twin], lr=0.01, weight_decay=0.5)
    for parameter in (small, large, bias, twin):
        parameter.grad = torch.arange(float(parameter.numel())).reshape(parameter.shape)
    muon.step()
    adamw.step()
    torch.testing.assert_close(large, twin)
    torch.testing.assert_close(bias[1:], torch.full((3,), 0.99))
    assert not torch.allclose(small, small[:1].expand(3, 90))
    assert [len(group["params"]) for group in Muon(groups).param_groups] == [2, 1]


@pytest.mark.parametrize("schedule", [cosine, one_cycle])
def test_a_schedule_scales_both_rates_by_one_factor(schedule):
    optimizer = Muon(parameter_groups(network()), lr=0.02, adamw_lr=0.001)
    scheduler = schedule(optimizer, 20)
    for _ in range(19):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert first == pytest.approx(20 * second)
        optimizer.step()
        scheduler.step()


def test_the_state_of_muon_can_be_stored_and_loaded():
    def steps(optimizer, module, seeds):
        for seed in seeds:
            for parameter in module.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
            optimizer.step()

    module = network()
    optimizer = Muon(parameter_groups(module))
    steps(optimizer, module, [0, 1])
    other = deepcopy(module)
    resumed = Muon(parameter_groups(other))
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    steps(optimizer, module, [2, 3])
    steps(resumed, other, [2, 3])
    assert all(map(torch.equal, module.parameters(), other.parameters()))
