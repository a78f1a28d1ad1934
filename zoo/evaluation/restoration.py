"""Damaged images, what a model makes of them, and what a user would do without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.corruption import patch_side
from zoo.types import Corruption

Restorer = Callable[[Tensor, Tensor], Tensor]
BATCH = 512


@dataclass(frozen=True)
class Restoration:
    """Squared errors of restored images, by strength of the damage and by restorer.

    Attributes:
        axis: what the strength is: "std", "rate", ...
        levels: strengths.
        hidden: (L,) float64, values (pixels times channels) that the damage may have touched, over all images.
        untouched: (L,) float64, the other values.
        inside: {restorer: (L,) float64}, sums of squared errors over the hidden values.
        outside: the same over the untouched ones.
        drawn: (L,) float64, hidden values on patches that are not blank (see `not_blank`).
        inside_drawn: as inside, over these alone.
        n: images.
    """

    axis: str
    levels: list[float]
    hidden: Tensor
    untouched: Tensor
    inside: dict[str, Tensor]
    outside: dict[str, Tensor]
    drawn: Tensor
    inside_drawn: dict[str, Tensor]
    n: int

    def mse_inside(self) -> dict[str, Tensor]:
        """{restorer: (L,)}, mean squared error per hidden value."""
        return {name: error / self.hidden for name, error in self.inside.items()}

    def mse_inside_drawn(self) -> dict[str, Tensor]:
        """{restorer: (L,)}, mean squared error per hidden value on patches that are not blank."""
        return {name: error / self.drawn for name, error in self.inside_drawn.items()}

    def mse_outside(self) -> dict[str, Tensor]:
        """{restorer: (L,)}, mean squared error per untouched value."""
        return {name: error / self.untouched for name, error in self.outside.items()}

    def mse(self) -> dict[str, Tensor]:
        """{restorer: (L,)}, mean squared error per value."""
        return {
            name: (error + self.outside[name]) / (self.hidden + self.untouched) for name, error in self.inside.items()
        }


def restore(
    x: Tensor, axis: str, damages: Mapping[float, Corruption], restorers: Mapping[str, Restorer], seed: int
) -> Restoration:
    """Damage images at several strengths and let several restorers mend them.

    Args:
        x: (N, C, H, W), the images as they should be.
        axis: what the strength is.
        damages: {strength: damage}, each with a mask of what it touched; every one draws from the same seed.
        restorers: {name: function of (damaged images, mask (B, 1, H, W)) to images}.
        seed: determines the damage.
    """
    inside, outside, inside_drawn = (
        {name: torch.zeros(len(damages), dtype=torch.float64) for name in restorers} for _ in range(3)
    )
    hidden, drawn = torch.zeros(2, len(damages), dtype=torch.float64)
    for level, damage in enumerate(damages.values()):
        generator = torch.Generator().manual_seed(seed)
        for part in torch.split(x, BATCH):
            seen, mask = damage(part, generator)
            assert mask is not None, "damage without a mask is no damage"
            marked = mask * not_blank(part)
            hidden[level] += mask.sum() * x.shape[1]
            drawn[level] += marked.sum() * x.shape[1]
            for name, restorer in restorers.items():
                error = (restorer(seen, mask) - part).square_().sum(1, keepdim=True)
                within = (error * mask).sum()
                inside[name][level] += within
                outside[name][level] += error.sum() - within
                inside_drawn[name][level] += (error * marked).sum()
    return Restoration(axis, list(damages), hidden, x.numel() - hidden, inside, outside, drawn, inside_drawn, len(x))


def not_blank(x: Tensor) -> Tensor:
    """One on patches (of `patch_side`) whose pixels are not all alike: (B, C, H, W) -> (B, 1, H, W)."""
    side = patch_side(*x.shape[2:])
    spread = F.max_pool2d(x, side) + F.max_pool2d(-x, side)  # largest less smallest
    drawn = (spread > 0).any(1, keepdim=True).to(x.dtype)
    return drawn.repeat_interleave(side, 2).repeat_interleave(side, 3)


def as_it_is(seen: Tensor, mask: Tensor) -> Tensor:
    """Do nothing."""
    return seen


def median_filter(seen: Tensor, mask: Tensor) -> Tensor:
    """Each pixel's median over 3x3 pixels, edges reflected, channel by channel."""
    from scipy.ndimage import median_filter as median

    return torch.from_numpy(median(seen.numpy(), size=(1, 1, 3, 3), mode="mirror"))


def fill_with(image: Tensor) -> Restorer:
    """Fill what is hidden with the pixels of `image`: (C, H, W)."""
    return lambda seen, mask: torch.where(mask == 1, image, seen)
