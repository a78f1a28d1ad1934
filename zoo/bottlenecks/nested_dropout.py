"""Nested dropout: units in the order of what they are worth, so that one model serves every width up to its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.bottlenecks import check_width
from zoo.types import Code


class NestedDropout(nn.Module):
    """z_i = h_i for i <= k, else 0, with k drawn for each image from 1..D: all units behind it drop out.

    A unit is used only where all before it are, so what most images need goes first. Behind a linear network the
    optimum is PCA's axes themselves, in their order, and not just their subspace. O. Rippel, M. Gelbart, R. Adams,
    "Learning Ordered Representations with Nested Dropout", 2014, arXiv:1402.0915, sections 2 and 3.

    Here k is uniform, so that every width counts alike. The geometric k of the paper all but stops showing the last
    units, which the paper then has to fit one after another ("unit sweeping").

    Args:
        width: D, units of the code.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_features = self.out_features = check_width(width)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z: (B, D), cut at random; point: (B, D), whole."""
        k = torch.randint(1, self.out_features + 1, (len(h), 1), generator=generator, device=h.device)
        return Code(first(h, k), h)


def first(z: Tensor, k: Tensor | int) -> Tensor:
    """Codes (B, D) with all units behind the first k, one number or (B, 1), set to zero."""
    return z * (torch.arange(z.shape[1], device=z.device) < k)
