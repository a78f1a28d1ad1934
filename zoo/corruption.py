"""Damage to what the encoder is shown; each class satisfies `zoo.types.Corruption`.

The mask that comes back is one wherever the image may have been touched and broadcasts over channels: (B, 1, H, W).
Strengths given as a `Level` may be a range, from which every image draws its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import ZooError

Level = float | Sequence[float]  # one strength for all images, or the two ends of a range


@dataclass(frozen=True)
class Clean:
    """No damage: the encoder sees x."""

    hides: ClassVar[bool] = False

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """Return x as it is, and no mask."""
        return x, None


@dataclass(frozen=True)
class Binarise:
    """Every pixel above 0.5 white and every other black, no damage either: what a Bernoulli likelihood explains."""

    hides: ClassVar[bool] = False

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """Return the image in two grey levels, and no mask."""
        return (x > 0.5).to(x.dtype), None


@dataclass(frozen=True)
class Gaussian:
    """x + std * eps, eps ~ N(0, 1) per pixel and channel; not clipped, so its strength is as stated everywhere.

    P. Vincent et al., "Stacked Denoising Autoencoders", JMLR 11, 2010.

    Args:
        std: in units of the pixel range [0, 1].
    """

    hides: ClassVar[bool] = False

    std: Level = 0.5

    def __post_init__(self) -> None:
        _check_level("std", self.std, math.inf)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the noisy image and a mask of ones."""
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        if isinstance(self.std, Sequence):
            noise *= _per_image(self.std, x, generator)
            return x + noise, _everywhere(x)
        return x.add(noise, alpha=self.std), _everywhere(x)


@dataclass(frozen=True)
class BlockMask:
    """A rectangle at a random place, one per image, painted over with `fill`.

    D. Pathak et al., "Context Encoders: Feature Learning by Inpainting", 2016, arXiv:1604.07379.

    Args:
        fraction: the block's height and width as a fraction of the image's.
        fill: what stands in the hole.
    """

    hides: ClassVar[bool] = True

    fraction: float = 0.5
    fill: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise ZooError(f"corruption.fraction={self.fraction}: a block's side is in (0, 1] of the image's")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the image with its hole, and the hole."""
        spans = []
        for length in x.shape[2:]:
            side = max(1, round(self.fraction * length))
            start = torch.randint(length - side + 1, (len(x), 1), generator=generator, device=x.device)
            place = torch.arange(length, device=x.device)
            spans.append((place >= start) & (place < start + side))
        hole = spans[0][:, None, :, None] & spans[1][:, None, None, :]
        return x.masked_fill(hole, self.fill), hole.to(x.dtype)


@dataclass(frozen=True)
class PixelMask:
    """Pixels hidden one by one, each with probability `rate`, and painted over with `fill`.

    P. Vincent et al., "Extracting and Composing Robust Features with Denoising Autoencoders", 2008 (masking noise).

    Args:
        rate: share of pixels hidden.
        fill: what stands in their place.
    """

    hides: ClassVar[bool] = True

    rate: Level = 0.5
    fill: float = 0.0

    def __post_init__(self) -> None:
        _check_level("rate", self.rate, 1)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the image with its holes, and the holes."""
        hole = _uniform(x, generator) < _per_image(self.rate, x, generator)
        return x.masked_fill(hole, self.fill), hole.to(x.dtype)


@dataclass(frozen=True)
class PatchMask:
    """A share `rate` of the image's square patches, as many in every image, painted over with `fill`.

    K. He et al., "Masked Autoencoders Are Scalable Vision Learners", 2021, arXiv:2111.06377, section 3.

    Args:
        rate: share of patches hidden, rounded to whole patches.
        fill: what stands in their place.
    """

    hides: ClassVar[bool] = True

    rate: float = 0.75
    fill: float = 0.0

    def __post_init__(self) -> None:
        _check_level("rate", self.rate, 1)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the image without the patches (their side: `patch_side`), and the patches."""
        height, width = x.shape[2:]
        side = patch_side(height, width)
        rows, columns = height // side, width // side
        order = torch.rand(len(x), rows * columns, generator=generator, device=x.device).argsort(1)
        hole = (order < round(self.rate * rows * columns)).view(-1, 1, rows, columns)
        hole = hole.repeat_interleave(side, 2).repeat_interleave(side, 3)
        return x.masked_fill(hole, self.fill), hole.to(x.dtype)


@dataclass(frozen=True)
class SaltAndPepper:
    """Each pixel with probability `rate` turned black or white, as likely the one as the other.

    P. Vincent et al., "Stacked Denoising Autoencoders", JMLR 11, 2010.

    Args:
        rate: share of pixels touched.
    """

    hides: ClassVar[bool] = False

    rate: Level = 0.25

    def __post_init__(self) -> None:
        _check_level("rate", self.rate, 1)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the speckled image, and where it was touched."""
        u = _uniform(x, generator)
        rate = _per_image(self.rate, x, generator)
        touched = u < rate
        return torch.where(touched, (u < rate / 2).to(x.dtype), x), touched.to(x.dtype)


