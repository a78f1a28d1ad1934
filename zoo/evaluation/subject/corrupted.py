"""Corrupted test images, and what the model reconstructs of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from zoo.evaluation.measures.corruption_series import SERIES
from zoo.evaluation.measures.restoration import Restoration, Restorer, fill_with, median_filter, restore, unchanged
from zoo.evaluation.subject.encoded import Encoded

SEED = 0


class Corrupted(Encoded):
    """Errors of the model, and of methods that need no model, on test images under each kind of corruption."""

    @property
    def gaussian_noise(self) -> Restoration:
        """Test images with Gaussian noise."""
        return self.restoration("Gaussian noise", {"median filter": median_filter})

    @property
    def salt_and_pepper(self) -> Restoration:
        """Test images with pixels turned black or white."""
        return self.restoration("salt and pepper", {"median filter": median_filter})

    @property
    def pixelation(self) -> Restoration:
        """Test images in coarse blocks."""
        return self.restoration("pixelation", {})

    @cached_property
    def block_masks(self) -> Restoration:
        """Test images with a masked block."""
        return self.restoration("masked block", {"mean image": fill_with(self.references.mean_image)})

    @cached_property
    def pixel_masks(self) -> Restoration:
        """Test images with masked pixels."""
        return self.restoration("masked pixels", {"mean image": fill_with(self.references.mean_image)})

    @cached_property
    def stains(self) -> Restoration:
        """Test images with blots and creases."""
        others = {"mean image": fill_with(self.references.mean_image), "median filter": median_filter}
        return self.restoration("stains", others)

    def restoration(self, name: str, others: Mapping[str, Restorer]) -> Restoration:
        """Errors of the model and of other methods; masks are passed to encoders that read masks."""
        series = SERIES[name]
        masks = all(corruption.masks for corruption in series.levels.values())

        def model(seen: Tensor, mask: Tensor) -> Tensor:
            return self.decode(self.encode(seen, mask if masks else None))

        restorers = {"model": model, "corrupted": unchanged, **others}
        return restore(self.x, series.axis, series.levels, restorers, SEED)
