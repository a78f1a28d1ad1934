"""Points of the code space in gaps: between codes of images, and beyond them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.evaluation.registry import NotApplicable


@dataclass(frozen=True)
class GapPoints:
    """Decoded points of the code space, by kind of point.

    Attributes:
        distance: {kind: (P,)}, distance of each decoded point to the nearest training image in feature space, over the
            mean of this distance for test images.
        realism: {kind: (P,)}, 1 where that distance is within the central 95 % of those of test images, else 0.
        shift: {kind: (P,)}, |encode(decode(z)) - z| over the overall standard deviation of the codes.
    """

    distance: dict[str, Tensor]
    realism: dict[str, Tensor]
    shift: dict[str, Tensor]


def straight(a: Tensor, b: Tensor) -> Tensor:
    """Halfway between codes a, b: (P, D)."""
    return (a + b) / 2


def spherical(a: Tensor, b: Tensor, origin: Tensor) -> Tensor:
    """Halfway between codes a, b: (P, D) along the great circle around `origin`: (D,).

        (sin(w/2) a + sin(w/2) b) / sin(w) = (a + b) / (2 cos(w/2)), w the angle between a and b

    K. Shoemake, "Animating rotation with quaternion curves", 1985; for codes T. White 2016, arXiv:1609.04468. Halfway
    between opposite codes, which no single great circle connects, is the origin.
    """
    a, b = a - origin, b - origin
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=1)[:, None]
    half = ((1 + cosine.clamp(-1, 1)) / 2).sqrt()
    return origin + torch.where(half > 1e-3, (a + b) / (2 * half), 0)


def in_box(codes: Tensor, n: int, seed: int) -> Tensor:
    """n uniform draws from the axis-parallel box that encloses codes (N, D): (n, D)."""
    low, high = codes.amin(0), codes.amax(0)
    u = torch.rand(n, codes.shape[1], generator=torch.Generator().manual_seed(seed))
    return low + (high - low) * u


def pairs(codes: Tensor, n: int, seed: int) -> tuple[Tensor, Tensor]:
    """n pairs of two different codes each: twice (n, D); NotApplicable if there is a single code."""
    if len(codes) < 2:
        raise NotApplicable("there is a single test image, and no gap between codes")
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(len(codes), (n,), generator=generator)
    other = (first + torch.randint(1, len(codes), (n,), generator=generator)) % len(codes)
    return codes[first], codes[other]
