"""Residual convolutions: deeper than `conv` at the same resolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from zoo.networks.conv import doubling, halved, halving
from zoo.types import Shape


class Residual(nn.Module):
    """x -> x + conv(f(norm(conv(f(norm(x)))))): the sum itself passes through no activation.

    K. He et al., "Identity mappings in deep residual networks", 2016, arXiv:1603.05027, fig. 4e. Each image is
    normalised by itself, over all its channels and pixels, so that nothing depends on the batch.
    """

    def __init__(self, channels: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *[
                layer
                for _ in range(2)
                for layer in (nn.GroupNorm(1, channels), activation(), nn.Conv2d(channels, channels, 3, padding=1))
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        change: Tensor = self.branch(x)
        return x + change


def residual(
    shape: Shape,
    in_features: int,
    out_features: int,
    channels: int,
    filters: Sequence[int] = (32, 64),
    blocks: int = 1,
    activation: Callable[[], nn.Module] = nn.GELU,
) -> tuple[nn.Module, nn.Module]:
    """A halving convolution and `blocks` residual ones per entry of `filters`, a dense layer, and the mirror image.

    Raises:
        ZooError: the image is too small to be halved that often.
    """
    sides = halved(shape, filters)
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for i, after in enumerate(filters):
        before = filters[i - 1] if i else shape[0]
        down += [halving(before, after), *(Residual(after, activation) for _ in range(blocks))]
        drawn = filters[i - 1] if i else channels
        rise = [*(Residual(after, activation) for _ in range(blocks)), doubling(after, drawn, sides[i + 1], sides[i])]
        up = rise + up
    volume = (filters[-1], *sides[-1])
    return (
        nn.Sequential(
            *down,
            nn.GroupNorm(1, volume[0]),
            activation(),
            nn.Flatten(),
            nn.Linear(math.prod(volume), in_features),
        ),
        nn.Sequential(nn.Linear(out_features, math.prod(volume)), nn.Unflatten(1, volume), *up),
    )
