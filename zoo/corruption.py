"""Damage to what the encoder is shown; each class satisfies `zoo.types.Corruption`.

The mask that comes back is one wherever the image may have been touched and broadcasts over channels: (B, 1, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import ZooError


@dataclass(frozen=True)
class Clean:
    """No damage: the encoder sees x."""

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, None]:
        """Return x as it is, and no mask."""
        return x, None


@dataclass(frozen=True)
class Gaussian:
    """x + std * eps, eps ~ N(0, 1) per pixel and channel; not clipped, so its strength is as stated everywhere.

    P. Vincent et al., "Stacked Denoising Autoencoders", JMLR 11, 2010.

    Args:
        std: in units of the pixel range [0, 1].
    """

    std: float = 0.5

    def __post_init__(self) -> None:
        if not self.std >= 0:
            raise ZooError(f"corruption.std={self.std}: a standard deviation is 0 or more")

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the noisy image and a mask of ones."""
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return x.add(noise, alpha=self.std), x.new_ones(()).expand(len(x), 1, *x.shape[2:])


@dataclass(frozen=True)
class BlockMask:
    """A rectangle at a random place, one per image, painted over with `fill`.

    D. Pathak et al., "Context Encoders: Feature Learning by Inpainting", 2016, arXiv:1604.07379.

    Args:
        fraction: the block's height and width as a fraction of the image's.
        fill: what stands in the hole.
    """

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
