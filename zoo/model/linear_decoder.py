"""The atoms of a decoder that is linear in the code: decode(z) = decode(0) + sum_i z_i a_i."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Decode = Callable[[Tensor], Tensor]
BATCH, TRIED = 512, 8


def atoms_of(decode: Decode, width: int) -> Tensor | None:
    """The atoms a_i of a decoder: (D, C, H, W); None where it is not linear, or not finite.

    Linearity is tested on combinations of random codes, up to the rounding of float32.

    Args:
        decode: (B, D) -> (B, C, H, W).
        width: D.
    """
    a, b = torch.randn(2, TRIED, width, generator=torch.Generator().manual_seed(0))
    origin = decode(torch.zeros(1, width))
    expected = 0.3 * (decode(a) - origin) + 2.0 * (decode(b) - origin)
    largest = float(expected.abs().max())
    if not math.isfinite(largest):
        return None
    if not torch.allclose(decode(0.3 * a + 2.0 * b) - origin, expected, rtol=1e-3, atol=1e-3 * largest):
        return None
    return columns(decode, width, origin)


def columns(decode: Decode, width: int, origin: Tensor) -> Tensor:
    """What each unit adds to an image: decode(e_i) - decode(0): (D, C, H, W).

    Args:
        decode: (B, D) -> (B, C, H, W).
        width: D.
        origin: decode(0): (1, C, H, W).
    """
    return torch.cat([decode(part) - origin for part in torch.split(torch.eye(width), BATCH)])