@dataclass(frozen=True)
class Pixelate:
    """Every block of `size` x `size` pixels replaced by its mean; blocks at the far edges are what is left.

    Args:
        size: side of a block in pixels, or the smallest and the largest of a range.
    """

    hides: ClassVar[bool] = False

    size: int | Sequence[int] = 4

    def __post_init__(self) -> None:
        low, high = _ends(self.size)
        if not 1 <= low <= high:
            raise ZooError(f"corruption.size={self.size}: a block is at least 1 pixel wide, and a range rises")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the coarse image and a mask of ones."""
        if not isinstance(self.size, Sequence):
            return self._coarse(x, self.size), _everywhere(x)
        low, high = self.size
        sizes = torch.randint(low, high + 1, (len(x), 1, 1, 1), generator=generator, device=x.device)
        seen = x
        for size in range(low, high + 1):
            seen = torch.where(sizes == size, self._coarse(x, size), seen)
        return seen, _everywhere(x)

    def _coarse(self, x: Tensor, size: int) -> Tensor:
        means = F.avg_pool2d(x, size, ceil_mode=True)  # partial windows divide by what they hold
        rows, columns = (torch.arange(length, device=x.device) // size for length in x.shape[2:])
        return means[:, :, rows][:, :, :, columns]


@dataclass(frozen=True)
class Stain:
    """Blots and creases, each painted over the image in a grey of its own.

    A blot is a disc around a random pixel whose radius varies by 30 % as it goes round: r (1 + 0.3 sin(3 a + phase)). A
    crease is a straight line through a random pixel in a random direction.

    Args:
        blots: blots per image.
        creases: creases per image.
        radius: of a blot, as a fraction of the image's shorter side.
        width: of a crease, likewise.
    """

    hides: ClassVar[bool] = True

    blots: int = 2
    creases: int = 1
    radius: float = 0.12
    width: float = 0.06

    def __post_init__(self) -> None:
        for name in ("blots", "creases", "radius", "width"):
            if not getattr(self, name) >= 0:
                raise ZooError(f"corruption.{name}={getattr(self, name)}: blots and creases have no negative {name}")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the stained image and its stains."""
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

    So 8x8 pixels make 16 patches of 2x2, 28x28 make 49 of 4x4, 64x64 make 64 of 8x8.
    """
    return max(side for side in range(1, math.isqrt(min(height, width)) + 1) if height % side == width % side == 0)


def _uniform(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """One number from U(0, 1) per pixel: (B, 1, H, W)."""
    return torch.rand(len(x), 1, *x.shape[2:], generator=generator, device=x.device, dtype=x.dtype)


def _everywhere(x: Tensor) -> Tensor:
    """A mask of ones: (B, 1, H, W)."""
    return x.new_ones(()).expand(len(x), 1, *x.shape[2:])


def _per_image(level: Level, x: Tensor, generator: torch.Generator | None) -> float | Tensor:
    """A fixed level as it is; of a range, one draw from U(low, high) per image: (B, 1, 1, 1)."""
    if not isinstance(level, Sequence):
        return level
    low, high = level
    return low + (high - low) * torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device, dtype=x.dtype)


def _ends(level: Level) -> tuple[float, float]:
    if not isinstance(level, Sequence):
        return level, level
    if len(level) != 2:
        raise ZooError(f"corruption level {list(level)}: a range has two ends, [low, high]")
    return level[0], level[1]


def _check_level(name: str, level: Level, most: float) -> None:
    low, high = _ends(level)
    if not 0 <= low <= high <= most:
        raise ZooError(f"corruption.{name}={level}: a level is in [0, {most:g}], and a range rises from low to high")
