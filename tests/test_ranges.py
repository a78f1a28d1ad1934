"""Every number of every option file has a range; what makes no sense is refused when a part is built."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from tests.model.test_option_files import node
from zoo.errors import ZooError
from zoo.fitting.adversarial import Adversarial
from zoo.fitting.optimizers import check_optimizer
from zoo.model.io import build_model
from zoo.options import build, names
from zoo.runs.job import check_division
from zoo.runs.single import fit_together, run_one

AXES = (
    *("network", "bottleneck", "prior", "corruption", "likelihood", "objective"),
    *("fit", "optimizer", "schedule", "density"),
)
OPTIONS = [(axis, option) for axis in AXES for option in names(axis)]
SENSELESS = (  # none of these is a number that a part can use
    *(math.nan, math.inf, -math.inf, True, "abc", {}, -1),
    *(1e20, 1e308, -1e308, 2**70),
)
SIGNED = {"fill"}  # settings that may be negative: the value of hidden pixels
FROM_FILES = {"test_fraction", "split_seed"}  # of dirt of real pages, which a run checks, see below
MODEL = {"network": "deep", "bottleneck": "gaussian_posterior", "likelihood": "gaussian", "corruption": "clean"}


def numbers(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the numbers of a node lie."""
    if isinstance(found, dict | list):
        for key, value in found.items() if isinstance(found, dict) else enumerate(found):
            yield from numbers(value, (*path, key))
    elif isinstance(found, int | float) and not isinstance(found, bool):
        yield path


def changed(found: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A node with another value at a place."""
    whole = holder = deepcopy(found)
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return whole


def build_in_full(axis: str, found: dict[str, Any]) -> None:
    """Build a part, and what it builds for a model."""
    part = build(axis, found)
    match axis:
        case "network":
            part((1, 8, 8), 16, 16, 1)
        case "bottleneck":
            part()
        case "prior":
            part(4)
        case "optimizer":
            check_optimizer("optimizer", part)
        case "schedule":
            part(torch.optim.SGD([nn.Parameter(torch.zeros(3))], 0.1), 10)
        case "fit" if isinstance(part, Adversarial):
            model = build_model({axis: node(axis, option) for axis, option in MODEL.items()}, (1, 8, 8), 0)
            part.discriminator(model, (1, 8, 8))


@pytest.mark.parametrize(("axis", "option"), OPTIONS, ids=["=".join(pair) for pair in OPTIONS])
def test_numbers_without_sense_are_refused(axis, option):
    accepted, found = [], node(axis, option)
    for path in numbers(found):
        if path[-1] in FROM_FILES:
            continue
        for value in SENSELESS:
            try:
                build_in_full(axis, changed(found, path, value))
            except ZooError:
                continue
            if value != -1 or path[-1] not in SIGNED:
                accepted.append((path, value))
    assert accepted == []


@pytest.mark.parametrize("betas", [[], {}, [0.9], [0.9, 0.99, 0.999]])
@pytest.mark.parametrize("option", ["muon", "adamw"])
def test_betas_of_an_optimiser_are_two_numbers(option, betas):
    with pytest.raises(ZooError, match=r"^optimizer\.betas=.*: must be two numbers"):
        build_in_full("optimizer", node("optimizer", option) | {"betas": betas})


@pytest.mark.parametrize("augment", [3, "shift", [], {}])
def test_an_augmentation_is_a_part(augment):
    with pytest.raises(ZooError, match=r"^fit\.augment=.*: choose fit=shifted"):
        build("fit", node("fit", "gradient") | {"augment": augment})


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("trainer.threads=0", r"^trainer\.threads=0: must be a whole number, at least 1"),
        ("trainer.threads=100000", r"^trainer\.threads=100000: at most 1,024"),  # torch would end the process
        ("trainer.stacked=0", r"^trainer\.stacked=0: must be a whole number, at least 1"),
        ("trainer.accelerator=tpu", r"^trainer\.accelerator=tpu: choose one of cpu, gpu, "),
        ("data.validation_fraction=0", r"^data\.validation_fraction=0: must be between 0 and 1, both excluded"),
    ],
)
def test_numbers_of_a_run_are_checked_before_it_starts(compose_job, override, told):
    with pytest.raises(ZooError, match=told):
        compose_job("variant=vae", override)


@pytest.mark.parametrize("option", names("data"))
def test_numbers_that_divide_a_source_have_ranges(option):
    settings = node("data", option)["source"]
    check_division(settings, "data.source")
    for key in {"seed", "split_seed", "test_fraction"} & settings.keys():
        for value in (*SENSELESS, *((0, 1) if key == "test_fraction" else (0.5, 2**32))):
            with pytest.raises(ZooError, match=rf"^data\.source\.{key}="):
                check_division(settings | {key: value}, "data.source")


def test_numbers_that_divide_a_file_are_checked_before_it_is_read(compose_job, tmp_path):
    (tmp_path / "x.npy").touch()  # which cannot be read
    with pytest.raises(ZooError, match=r"^data\.split_seed=1\d+: a seed is a whole number, 0 or more and less than"):
        compose_job("variant=pca", f"data.split_seed={2**70}")
    with pytest.raises(ZooError, match=r"^data\.source\.split_seed=-1: a seed is a whole number, 0 or more"):
        compose_job("variant=pca", "data=array", f"data.source.path={tmp_path}/x.npy", "data.source.split_seed=-1")


@pytest.mark.parametrize("override", ["split_seed=-1", "test_fraction=1"])
def test_numbers_that_divide_pages_of_dirt_are_checked_before_these_are_read(compose_job, override):
    with pytest.raises(ZooError, match=rf"^corruption\.{override}: "):
        compose_job("variant=vae", "corruption=dirt", f"corruption.{override}")


@pytest.mark.parametrize("override", ["fit.clip=-1", "bottleneck.width=0", "density.flow.rate=inf", "likelihood.std=0"])
def test_nothing_is_read_for_a_part_that_refuses_its_settings(compose_job, monkeypatch, override):
    monkeypatch.setattr("zoo.runs.single.read", lambda job: pytest.fail("data are read"))
    job = compose_job("variant=vae", override)
    for fit in (run_one, lambda job: fit_together([job, job])):
        with pytest.raises(ZooError):
            fit(job)
