"""Corrupted images, restored by a model and by methods that need no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.evaluation.measures.influence import ratio
from zoo.model.corruptions import patch_side
from zoo.types import Corruption

Restorer = Callable[[Tensor, Tensor], Tensor]
Part = Literal["inside", "outside", "drawn", "all"]
BATCH = 512
# Exchanges after which the fifth of nine values is their median: A. Paeth, "Median finding on a 3x3 grid", 1990.
EXCHANGES = (
    *((1, 2), (4, 5), (7, 8), (0, 1), (3, 4), (6, 7), (1, 2), (4, 5), (7, 8), (0, 3)),
    *((5, 8), (4, 7), (3, 6), (1, 4), (2, 5), (4, 7), (4, 2), (6, 4), (4, 2)),
)


@dataclass(frozen=True)
class Restoration:
    """Squared errors of restored images, by strength of the corruption, by restorer and by image.

    Values are pixels times channels. The parts of an image are "inside" the mask, "outside" it, "drawn", which is
    inside the mask on patches that are not blank (see `not_blank`), and "all".

    Attributes:
        axis: name of the strength: "std", "rate", ...
        levels: L strengths.
        counts: {part: (L, N) float64, the number of values of each image in it}.
        errors: {restorer: {part: (L, N) float64, sums of squared errors over these}}.
    """

    axis: str
    levels: list[float]
    counts: dict[Part, Tensor]
    errors: dict[str, dict[Part, Tensor]]

    def mse(self, part: Part) -> dict[str, Tensor]:
        """{restorer: (L,)}, mean squared error per value of a part, over all images."""
        return {name: error[part].sum(1) / self.counts[part].sum(1) for name, error in self.errors.items()}

    def influence(self, part: Part, restorer: str) -> Tensor:
        """The influence of each image on the mean over strengths of a restorer's mse: (N,)."""
        levels = zip(self.errors[restorer][part], self.counts[part], strict=True)
        return torch.stack([ratio(errors, counts).influence for errors, counts in levels]).mean(0)


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

    def table() -> dict[Part, Tensor]:
        return {part: torch.zeros(len(corruptions), len(x), dtype=torch.float64) for part in get_args(Part)}

    counts, errors = table(), {name: table() for name in restorers}
    for level, corruption in enumerate(corruptions.values()):
        generator = torch.Generator().manual_seed(seed)
        for start in range(0, len(x), BATCH):
            clean, rows = x[start : start + BATCH], slice(start, start + BATCH)
            seen, mask = corruption(clean, generator)
            assert mask is not None, "the corruption has to return a mask"
            places: dict[Part, Tensor] = {
                "inside": mask,
                "outside": 1 - mask,
                "drawn": mask * not_blank(clean),
                "all": torch.ones_like(mask),
            }
            for part, place in places.items():
                counts[part][level, rows] = place.flatten(1).sum(1).double() * x.shape[1]
            for name, restorer in restorers.items():
                error = (restorer(seen, mask) - clean).square_().sum(1, keepdim=True)
                for part, place in places.items():
                    errors[name][part][level, rows] = (error * place).flatten(1).sum(1).double()
    return Restoration(axis, list(corruptions), counts, errors)


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
