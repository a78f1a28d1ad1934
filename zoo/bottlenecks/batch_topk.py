"""Sparsity by count over a batch: an image that has more to say may use more units."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.bottlenecks import follow
from zoo.types import Code


class BatchTopK(nn.Module):
    """z_i = h_i if h_i is positive and among the B k largest of the batch, else 0; in evaluation, if above a threshold.

    The threshold is the running mean of the smallest value that was let through in training, so that a code in use
    depends on its own image alone. B. Bussmann, P. Leask, N. Nanda, "BatchTopK sparse autoencoders", 2024,
    arXiv:2412.06410.

    Args:
        units: D.
        k: units that are active at a time, on average over images.
    """

    threshold: Tensor

    def __init__(self, units: int, k: int) -> None:
        super().__init__()
        self.in_features = self.out_features = units
        self.k = k
        self.register_buffer("threshold", torch.tensor(torch.nan))

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        z = h.relu()
        z = z * (z >= (self._cut(z) if self.training else self.threshold.nan_to_num(0.0)))
        return Code(z, z)

    @torch.no_grad()
    def _cut(self, z: Tensor) -> Tensor:
        cut = z.flatten().topk(len(z) * self.k, sorted=False).values.amin()
        follow(self.threshold, cut)
        return cut
