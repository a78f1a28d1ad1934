"""Variations of training images that a fit is shown in their place; encoder's input and target vary together."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import ZooError


@dataclass(frozen=True)
class Shift:
    """Move each image by whole pixels, -pixels to pixels along either axis, all equally probable; edges are repeated.

    Args:
        pixels: the largest shift.
    """

    pixels: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.pixels, int) or self.pixels < 1:
            raise ZooError(f"fit.augment.pixels={self.pixels}: a shift is a whole number of pixels, at least 1")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, _, height, width = x.shape
        padded = F.pad(x, 4 * (self.pixels,), mode="replicate")
        offsets = torch.randint(2 * self.pixels + 1, (2, batch, 1), generator=generator, device=x.device)
        rows = offsets[0] + torch.arange(height, device=x.device)
        columns = offsets[1] + torch.arange(width, device=x.device)
        images = torch.arange(batch, device=x.device)[:, None, None]
        # the axis of channels comes last of the indexed ones: (B, H, W, C)
        return padded[images, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)
