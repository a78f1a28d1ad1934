"""Fully convolutional encoder and decoder: the code is a small feature map, for images of any size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from zoo.checks import check_counts
from zoo.model.activations import activation_named
from zoo.model.networks import check_halved
from zoo.model.networks.conv import KERNEL, PADDING, STRIDE, ToImage
from zoo.types import Shape


class Dilated(nn.Module):
    """h + conv(f(h)) with a dilated 3x3 convolution whose weight starts at 0.

    Args:
        channels: channels of h.
        dilation: distance between the taps of the kernel, in pixels.
        activation: builds f.
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
    """The first n units of rows, padded with zeros where there are fewer: (B, N) -> (B, n).

    Args:
        n: units.
    """

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
    activation: str = "gelu",
) -> tuple[nn.Module, nn.Module]:
    """One convolution of stride 2 per entry of `filters`, residual ones of `dilations`, and the mirror image.

    The code is the last feature map, flattened. It has as many channels as the bottleneck's units need at that size;
    the last channel is cut where the number of units is no multiple. If the bottleneck has fewer units than one channel
    of the map, the image is halved further, with the last number of filters.

    Without dense layers and statistics of the whole image, weights fitted on patches apply to a page of a times the
    area with a bottleneck a times as wide: J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for
    Semantic Segmentation", 2014, arXiv:1411.4038.

    Args:
        shape: (C, H, W) of the images.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input.
        channels: channels of the decoder's output.
        filters: channels after each halving.
        dilations: one residual block for each, at the lowest resolution.
        activation: name of the activation between layers.

    Raises:
        ZooError: the image is too small for so many halvings, or a number is out of range.
    """
    filters = check_counts(filters, "network.filters", fewest=1)
    dilations = check_counts(dilations, "network.dilations")
    maps, sides, between = [shape[0], *filters], [shape[1:]], activation_named(activation)
    for _ in filters:
        sides.append((sides[-1][0] // STRIDE, sides[-1][1] // STRIDE))
    while math.prod(sides[-1]) > min(in_features, out_features):
        sides.append((sides[-1][0] // STRIDE, sides[-1][1] // STRIDE))
        maps.append(filters[-1])
    check_halved(filters, shape, sides[-1])
    area = math.prod(sides[-1])
    deep, wide = -(-in_features // area), -(-out_features // area)
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for i in range(len(maps) - 1):
        down += [nn.Conv2d(maps[i], maps[i + 1], KERNEL, STRIDE, PADDING), between()]
    for i in range(len(maps) - 1, 0, -1):
        odd = (sides[i - 1][0] - STRIDE * sides[i][0], sides[i - 1][1] - STRIDE * sides[i][1])
        doubling, to = (nn.ConvTranspose2d, maps[i - 1]) if i > 1 else (ToImage, channels)
        up += [between(), doubling(maps[i], to, KERNEL, STRIDE, PADDING, output_padding=odd)]
    return (
        nn.Sequential(
            *down[:-1],
            *(Dilated(maps[-1], dilation, between) for dilation in dilations),
            nn.Conv2d(maps[-1], deep, 3, padding=1),
            nn.Flatten(),
            Units(in_features),
        ),
        nn.Sequential(
            Units(wide * area),
            nn.Unflatten(1, (wide, *sides[-1])),
            nn.Conv2d(wide, maps[-1], 3, padding=1),
            *(Dilated(maps[-1], dilation, between) for dilation in reversed(dilations)),
            *up,
        ),
    )
