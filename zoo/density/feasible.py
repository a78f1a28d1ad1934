"""Draws of codes that a bottleneck could have emitted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.types import Discrete


def feasible(z: Tensor, codes: Tensor, codebook: Discrete | None) -> Tensor:
    """Draws z (N, D) of a density of codes, moved to the nearest codes that the bottleneck can emit.

    Of a discrete code, the nearest entries. Of a sparse code, as many units of largest size as codes have on average,
    none below zero if no code is; the others are zero.

    Args:
        z: (N, D).
        codes: (M, D), codes of training samples.
        codebook: the bottleneck, if its codes are discrete.
    """
    if codebook is not None:
        return codebook.points(codebook.indices(z))
    active = codes != 0
    if bool(active.all()):
        return z
    z = z.clamp(min=0.0 if bool((codes >= 0).all()) else -math.inf)
    kept = max(1, round(int(active.sum()) / len(codes)))
    least = z.abs().topk(kept, 1).values[:, -1:]
    return torch.where(z.abs() >= least, z, 0.0)
