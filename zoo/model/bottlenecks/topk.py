"""Top-k sparsity: a wide code of which only the k largest units are active."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import check_active, check_width
from zoo.types import Bottleneck, Code


class TopK(Bottleneck):
    """z_i = max(h_i, 0) if h_i is among the k largest of h, else 0.

    A. Makhzani, B. Frey, "k-Sparse Autoencoders", 2013, arXiv:1312.5663; with the ReLU of L. Gao et al., 2024,
    arXiv:2406.04093, eq. 4.

    Args:
        units: D, more than the pixels for an overcomplete code.
        k: largest number of active units.

    Raises:
        ZooError: k is not in 1..units.
    """

    def __init__(self, units: int, k: int) -> None:
        super().__init__(check_width(units, "bottleneck.units"), units)
        self.k = check_active(k, units)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D), at most k of them non-zero."""
        values, index = h.topk(self.k, dim=1, sorted=False)
        z = torch.zeros_like(h).scatter(1, index, values.relu())
        return Code(z, z)
