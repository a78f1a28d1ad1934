"""Convolutions alone: the code is a small map, and the weights do not know how large the image is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.networks.conv import KERNEL, PADDING, STRIDE, ToImage
from zoo.types import Shape


class Dilated(nn.Module):
    """h + conv(f(h)), a 3x3 convolution; it starts as the identity.

    Args:
        channels: of h.
        dilation: pixels from one tap of the kernel to the next.
        activation: makes f.
    """

    def __init__(self, channels: int, dilation: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.activation = activation()
        self.conv = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        nn.init.zeros_(self.conv.weight)

    def forward(self, h: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        out: Tensor = h + self.conv(self.activation(h))
        return out


class Units(nn.Module):
    """The first `n` units of rows: (B, N) -> (B, n), with zeros after them where there are fewer."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, rows: Tensor) -> Tensor:
        """(B, N) -> (B, n)."""
        return torch.nn.functional.pad(rows, (0, self.n - rows.shape[1]))


def fully_conv(
    shape: Shape,
    in_features: int,
    out_features: int,
    channels: int,
    filters: Sequence[int] = (32, 48),
    dilations: Sequence[int] = (1, 2, 4),
    activation: Callable[[], nn.Module] = nn.GELU,
) -> tuple[nn.Module, nn.Module]:
    """One halving convolution per entry of `filters`, residual ones of `dilations`, and the mirror image of it all.

    The code is the last map, flattened: as many channels as the bottleneck's units need at that map's size, the last
    of them cut short where they don't come out even. A bottleneck narrower than one channel of the map has the image
    halved further, with as many filters as before.

    With no dense layer and no statistics of the whole image, weights fitted on patches fit a page of a times the area
    behind a bottleneck a times as wide: J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for Semantic
    Segmentation", 2014, arXiv:1411.4038.

    Raises:
        ZooError: the image is too small to be halved that often.
    """
    maps, sides = [shape[0], *filters], [shape[1:]]
    for _ in filters:
        sides.append((sides[-1][0] // STRIDE, sides[-1][1] // STRIDE))
    while math.prod(sides[-1]) > min(in_features, out_features):
        sides.append((sides[-1][0] // STRIDE, sides[-1][1] // STRIDE))
        maps.append(filters[-1])
    if 0 in sides[-1]:
        raise ZooError(
            f"network.filters={list(filters)} halves a {shape[1]}x{shape[2]} image to nothing; give fewer filters"
        )
    area = math.prod(sides[-1])
    deep, wide = -(-in_features // area), -(-out_features // area)
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for i in range(len(maps) - 1):
        down += [nn.Conv2d(maps[i], maps[i + 1], KERNEL, STRIDE, PADDING), activation()]
    for i in range(len(maps) - 1, 0, -1):
        odd = (sides[i - 1][0] - STRIDE * sides[i][0], sides[i - 1][1] - STRIDE * sides[i][1])
        doubling, to = (nn.ConvTranspose2d, maps[i - 1]) if i > 1 else (ToImage, channels)
        up += [activation(), doubling(maps[i], to, KERNEL, STRIDE, PADDING, output_padding=odd)]
    return (
        nn.Sequential(
            *down[:-1],
            *(Dilated(maps[-1], dilation, activation) for dilation in dilations),
            nn.Conv2d(maps[-1], deep, 3, padding=1),
            nn.Flatten(),
            Units(in_features),
        ),
        nn.Sequential(
            Units(wide * area),
            nn.Unflatten(1, (wide, *sides[-1])),
            nn.Conv2d(wide, maps[-1], 3, padding=1),
            *(Dilated(maps[-1], dilation, activation) for dilation in reversed(dilations)),
            *up,
        ),
    )
