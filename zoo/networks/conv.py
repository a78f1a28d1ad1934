"""Strided convolutions and their transposes around a dense layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from zoo.errors import ZooError
from zoo.networks.mlp import layers
from zoo.types import Shape

KERNEL, STRIDE, PADDING = 4, 2, 1  # halves a side; the kernel is a multiple of the stride, so no checkerboards


def conv(
    shape: Shape,
    in_features: int,
    out_features: int,
    channels: int,
    filters: Sequence[int] = (32, 64),
    hidden: Sequence[int] = (256,),
    activation: Callable[[], nn.Module] = nn.GELU,
) -> tuple[nn.Module, nn.Module]:
    """One halving convolution per entry of `filters`, dense layers of `hidden`, and the mirror image of it all.

    Raises:
        ZooError: the image is too small to be halved that often.
    """
    sides = halved(shape, filters)
    maps = [shape[0], *filters]
    down: list[nn.Module] = []
    for before, after in pairwise(maps):
        down += [halving(before, after), activation()]
    up: list[nn.Module] = []
    maps[0] = channels
    for i in range(len(filters), 0, -1):
        up += [activation(), doubling(maps[i], maps[i - 1], sides[i], sides[i - 1])]
    volume = (filters[-1], *sides[-1])
    return (
        nn.Sequential(*down, nn.Flatten(), *layers([math.prod(volume), *hidden, in_features], activation)),
        nn.Sequential(
            *layers([out_features, *reversed(hidden), math.prod(volume)], activation),
            nn.Unflatten(1, volume),
            *up,
        ),
    )


def halved(shape: Shape, filters: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width of the image and after each halving; ZooError where nothing is left."""
    sides = [shape[1:]]
    for _ in filters:
        sides.append((sides[-1][0] // STRIDE, sides[-1][1] // STRIDE))
    if 0 in sides[-1]:
        raise ZooError(
            f"network.filters={list(filters)} halves a {shape[1]}x{shape[2]} image to nothing; give fewer filters"
        )
    return sides


def halving(before: int, after: int) -> nn.Conv2d:
    """A convolution to half the side, rounded down."""
    return nn.Conv2d(before, after, KERNEL, STRIDE, PADDING)


def doubling(before: int, after: int, small: tuple[int, int], large: tuple[int, int]) -> nn.ConvTranspose2d:
    """A transposed convolution from maps of `small` sides to the `large` ones that were halved to them."""
    missing = (large[0] - STRIDE * small[0], large[1] - STRIDE * small[1])  # 1 where an odd side was halved
    return nn.ConvTranspose2d(before, after, KERNEL, STRIDE, PADDING, output_padding=missing)
