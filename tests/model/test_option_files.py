"""Option files of the axes that make a run: each builds a part, and holds every setting of that part."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from zoo.data.splits import Splits
from zoo.fitting.gradient import Gradient
from zoo.objective.objective import Objective
from zoo.options import AXIS, build, content, imported, is_axis, names, template
from zoo.types import Bottleneck, Likelihood

AXES = (
    "network",
    "bottleneck",
    "prior",
    "corruption",
    "likelihood",
    "objective",
    "fit",
    "optimizer",
    "schedule",
    "data",
)
OPTIONS = [(axis, option) for axis in AXES for option in names(axis)]

# Parameters that the zoo passes when it builds or calls a part
PASSED = {
    "network": {"shape", "in_features", "out_features", "channels"},
    "prior": {"width"},
    "optimizer": {"params"},
    "schedule": {"optimizer", "steps"},
    "fit.discriminator": {"model", "shape"},
    "bottleneck.rule": {"units", "k"},
    "objective.terms": {"model", "x", "step"},
}
# Parameters of the zoo's parts that are not settings
NOT_SETTINGS = {
    "callbacks": "objects for use from Python; an option file has plain values",
    "logger": "a run opens it, see the axis logger",
    "checkpoints": "a run sets where they lie, see trainer.checkpoint_seconds",
}
each_option = pytest.mark.parametrize(("axis", "option"), OPTIONS, ids=["=".join(pair) for pair in OPTIONS])
# Parts of torch, whose files hold the usual settings only
FOREIGN = "torch."


def parts(node: dict[str, Any], name: str) -> Iterator[tuple[str, Callable[..., Any], set[str]]]:
    """A part and the parts inside it: name, class or function, and names of the settings in the file."""
    yield name, imported(node["_target_"]), {key for key in node if not key.startswith("_")}
    for key, value in node.items():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict) and "_target_" in inner:
                yield from parts(inner, f"{name}.{key}")


ALL = [part for axis, option in OPTIONS for part in parts(template(axis, option), axis)]


@each_option
def test_every_setting_of_a_part_is_in_its_option_file(axis, option):
    for name, called, given in parts(template(axis, option), axis):
        parameters = set(inspect.signature(called).parameters)
        assert given <= parameters, f"{name}: unknown settings"
        if not called.__module__.startswith(FOREIGN):
            missing = parameters - given - PASSED.get(name, set()) - set(NOT_SETTINGS)
            assert not missing, f"{name}: settings that are not in the file"


def test_no_exception_is_out_of_date():
    for name, passed in PASSED.items():
        assert passed <= {
            key for part, called, _ in ALL if part == name for key in inspect.signature(called).parameters
        }
    assert set(NOT_SETTINGS) <= {key for _, called, _ in ALL for key in inspect.signature(called).parameters}


# Values of the settings that refer to the main configuration
VALUES = {
    "width": 4,
    "hidden": [16],
    "paths.data": "data",
    "paths.decoded": None,
    "budget.epochs": 1,
    "budget.batch_size": 32,
}


def plain(value: Any, trainer: str) -> Any:
    """A value of an option file as in a stored configuration: options by name, references resolved."""
    if isinstance(value, dict):
        return {key: plain(inner, trainer) for key, inner in value.items() if key not in ("_target_", "_partial_")}
    if isinstance(value, list):
        return [plain(inner, trainer) for inner in value]
    if not isinstance(value, str) or not value.startswith("${"):
        return value
    if (found := AXIS.fullmatch(value)) and is_axis(found[1]):
        return node(found[1], names(found[1])[0], trainer)
    key = value[2:-1]
    return content("trainer", trainer)[key.removeprefix("trainer.")] if key.startswith("trainer.") else VALUES[key]


def node(axis: str, option: str, trainer: str = "cpu") -> dict[str, Any]:
    return {"option": option, **plain(template(axis, option), trainer)}


def check_part(axis: str, part: Any) -> None:
    """Build the part in full, and check that it is of the kind of its axis."""
    weights = [nn.Parameter(torch.zeros(3))]
    match axis:
        case "network":
            encoder, decoder = part((1, 8, 8), 16, 16, 1)
            assert decoder(encoder(torch.rand(2, 1, 8, 8))).shape == (2, 1, 8, 8)
        case "bottleneck":
            assert isinstance(part(), Bottleneck)
        case "prior":
            assert isinstance(part(4), nn.Module)
        case "corruption":
            assert part(torch.rand(2, 1, 8, 8))[0].shape == (2, 1, 8, 8)
            assert part.masks in (True, False)
        case "likelihood":
            assert isinstance(part, Likelihood)
        case "objective":
            assert isinstance(part, Objective)
        case "fit":
            assert list(inspect.signature(part).parameters) == ["model", "data", "objective", "seed"]
        case "optimizer":
            assert isinstance(part(weights), torch.optim.Optimizer)
        case "schedule":
            scheduler = part(torch.optim.SGD(weights, 0.1), 10)
            assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)
        case "data":
            assert isinstance(part, Splits)


@each_option
def test_every_option_builds(axis, option):
    check_part(axis, build(axis, node(axis, option)))


@pytest.mark.parametrize("trainer", names("trainer"))
def test_every_trainer_builds_a_gradient_fit(trainer):
    fit = build("fit", node("fit", "gradient", trainer))
    assert isinstance(fit, Gradient)
    assert fit.precision == content("trainer", trainer)["precision"]
