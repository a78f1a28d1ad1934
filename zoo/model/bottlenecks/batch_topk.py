"""Batch top-k sparsity: a budget of active units per batch, so that complex images use more units than simple ones."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from zoo.checks import check_active, check_width
from zoo.model.bottlenecks import smallest_active, update_running_mean
from zoo.types import Bottleneck, CalibratesOnValidation, Code


class BatchTopK(Bottleneck, CalibratesOnValidation):
    """z_i = h_i if h_i is positive and among the B k largest values of the batch, else 0.

    In evaluation a threshold replaces the selection within the batch, so that a code depends on its own image only.
    During training it is a running mean of the smallest positive active value of a batch; after it, the value at which
    validation images have k active units on average. B. Bussmann, P. Leask, N. Nanda, "BatchTopK sparse autoencoders",
    2024, arXiv:2412.06410, eqs. 3 to 6.

    Where this differs from the paper: there, the threshold is estimated on training images. Where a dictionary
    overfits, unseen images then have more than k active units: 10.3 instead of 8 on scikit-learn's digits.

    Limitations: images unlike those of training can activate more units, or fewer.

    Args:
        units: D.
        k: active units per image, on average.

    Raises:
        ZooError: k is not in 1..units.
    """

    threshold: Tensor

    def __init__(self, units: int, k: int) -> None:
        super().__init__(check_width(units, "bottleneck.units"), units)
        self.k = check_active(k, units)
        self.register_buffer("threshold", torch.tensor(torch.nan))

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        z = h.relu()
        z = z * (z >= (self._smallest_active(z) if self.training else self.threshold.nan_to_num(0.0)))
        return Code(z, z)

    def calibrate(self, inputs: Iterable[Tensor]) -> None:
        """Set the threshold at which inputs, each (B, D), have k active units, or as many as are positive."""
        self.threshold.copy_(smallest_active(inputs, self.k, self.threshold))

    @torch.no_grad()
    def _smallest_active(self, z: Tensor) -> Tensor:
        largest = z.flatten().topk(len(z) * self.k, sorted=False).values
        smallest = torch.where(largest > 0, largest, torch.inf).amin()  # zeros are not active
        update_running_mean(self.threshold, torch.where(smallest.isinf(), self.threshold, smallest))
        return smallest
