"""Nested dropout: units ordered by importance, so that one model serves every width up to its own."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import check_width
from zoo.types import Bottleneck, Code


class NestedDropout(Bottleneck):
    """z_i = h_i for i <= k, else 0, with k drawn for each image from 1..D.

    A unit is used only where all units before it are, so that the first units carry what most images need. With a
    linear network the optimum is PCA's axes in their order, and not only their subspace. O. Rippel, M. Gelbart,
    R. Adams, "Learning Ordered Representations with Nested Dropout", 2014, arXiv:1402.0915, sections 2 and 3.

    Where this differs from the paper: k is uniform, so that every width has equal weight. With the paper's geometric k
    the last units are hardly ever kept, so that the paper fits them one after another ("unit sweeping").

    Args:
        width: D, units of the code.

    Raises:
        ZooError: a width below 1.
    """

    def __init__(self, width: int) -> None:
        super().__init__(check_width(width), width)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z: (B, D), truncated at random; point: (B, D), all units."""
        k = torch.randint(1, self.out_features + 1, (len(h), 1), generator=generator, device=h.device)
        return Code(truncated(h, k), h)

    def point(self, h: Tensor) -> Tensor:
        """All units, without a draw: (B, D) -> (B, D)."""
        return h


def truncated(z: Tensor, k: Tensor | int) -> Tensor:
    """Codes (B, D) with all units after the first k set to zero; k is one number or (B, 1)."""
    return z * (torch.arange(z.shape[1], device=z.device) < k)
