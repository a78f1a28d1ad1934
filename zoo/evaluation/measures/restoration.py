"""Corrupted images, restored by a model and by methods that need no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.model.corruptions import patch_side
from zoo.types import Corruption

Restorer = Callable[[Tensor, Tensor], Tensor]
BATCH = 512
# Exchanges after which the fifth of nine values is their median: A. Paeth, "Median finding on a 3x3 grid", 1990.
EXCHANGES = (
    *((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3)),
    *((5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)),
)


@dataclass(frozen=True)
class Restoration:
    """Squared errors of restored images, by strength of the corruption and by restorer.

    Attributes:
        axis: name of the strength: "std", "rate", ...
        levels: strengths.
        masked: (L,) float64, number of values (pixels times channels) under the mask, over all images.
        untouched: (L,) float64, number of the other values.
        inside: {restorer: (L,) float64}, sums of squared errors over the masked values.
        outside: the same over the untouched values.
        drawn: (L,) float64, number of masked values on patches that are not blank (see `not_blank`).
        inside_drawn: as inside, over these values alone.
        n: images.
    """

    axis: str
    levels: list[float]
    masked: Tensor
    untouched: Tensor
    inside: dict[str, Tensor]
    outside: dict[str, Tensor]
    drawn: Tensor
    inside_drawn: dict[str, Tensor]
    n: int

    def mse_inside(self) -> dict[str, Tensor]:
        """{restorer: (L,)}, mean squared error per masked value."""
        return {name: error / self.masked for name, error in self.inside.items()}

    def mse_inside_drawn(self) -> dict[str, Tensor]:
        """{restorer: (L,)}, mean squared error per masked value on patches that are not blank."""
        return {name: error / self.drawn for name, error in self.inside_drawn.items()}

    def mse_outside(self) -> dict[str, Tensor]:
        """{restorer: (L,)}, mean squared error per untouched value."""
        return {name: error / self.untouched for name, error in self.outside.items()}

    def mse(self) -> dict[str, Tensor]:
        """{restorer: (L,)}, mean squared error per value."""
        return {
            name: (error + self.outside[name]) / (self.masked + self.untouched) for name, error in self.inside.items()
        }


def restore(
    x: Tensor, axis: str, corruptions: Mapping[float, Corruption], restorers: Mapping[str, Restorer], seed: int
) -> Restoration:
    """Corrupt images at several strengths, and restore them in several ways.

    Args:
        x: (N, C, H, W), the clean images.
        axis: name of the strength.
        corruptions: {strength: corruption}, each of which returns a mask; all start from the same seed.
        restorers: {name: function of (corrupted images, mask (B, 1, H, W)) to images}.
        seed: determines the corruption.
    """
    inside, outside, inside_drawn = (
        {name: torch.zeros(len(corruptions), dtype=torch.float64) for name in restorers} for _ in range(3)
    )
    masked, drawn = torch.zeros(2, len(corruptions), dtype=torch.float64)
    for level, corruption in enumerate(corruptions.values()):
        generator = torch.Generator().manual_seed(seed)
        for part in torch.split(x, BATCH):
            seen, mask = corruption(part, generator)
            assert mask is not None, "the corruption has to return a mask"
            marked = mask * not_blank(part)
            masked[level] += mask.sum() * x.shape[1]
            drawn[level] += marked.sum() * x.shape[1]
            for name, restorer in restorers.items():
                error = (restorer(seen, mask) - part).square_().sum(1, keepdim=True)
                within = (error * mask).sum()
                inside[name][level] += within
                outside[name][level] += error.sum() - within
                inside_drawn[name][level] += (error * marked).sum()
    return Restoration(
        axis, list(corruptions), masked, x.numel() - masked, inside, outside, drawn, inside_drawn, len(x)
    )


def not_blank(x: Tensor) -> Tensor:
    """One on patches (of `patch_side`) whose pixels are not all equal: (B, C, H, W) -> (B, 1, H, W)."""
    side = patch_side(*x.shape[2:])
    spread = F.max_pool2d(x, side) + F.max_pool2d(-x, side)  # largest minus smallest
    drawn = (spread > 0).any(1, keepdim=True).to(x.dtype)
    return drawn.repeat_interleave(side, 2).repeat_interleave(side, 3)


def unchanged(seen: Tensor, mask: Tensor) -> Tensor:
    """The corrupted images themselves."""
    return seen


def median_filter(seen: Tensor, mask: Tensor) -> Tensor:
    """Each pixel's median over 3x3 pixels, edges reflected, channel by channel; a tenth of the time of SciPy's."""
    height, width = seen.shape[2:]
    padded = seen[:, :, mirrored(height)][:, :, :, mirrored(width)]
    values = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    for i, j in EXCHANGES:
        values[i], values[j] = torch.minimum(values[i], values[j]), torch.maximum(values[i], values[j])
    return values[4]


def mirrored(size: int) -> Tensor:
    """Rows of an image of `size` rows with one more at each end, reflected at the outermost row."""
    return torch.tensor([min(1, size - 1), *range(size), max(size - 2, 0)])


def fill_with(image: Tensor) -> Restorer:
    """Fill masked pixels with those of `image`: (C, H, W)."""
    return lambda seen, mask: torch.where(mask == 1, image, seen)
