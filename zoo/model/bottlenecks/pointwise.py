"""The pointwise bottleneck: its width is the only constraint."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import check_width
from zoo.model.activations import activation_named
from zoo.types import Bottleneck, Code


class Pointwise(Bottleneck):
    """z = f(h), unit by unit, D = `width`; by default the identity, z = h.

    Args:
        width: units of the code.
        activation: name of f, see `zoo.model.activations`.

    Raises:
        ZooError: a width below 1, or an unknown activation.
    """

    def __init__(self, width: int, activation: str = "identity") -> None:
        super().__init__(check_width(width), width)
        self.activation = activation_named(activation)()

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        z = self.activation(h)
        return Code(z, z)
