"""Damaged test images, and what the model makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from torch import Tensor

from zoo import corruption
from zoo.evaluation.restoration import Restoration, Restorer, as_it_is, fill_with, median_filter, restore
from zoo.evaluation.subject.basis import Basis
from zoo.types import Corruption

SEED = 0


class Damaged(Basis):
    """Errors of the model, and of what one would do without it, on test images under each kind of damage."""

    @property
    def gaussian_noise(self) -> Restoration:
        """Test images under Gaussian noise."""
        damages = {std: corruption.Gaussian(std) for std in (0.1, 0.2, 0.3, 0.5, 0.75)}
        return self.restoration("std", damages, {"median filter": median_filter})

    @property
    def salt_and_pepper(self) -> Restoration:
        """Test images with pixels turned black or white."""
        damages = {rate: corruption.SaltAndPepper(rate) for rate in (0.05, 0.1, 0.2, 0.3, 0.5)}
        return self.restoration("rate", damages, {"median filter": median_filter})

    @property
    def pixelation(self) -> Restoration:
        """Test images in coarse blocks."""
        return self.restoration("block side", {side: corruption.Pixelate(side) for side in (2, 3, 4)}, {})

    @cached_property
    def block_holes(self) -> Restoration:
        """Test images with a hidden block."""
        damages = {fraction: corruption.BlockMask(fraction) for fraction in (0.25, 0.375, 0.5, 0.75)}
        return self.restoration("fraction", damages, {"mean image": fill_with(self.references.mean_image)})

    @cached_property
    def pixel_holes(self) -> Restoration:
        """Test images with hidden pixels."""
        damages = {rate: corruption.PixelMask(rate) for rate in (0.1, 0.25, 0.5, 0.75, 0.9)}
        return self.restoration("rate", damages, {"mean image": fill_with(self.references.mean_image)})

    @cached_property
    def stains(self) -> Restoration:
        """Test images with blots and creases."""
        damages: dict[float, Corruption] = {n: corruption.Stain(blots=n, creases=n // 2) for n in (2, 4, 8)}
        rivals = {"mean image": fill_with(self.references.mean_image), "median filter": median_filter}
        return self.restoration("blots", damages, rivals)

    def restoration(
        self, axis: str, damages: Mapping[float, Corruption], rivals: Mapping[str, Restorer]
    ) -> Restoration:
        """Errors of the model and of `rivals` on damaged test images; where a hole is, the model may know."""
        hides = all(damage.hides for damage in damages.values())

        def model(seen: Tensor, mask: Tensor) -> Tensor:
            return self.decode(self.encode(seen, mask if hides else None))

        return restore(self.x, axis, damages, {"model": model, "damaged": as_it_is, **rivals}, SEED)
