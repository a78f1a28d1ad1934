"""How parameters are given to an optimiser, and the ranges of an optimiser's numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zoo.checks import check_finite, check_positive, is_finite
from zoo.errors import ZooError

Group = dict[str, Any]
OptimizerBuilder = Callable[[Iterable[Any]], torch.optim.Optimizer]

LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
FRACTIONS = {"momentum", "alpha", "betas"}  # in [0, 1)
NUMBERS = FRACTIONS | {"lr", "weight_decay", "eps", "dampening"}


def parameter_groups(module: nn.Module) -> list[Group]:
    """The parameters of a module as an optimiser's groups, see `grouped`."""
    return grouped(dict(module.named_parameters()), weight_matrices(module))


def grouped(parameters: Mapping[str, Tensor], matrices: Set[str]) -> list[Group]:
    """Two groups of parameters, without empty ones: weight matrices, and the others, which have no weight decay.

    Decay would draw biases, norms, thresholds, pseudo-inputs, the components of mixtures and the origin of a dictionary
    towards 0, which is no simpler value of them than another. In the group of the matrices, "matrices" is true.

    Args:
        parameters: {name: parameter}.
        matrices: names of the weight matrices.
    """
    inside = [parameter for name, parameter in parameters.items() if name in matrices]
    outside = [parameter for name, parameter in parameters.items() if name not in matrices]
    found: list[Group] = [
        {"params": inside, "matrices": True},
        {"params": outside, "matrices": False, "weight_decay": 0.0},
    ]
    return [group for group in found if group["params"]]


def weight_matrices(module: nn.Module) -> set[str]:
    """Names of the parameters that are the weight of a dense or convolutional layer.

    Neither matrix of a dictionary is among them: the length of its atoms has no effect, so that they need no decay, and
    its encoder's rows start as the atoms. So `optimizer=muon` fits a dictionary by AdamW, with the rate `adamw_lr`.
    """
    layers = (layer for layer in module.modules() if isinstance(layer, LAYERS))
    # a weight that is computed from another parameter is not among a layer's own
    weights = {id(dict(layer.named_parameters(recurse=False)).get("weight")) for layer in layers}
    return {name for name, parameter in module.named_parameters() if id(parameter) in weights}


def check_optimizer(name: str, build: OptimizerBuilder) -> torch.optim.Optimizer:
    """An optimiser of two dummy parameters, built as that of a model is.

    Args:
        name: the setting, for messages.
        build: builds the optimiser from groups of parameters.

    Raises:
        ZooError: the optimiser refuses its settings, or one of its numbers is out of range.
    """
    parameters = {"matrix": nn.Parameter(torch.zeros(1, 1)), "bias": nn.Parameter(torch.zeros(1))}
    settings = build.keywords if isinstance(build, partial) else {}
    check_pairs(name, settings)
    if "adamw_lr" in settings:  # which a group of parameters calls lr
        check_positive(settings["adamw_lr"], f"{name}.adamw_lr")
    try:
        optimizer = build(grouped(parameters, {"matrix"}))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ZooError(f"{name}: {error}") from error
    for group in optimizer.param_groups:
        for key in NUMBERS & group.keys():
            for value in group[key] if isinstance(group[key], tuple | list) else (group[key],):
                check_number(f"{name}.{key}", key, value)
    return optimizer


def check_pairs(name: str, settings: Mapping[str, Any]) -> None:
    """ZooError if the betas of an optimiser are not two numbers."""
    betas = settings.get("betas", (0, 0))
    if not isinstance(betas, list | tuple) or len(betas) != 2:
        raise ZooError(f"{name}.betas={betas}: must be two numbers, at least 0 and less than 1 each")


def check_number(name: str, key: str, value: float) -> None:
    """ZooError if a number of an optimiser is out of its range: a rate above 0, fractions in [0, 1), others 0 or more.

    Args:
        name: the setting, for the message.
        key: what the optimiser calls it.
        value: the number.
    """
    if key == "lr":
        check_positive(value, name)
    elif key in FRACTIONS:
        if not is_finite(value) or not 0 <= value < 1:
            raise ZooError(f"{name}={value}: must be at least 0 and less than 1")
    else:
        check_finite(value, name, least=0)
