"""How much each test sample moves a value that is a function of means over test samples.

To first order, the value for resampled test samples is the value plus the mean of their influences, whose mean over all
test samples is 0: the delta method. F. Hampel, "The influence curve and its role in robust estimation", 1974.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moved:
    """A value and the influences of the samples that it rests on.

    Attributes:
        value: the number.
        influence: (N,) float64, their mean is 0.
    """

    value: float
    influence: Tensor


def mean(values: Tensor) -> Moved:
    """The mean of (N,) numbers or booleans."""
    each = values.double()
    return Moved(each.mean().item(), each - each.mean())


def ratio(above: Tensor, below: Tensor) -> Moved:
    """r = sum a / sum b of (N,) a and b; the influence of a sample is N (a - r b) / sum b."""
    a, b = above.double(), below.double()
    value = a.sum() / b.sum()
    return Moved(value.item(), len(a) * (a - value * b) / b.sum())


def jackknifed(function: Callable[[Tensor], float], count: int) -> Moved:
    """A function of which of `count` samples there are; the influence of one is (N - 1) (value - value without it).

    B. Efron, "The jackknife, the bootstrap and other resampling plans", 1982, chapter 6. Their mean is subtracted.

    Args:
        function: of places of samples, (M,) int64.
        count: N, two or more.
    """
    places = torch.arange(count)
    value = function(places)
    without = torch.tensor([function(places[places != each]) for each in range(count)], dtype=torch.float64)
    each = (count - 1) * (value - without)
    return Moved(value, each - each.mean())


def of_table(function: Callable[[Tensor], Tensor], rows: Tensor, columns: Tensor) -> Moved:
    """A function of the shares (R, C) float64 of samples that are in each row and column of a contingency table.

    The influence of a sample is the function's derivative by the share of its cell, less the mean of these.

    Args:
        function: differentiable, of the shares.
        rows: (N,) int64, the row of each sample.
        columns: (N,) int64, the column of each sample.
    """
    high, wide = int(rows.max()) + 1, int(columns.max()) + 1
    counts = torch.bincount(rows * wide + columns, minlength=high * wide).view(high, wide)
    with torch.enable_grad():
        shares = (counts.double() / len(rows)).requires_grad_()
        value = function(shares)
        (slope,) = torch.autograd.grad(value, shares)
    each = slope[rows, columns]
    return Moved(value.item(), each - each.mean())
