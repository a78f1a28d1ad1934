"""The corruptions that test images are evaluated under, each at several strengths, weakest first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zoo.model.corruptions import BlockMask, GaussianNoise, Pixelate, PixelMask, SaltAndPepper, Stain
from zoo.types import Corruption


@dataclass(frozen=True)
class Series:
    """A corruption at several strengths.

    Attributes:
        axis: name of the strength: "std", "rate", ...
        levels: {strength: corruption}, weakest first.
    """

    axis: str
    levels: Mapping[float, Corruption]

    @property
    def weakest(self) -> Corruption:
        """The corruption of the first strength."""
        return next(iter(self.levels.values()))


SERIES = {
    "Gaussian noise": Series("std", {std: GaussianNoise(std) for std in (0.1, 0.2, 0.3, 0.5, 0.75)}),
    "salt and pepper": Series("rate", {rate: SaltAndPepper(rate) for rate in (0.05, 0.1, 0.2, 0.3, 0.5)}),
    "pixelation": Series("block side", {side: Pixelate(side) for side in (2, 3, 4)}),
    "masked block": Series("fraction", {fraction: BlockMask(fraction) for fraction in (0.25, 0.375, 0.5, 0.75)}),
    "masked pixels": Series("rate", {rate: PixelMask(rate) for rate in (0.1, 0.25, 0.5, 0.75, 0.9)}),
    "stains": Series("blots", {n: Stain(blots=n, creases=n // 2) for n in (2, 4, 8)}),
}
