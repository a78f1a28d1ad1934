"""Convolutional encoder and decoder: strided convolutions, dense layers, transposed convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from zoo.checks import check_count, check_counts
from zoo.model.activations import activation_named
from zoo.model.networks import check_halved
from zoo.model.networks.mlp import layers
from zoo.types import Shape, StartsAtMean

KERNEL, STRIDE, PADDING = 4, 2, 1  # halves a side; a kernel that is a multiple of the stride avoids checkerboards


class ToImage(nn.ConvTranspose2d, StartsAtMean):
    """A transposed convolution to the few channels of an image, computed by torch's own kernel in the forward pass.

    On CPUs, torch uses oneDNN for convolutions, whose forward pass to a single channel takes 3 to 17 times as long as
    torch's own product. The backward pass stays with oneDNN, which is faster there.
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, in_channels, H, W) -> (B, out_channels, ...)."""
        onednn: Any = torch.backends.mkldnn
        before, onednn.enabled = onednn.enabled, False
        try:
            return super().forward(x, output_size)
        finally:
            onednn.enabled = before

    @torch.no_grad()
    def start_at_mean(self, mean: Tensor, raw_of_mean: Callable[[Tensor], Tensor]) -> None:
        """One bias per channel, from the channel's mean over images and pixels: (C, H, W)."""
        assert self.bias is not None
        self.bias.copy_(raw_of_mean(mean.mean((1, 2), keepdim=True)).flatten())


class Residual(nn.Module):
    """x + W2 f(W1 f(x)), W1 a 3x3 and W2 a 1x1 convolution; W2 starts at 0, so that a block starts as the identity.

    Pre-activation as in K. He et al., "Identity mappings in deep residual networks", 2016, arXiv:1603.05027; the zero
    initialisation replaces normalisation, as in H. Zhang, Y. Dauphin, T. Ma, "Fixup initialization", 2019,
    arXiv:1901.09321.

    Args:
        channels: channels of x.
        activation: builds f.
    """

    def __init__(self, channels: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.branch = nn.Sequential(activation(), nn.Conv2d(channels, channels, 3, padding=1), activation(), last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels, H, W)."""
        branch: Tensor = self.branch(x)
        return x + branch


def conv(
    shape: Shape,
    in_features: int,
    out_features: int,
    channels: int,
    filters: Sequence[int] = (32, 64),
    hidden: Sequence[int] = (256,),
    activation: str = "gelu",
    blocks: int = 0,
) -> tuple[nn.Module, nn.Module]:
    """One convolution of stride 2 per entry of `filters`, dense layers of `hidden`, and the mirror image.

    Args:
        shape: (C, H, W) of the images.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input.
        channels: channels of the decoder's output.
        filters: channels after each halving.
        hidden: units of the dense layers between feature maps and code.
        activation: name of the activation between layers.
        blocks: residual blocks after each halving, and as many before each doubling.

    Raises:
        ZooError: the image is too small for so many halvings, or a number is out of range.
    """
    filters, hidden = check_counts(filters, "network.filters", fewest=1), check_counts(hidden, "network.hidden")
    check_count(blocks, "network.blocks", least=0)
    sides = [shape[1:]]
    for _ in filters:
        sides.append((sides[-1][0] // STRIDE, sides[-1][1] // STRIDE))
    check_halved(filters, shape, sides[-1])
    maps, between = [shape[0], *filters], activation_named(activation)
    down: list[nn.Module] = []
    for before, after in pairwise(maps):
        down += [nn.Conv2d(before, after, KERNEL, STRIDE, PADDING), between()]
        down += [Residual(after, between) for _ in range(blocks)]
    up: list[nn.Module] = []
    maps[0] = channels
    for i in range(len(filters), 0, -1):
        (tall, wide), (high, broad) = sides[i - 1], sides[i]
        missing = (tall - STRIDE * high, wide - STRIDE * broad)  # 1 where an odd side was halved
        doubling = ToImage if i == 1 else nn.ConvTranspose2d
        up += [
            between(),
            *(Residual(maps[i], between) for _ in range(blocks)),
            doubling(maps[i], maps[i - 1], KERNEL, STRIDE, PADDING, output_padding=missing),
        ]
    volume = (filters[-1], *sides[-1])
    return (
        nn.Sequential(*down, nn.Flatten(), *layers([math.prod(volume), *hidden, in_features], between)),
        nn.Sequential(
            *layers([out_features, *reversed(hidden), math.prod(volume)], between),
            nn.Unflatten(1, volume),
            *up,
        ),
    )
