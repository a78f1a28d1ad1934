"""Largest cosines between directions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CHUNK = 1024
LEAST = 1e-6  # length relative to the longest, below which a vector has no direction


def directions(vectors: Tensor) -> Tensor:
    """Vectors (N, P) as unit vectors, float32: (M, P), without those that are zero."""
    length = vectors.norm(dim=1)
    return F.normalize(vectors[length > LEAST * length.max()], dim=1).float()


def largest_cosines(a: Tensor, b: Tensor) -> Tensor:
    """The largest absolute cosine of each direction with any of others.

    Args:
        a: (N, P), unit vectors.
        b: (M, P), unit vectors.

    Returns:
        (N,), in [0, 1].
    """
    return torch.cat([(part @ b.T).abs().amax(1) for part in torch.split(a, CHUNK)]).clamp(max=1)


def largest_among(a: Tensor) -> Tensor:
    """The largest absolute cosine of each direction with another one of the set: unit vectors (N, P) -> (N,)."""
    found = []
    for start in range(0, len(a), CHUNK):
        cosines = (a[start : start + CHUNK] @ a.T).abs()
        cosines.diagonal(start).zero_()
        found.append(cosines.amax(1))
    return torch.cat(found).clamp(max=1)
