"""The plain bottleneck: few units, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.bottlenecks import check_width
from zoo.types import Code


class Dense(nn.Module):
    """z = f(h), D = `width`: the width alone is the constraint.

    Args:
        width: units of the code.
        activation: f; None for the identity.
    """

    def __init__(self, width: int, activation: Callable[[], nn.Module] | None = None) -> None:
        super().__init__()
        self.in_features = self.out_features = check_width(width)
        self.activation = nn.Identity() if activation is None else activation()

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        z = self.activation(h)
        return Code(z, z)
