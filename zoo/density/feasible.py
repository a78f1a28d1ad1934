"""Draws of codes that a bottleneck could have emitted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from zoo.linear_algebra import varying_columns

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.types import Discrete


FEW = 0.01  # of the entries of a dense code that may be zero


def is_sparse(codes: Tensor) -> bool:
    """Whether zeros are part of codes (M, D): more than 1 % of the entries of units that vary are exactly zero.

    A dense code may hold a zero by chance, such as that of a black image.
    """
    varies = varying_columns(codes)
    return bool(varies.any()) and float((codes[:, varies] == 0).float().mean()) > FEW


def feasible(z: Tensor, codes: Tensor, codebook: Discrete | None, places: int = 1) -> Tensor:
    """Draws z (N, D) of a density of codes, moved to the nearest codes that the bottleneck can emit.

    Draws of a discrete code become its nearest entries. Where codes hold zeros, units that are zero in every code are
    zero in draws, too, and draws are not negative if no code is. Of draws of a sparse code (see `is_sparse`), the
    largest units are kept, as many as codes have on average. Where codes have at most one active place in a feature
    map, so have draws.

    Args:
        z: (N, D).
        codes: (M, D), codes of training samples.
        codebook: the bottleneck, if its codes are discrete.
        places: units of a feature map, which follow one another.
    """
    if codebook is not None:
        return codebook.points(codebook.indices(z))
    active = codes != 0
    if bool(active.all()):
        return z
    z = torch.where(active.any(0), z.clamp(min=0.0 if bool((codes >= 0).all()) else -math.inf), 0.0)
    if not is_sparse(codes):
        return z
    if places > 1 and bool((active.view(len(codes), -1, places).sum(2) <= 1).all()):
        maps = z.view(len(z), -1, places)
        largest = maps.abs().amax(2, keepdim=True)
        z = torch.where(maps.abs() == largest, maps, 0.0).view_as(z)
    kept = max(1, round(int(active.sum()) / len(codes)))
    least = z.abs().topk(kept, 1).values[:, -1:]
    return torch.where(z.abs() >= least, z, 0.0)
