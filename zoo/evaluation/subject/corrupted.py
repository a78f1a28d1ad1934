"""Corrupted test images, and what the model reconstructs of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from zoo.evaluation.measures.restoration import Restoration, Restorer, fill_with, median_filter, restore, unchanged
from zoo.evaluation.subject.encoded import Encoded
from zoo.model.corruptions import BlockMask, GaussianNoise, Pixelate, PixelMask, SaltAndPepper, Stain
from zoo.types import Corruption

SEED = 0


class Corrupted(Encoded):
    """Errors of the model, and of methods that need no model, on test images under each kind of corruption."""

    @property
    def gaussian_noise(self) -> Restoration:
        """Test images with Gaussian noise."""
        corruptions = {std: GaussianNoise(std) for std in (0.1, 0.2, 0.3, 0.5, 0.75)}
        return self.restoration("std", corruptions, {"median filter": median_filter})

    @property
    def salt_and_pepper(self) -> Restoration:
        """Test images with pixels turned black or white."""
        corruptions = {rate: SaltAndPepper(rate) for rate in (0.05, 0.1, 0.2, 0.3, 0.5)}
        return self.restoration("rate", corruptions, {"median filter": median_filter})

    @property
    def pixelation(self) -> Restoration:
        """Test images in coarse blocks."""
        return self.restoration("block side", {side: Pixelate(side) for side in (2, 3, 4)}, {})

    @cached_property
    def block_masks(self) -> Restoration:
        """Test images with a masked block."""
        corruptions = {fraction: BlockMask(fraction) for fraction in (0.25, 0.375, 0.5, 0.75)}
        return self.restoration("fraction", corruptions, {"mean image": fill_with(self.references.mean_image)})

    @cached_property
    def pixel_masks(self) -> Restoration:
        """Test images with masked pixels."""
        corruptions = {rate: PixelMask(rate) for rate in (0.1, 0.25, 0.5, 0.75, 0.9)}
        return self.restoration("rate", corruptions, {"mean image": fill_with(self.references.mean_image)})

    @cached_property
    def stains(self) -> Restoration:
        """Test images with blots and creases."""
        corruptions: dict[float, Corruption] = {n: Stain(blots=n, creases=n // 2) for n in (2, 4, 8)}
        others = {"mean image": fill_with(self.references.mean_image), "median filter": median_filter}
        return self.restoration("blots", corruptions, others)

    def restoration(
        self, axis: str, corruptions: Mapping[float, Corruption], others: Mapping[str, Restorer]
    ) -> Restoration:
        """Errors of the model and of other methods; masks are passed to encoders that read masks."""
        masks = all(corruption.masks for corruption in corruptions.values())

        def model(seen: Tensor, mask: Tensor) -> Tensor:
            return self.decode(self.encode(seen, mask if masks else None))

        return restore(self.x, axis, corruptions, {"model": model, "corrupted": unchanged, **others}, SEED)
