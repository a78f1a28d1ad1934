"""Evenly spaced samples of a set, in which those of one class may follow one another."""

from __future__ import annotations

import torch
from torch import Tensor


def evenly(n: int, of: int) -> Tensor:
    """Evenly spaced places among `of`, `n` of them, or all if there are fewer: (N,) int64, ascending."""
    n = min(n, of)
    return torch.arange(n) * of // max(n, 1)


def spaced(rows: Tensor, most: int | None) -> Tensor:
    """Evenly spaced rows of (N, ...), at most `most`; all of them where it is None, or where there are no more."""
    return rows if most is None or len(rows) <= most else rows[evenly(most, len(rows)).to(rows.device)]
