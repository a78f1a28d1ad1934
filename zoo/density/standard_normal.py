"""The standard normal density: the usual prior of a VAE."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from typing_extensions import Self


class StandardNormalDensity:
    """N(0, I) for any codes; only the number of units is read from them."""

    learned: ClassVar[bool] = False

    def fit(self, z: Tensor) -> Self:
        """Read the width of codes z: (N, D)."""
        self.width = z.shape[1]
        return self

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D)."""
        return torch.randn(n, self.width, generator=torch.Generator().manual_seed(seed))

    def log_prob(self, z: Tensor) -> Tensor:
        """Log N(z; 0, I): (N, D) -> (N,), in nats."""
        return standard_normal_log_prob(z.double())


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """-1/2 sum_i (z_i^2 + log 2 pi): (N, D) -> (N,)."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
