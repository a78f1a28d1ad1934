"""Data augmentation: random changes of training images, the same for the encoder's input and the target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_count


@dataclass(frozen=True)
class Shift:
    """Move each image by whole pixels along both axes, uniformly from -pixels to pixels; edge pixels are repeated.

    Args:
        pixels: the largest shift.

    Raises:
        ZooError: not a whole number, or less than 1.
    """

    pixels: int = 1

    def __post_init__(self) -> None:
        check_count(self.pixels, "fit.augment.pixels")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, _, height, width = x.shape
        padded = F.pad(x, 4 * (self.pixels,), mode="replicate")
        offsets = torch.randint(2 * self.pixels + 1, (2, batch, 1), generator=generator, device=x.device)
        rows = offsets[0] + torch.arange(height, device=x.device)
        columns = offsets[1] + torch.arange(width, device=x.device)
        images = torch.arange(batch, device=x.device)[:, None, None]
        # indexing moves the axis of channels to the end: (B, H, W, C)
        return padded[images, :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)
