"""The last layer of a decoder, whose bias starts at the mean image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.types import StartsAtMean


class LastLinear(nn.Linear, StartsAtMean):
    """A dense layer to all pixels: raw = V z + b with b at the mean image."""

    @torch.no_grad()
    def start_at_mean(self, mean: Tensor, raw_of_mean: Callable[[Tensor], Tensor]) -> None:
        """One bias per pixel of the mean image: (C, H, W)."""
        self.bias.copy_(raw_of_mean(mean).flatten())
