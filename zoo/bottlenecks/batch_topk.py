"""Sparsity by count over a batch: an image that has more to say may use more units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.bottlenecks.sparse import RunningCut
from zoo.types import Code


class BatchTopK(nn.Module):
    """z_i = h_i if h_i is positive and among the B k largest of the batch, else 0; in evaluation, if above a threshold.

    The threshold is the running mean of the smallest value that was let through in training.
    B. Bussmann, P. Leask, N. Nanda, "BatchTopK sparse autoencoders", 2024, arXiv:2412.06410, eq. 5 and 6.

    Args:
        units: D.
        k: units that are active at a time, on average over images.
    """

    def __init__(self, units: int, k: int) -> None:
        super().__init__()
        self.in_features = self.out_features = units
        self.k = k
        self.cut = RunningCut(1)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        z = h.relu()
        z = z * (z >= self.cut(z.view(-1, 1), len(z) * self.k))
        return Code(z, z)
