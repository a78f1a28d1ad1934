"""Corruptions that mask pixels: they replace all information under the mask, so that encoders may receive the mask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo.checks import check_count, check_finite, check_fraction, is_finite
from zoo.errors import ZooError
from zoo.model.corruptions.levels import Level, check_level, level_per_image, uniform_per_pixel
from zoo.types import Serves


@dataclass(frozen=True)
class BlockMask(Serves):
    """One rectangle per image, at a random place, set to `fill`.

    D. Pathak et al., "Context Encoders: Feature Learning by Inpainting", 2016, arXiv:1604.07379.

    Args:
        fraction: the block's height and width as a fraction of the image's.
        fill: value of masked pixels.

    Raises:
        ZooError: a fraction outside (0, 1].
    """

    kinds = ("image",)
    masks: ClassVar[bool] = True

    fraction: float = 0.5
    fill: float = 0.0

    def __post_init__(self) -> None:
        if not is_finite(self.fraction) or not 0 < self.fraction <= 1:
            raise ZooError(f"corruption.fraction={self.fraction}: the side of a block is in (0, 1] of the image's")
        check_finite(self.fill, "corruption.fill")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the masked image and the mask."""
        spans = []
        for length in x.shape[2:]:
            side = max(1, round(self.fraction * length))
            start = torch.randint(length - side + 1, (len(x), 1), generator=generator, device=x.device)
            place = torch.arange(length, device=x.device)
            spans.append((place >= start) & (place < start + side))
        mask = spans[0][:, None, :, None] & spans[1][:, None, None, :]
        return x.masked_fill(mask, self.fill), mask.to(x.dtype)


@dataclass(frozen=True)
class PixelMask:
    """Each pixel is masked with probability `rate` and set to `fill`.

    P. Vincent et al., "Extracting and Composing Robust Features with Denoising Autoencoders", 2008 (masking noise).

    Args:
        rate: share of pixels masked; or the ends of a range, drawn per image.
        fill: value of masked pixels.

    Raises:
        ZooError: a rate outside [0, 1], or a range in descending order.
    """

    masks: ClassVar[bool] = True

    rate: Level = 0.5
    fill: float = 0.0

    def __post_init__(self) -> None:
        check_level("rate", self.rate, 1)
        check_finite(self.fill, "corruption.fill")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the masked image and the mask."""
        mask = uniform_per_pixel(x, generator) < level_per_image(self.rate, x, generator)
        return x.masked_fill(mask, self.fill), mask.to(x.dtype)


@dataclass(frozen=True)
class PatchMask(Serves):
    """A share `rate` of the image's square patches, the same number in every image, set to `fill`.

    K. He et al., "Masked Autoencoders Are Scalable Vision Learners", 2021, arXiv:2111.06377, section 3.

    Args:
        rate: share of patches masked, rounded to whole patches.
        fill: value of masked pixels.

    Raises:
        ZooError: a rate outside [0, 1].
    """

    kinds = ("image",)
    masks: ClassVar[bool] = True

    rate: float = 0.75
    fill: float = 0.0

    def __post_init__(self) -> None:
        check_fraction(self.rate, "corruption.rate")
        check_finite(self.fill, "corruption.fill")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the masked image and the mask; patches have the side `patch_side`."""
        height, width = x.shape[2:]
        side = patch_side(height, width)
        rows, columns = height // side, width // side
        order = torch.rand(len(x), rows * columns, generator=generator, device=x.device).argsort(1)
        mask = (order < round(self.rate * rows * columns)).view(-1, 1, rows, columns)
        mask = mask.repeat_interleave(side, 2).repeat_interleave(side, 3)
        return x.masked_fill(mask, self.fill), mask.to(x.dtype)


@dataclass(frozen=True)
class Stain(Serves):
    """Blots and creases, each of one random grey level.

    A blot is a disc around a random pixel with the radius r (1 + 0.3 sin(3 a + phase)) at angle a. A crease is a
    straight line through a random pixel in a random direction.

    Args:
        blots: blots per image.
        creases: creases per image.
        radius: radius of a blot, as a fraction of the image's shorter side.
        width: width of a crease, as a fraction of the image's shorter side.

    Raises:
        ZooError: a negative value.
    """

    kinds = ("image",)
    masks: ClassVar[bool] = True

    blots: int = 2
    creases: int = 1
    radius: float = 0.12
    width: float = 0.06

    def __post_init__(self) -> None:
        for name in ("blots", "creases"):
            check_count(getattr(self, name), f"corruption.{name}", least=0)
        for name in ("radius", "width"):
            check_finite(getattr(self, name), f"corruption.{name}", least=0)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the stained image and the mask of its stains."""
        height, width = x.shape[2:]
        side = min(height, width)
        y = torch.arange(height, device=x.device, dtype=x.dtype)[:, None] + 0.5
        z = torch.arange(width, device=x.device, dtype=x.dtype)[None, :] + 0.5
        stains = torch.zeros(len(x), 1, height, width, dtype=torch.bool, device=x.device)
        for i in range(self.blots + self.creases):
            u = torch.rand(4, len(x), 1, 1, 1, generator=generator, device=x.device, dtype=x.dtype)
            down, right, turn, grey = y - u[0] * height, z - u[1] * width, 2 * math.pi * u[2], u[3]
            if i < self.blots:
                edge = self.radius * side * (1 + 0.3 * torch.sin(3 * torch.atan2(down, right) + turn))
                stain = torch.hypot(down, right) < edge
            else:
                stain = (down * torch.cos(turn) + right * torch.sin(turn)).abs() < self.width * side / 2
            x, stains = torch.where(stain, grey, x), stains | stain
        return x, stains.to(x.dtype)


def patch_side(height: int, width: int) -> int:
    """Side of the square patches of an image: the largest that divides both sides and is at most the root of either.

    8x8 pixels make 16 patches of 2x2, 28x28 make 49 of 4x4, 64x64 make 64 of 8x8.
    """
    return max(side for side in range(1, math.isqrt(min(height, width)) + 1) if height % side == width % side == 0)
