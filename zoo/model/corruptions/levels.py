"""Shared helpers of corruptions: levels that are fixed or drawn per image, and masks of shape (B, 1, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.checks import is_finite
from zoo.errors import ZooError

Level = float | Sequence[float]  # one value for all images, or the two ends of a range


def uniform_per_pixel(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """One number from U(0, 1) per pixel: (B, 1, H, W)."""
    return torch.rand(len(x), 1, *x.shape[2:], generator=generator, device=x.device, dtype=x.dtype)


def full_mask(x: Tensor) -> Tensor:
    """A mask of ones: (B, 1, H, W)."""
    return x.new_ones(()).expand(len(x), 1, *x.shape[2:])


def level_per_image(level: Level, x: Tensor, generator: torch.Generator | None) -> float | Tensor:
    """A fixed level unchanged; for a range, one draw from U(low, high) per image: (B, 1, 1, 1)."""
    if not isinstance(level, Sequence):
        return level
    low, high = level
    return low + (high - low) * torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device, dtype=x.dtype)


def ends(level: Level) -> tuple[float, float]:
    """The smallest and the largest value of a level.

    Raises:
        ZooError: a range without exactly two ends.
    """
    if not isinstance(level, Sequence):
        return level, level
    if len(level) != 2:
        raise ZooError(f"corruption level {list(level)}: a range has two ends; give [low, high]")
    return level[0], level[1]


def check_level(name: str, level: Level, most: float) -> None:
    """Check a level.

    Args:
        name: the setting, for the message.
        level: its value.
        most: the largest valid value.

    Raises:
        ZooError: a value outside [0, most], or a range in descending order.
    """
    low, high = ends(level)
    if not (is_finite(low) and is_finite(high) and 0 <= low <= high <= most):
        raise ZooError(
            f"corruption.{name}={level}: a level is in [0, {most:g}], and finite; give a range as [low, high]"
        )
