"""Corruptions that change pixels without masking them: noise, binarisation, lower resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import is_whole
from zoo.errors import ZooError
from zoo.model.corruptions.levels import Level, check_level, ends, full_mask, level_per_image, uniform_per_pixel
from zoo.types import Serves


@dataclass(frozen=True)
class NoCorruption(Serves):
    """The identity: the encoder receives x."""

    kinds = ("image", "vector", "counts")
    masks: ClassVar[bool] = False

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """Return x and no mask."""
        return x, None


@dataclass(frozen=True)
class Binarise(Serves):
    """x > 0.5, pixel by pixel, as the Bernoulli likelihood rounds its targets; no corruption in the narrow sense.

    In evaluation and use, too, the encoder receives binary images: it was fitted on no others, and grey ones are not
    their mean, because pixels are rounded and not drawn. Reconstructions are compared with the images as they are, as
    those of every model, so that errors contain what rounding loses. Burda et al. 2015 evaluate on binary images, as
    data=binary_mnist does.
    """

    kinds = ("image",)
    masks: ClassVar[bool] = False

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """Return the image of zeros and ones, and no mask."""
        return self.applied(x), None

    def applied(self, x: Tensor) -> Tensor:
        """The image of zeros and ones."""
        return (x > 0.5).to(x.dtype)


@dataclass(frozen=True)
class GaussianNoise:
    """x + std * eps, eps ~ N(0, 1) per pixel and channel, without clipping.

    P. Vincent et al., "Stacked Denoising Autoencoders", JMLR 11, 2010.

    Args:
        std: standard deviation, in units of the pixel range [0, 1]; or the ends of a range, drawn per image.

    Raises:
        ZooError: a std below 0, or a range in descending order.
    """

    masks: ClassVar[bool] = False

    std: Level = 0.5

    def __post_init__(self) -> None:
        check_level("std", self.std, math.inf)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the noisy image and a mask of ones."""
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        if isinstance(self.std, Sequence):
            noise *= level_per_image(self.std, x, generator)
            return x + noise, full_mask(x)
        return x.add(noise, alpha=self.std), full_mask(x)


@dataclass(frozen=True)
class SaltAndPepper(Serves):
    """Each pixel is set to 0 or 1, with equal probability, at probability `rate`.

    P. Vincent et al., "Stacked Denoising Autoencoders", JMLR 11, 2010.

    Args:
        rate: share of pixels changed; or the ends of a range, drawn per image.

    Raises:
        ZooError: a rate outside [0, 1], or a range in descending order.
    """

    kinds = ("image",)
    masks: ClassVar[bool] = False

    rate: Level = 0.25

    def __post_init__(self) -> None:
        check_level("rate", self.rate, 1)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the noisy image and the mask of changed pixels."""
        u = uniform_per_pixel(x, generator)
        rate = level_per_image(self.rate, x, generator)
        touched = u < rate
        return torch.where(touched, (u < rate / 2).to(x.dtype), x), touched.to(x.dtype)


@dataclass(frozen=True)
class Pixelate(Serves):
    """Every block of `size` x `size` pixels is replaced by its mean; blocks at the far edges may be smaller.

    Args:
        size: side of a block in pixels; or the ends of a range, drawn per image.

    Raises:
        ZooError: a size below 1, or a range in descending order.
    """

    kinds = ("image",)
    masks: ClassVar[bool] = False

    size: int | Sequence[int] = 4

    def __post_init__(self) -> None:
        low, high = ends(self.size)
        if not (is_whole(low) and is_whole(high) and 1 <= low <= high):
            raise ZooError(
                f"corruption.size={self.size}: a block is 1, 2, ... pixels wide; give a range as [low, high]"
            )

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the coarse image and a mask of ones."""
        if not isinstance(self.size, Sequence):
            return self._coarse(x, self.size), full_mask(x)
        low, high = (min(end, max(x.shape[2:])) for end in self.size)
        sizes = torch.randint(low, high + 1, (len(x), 1, 1, 1), generator=generator, device=x.device)
        seen = x
        for size in range(low, high + 1):
            seen = torch.where(sizes == size, self._coarse(x, size), seen)
        return seen, full_mask(x)

    def _coarse(self, x: Tensor, size: int) -> Tensor:
        size = min(size, max(x.shape[2:]))
        means = F.avg_pool2d(x, size, ceil_mode=True)  # partial windows divide by the pixels that they hold
        rows, columns = (torch.arange(length, device=x.device) // size for length in x.shape[2:])
        return means[:, :, rows][:, :, :, columns]
