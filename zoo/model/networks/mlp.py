"""Dense encoder and decoder of any depth."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from zoo.checks import check_counts
from zoo.model.activations import activation_named
from zoo.model.networks.last_layer import LastLinear
from zoo.types import Shape


def mlp(
    shape: Shape,
    in_features: int,
    out_features: int,
    channels: int,
    hidden: Sequence[int] = (1000, 500, 250),
    activation: str = "gelu",
) -> tuple[nn.Module, nn.Module]:
    """pixels -> hidden... -> in_features, and its mirror image; the code itself has no activation.

    The default sizes are those of G. Hinton, R. Salakhutdinov, "Reducing the dimensionality of data with neural
    networks", Science 313, 2006.

    Args:
        shape: (C, H, W) of the images.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input.
        channels: channels of the decoder's output.
        hidden: units of the encoder's hidden layers; the decoder has them in reverse order.
        activation: name of the activation between layers.

    Raises:
        ZooError: a layer with fewer than one unit, or an unknown activation.
    """
    between, hidden = activation_named(activation), check_counts(hidden, "network.hidden")
    return (
        nn.Sequential(nn.Flatten(), *layers([math.prod(shape), *hidden, in_features], between)),
        nn.Sequential(
            *layers([out_features, *reversed(hidden), channels * shape[1] * shape[2]], between, LastLinear),
            nn.Unflatten(1, (channels, *shape[1:])),
        ),
    )


def layers(
    sizes: Sequence[int], activation: Callable[[], nn.Module], last: type[nn.Linear] = nn.Linear
) -> list[nn.Module]:
    """Linear layers from each size to the next, with an activation between two of them; `last` builds the last one."""
    check_counts(sizes, "units of layers")
    modules: list[nn.Module] = []
    for before, after in pairwise(sizes[:-1]):
        modules += [nn.Linear(before, after), activation()]
    return [*modules, last(sizes[-2], sizes[-1])]
