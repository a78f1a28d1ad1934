"""The density that a VAE's codes are trained towards."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from typing_extensions import Self


class StandardNormal:
    """N(0, I), whatever the codes: only their number of units is fitted."""

    def fit(self, z: Tensor) -> Self:
        """Take the width of codes z: (N, D)."""
        self.width = z.shape[1]
        return self

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D)."""
        return torch.randn(n, self.width, generator=torch.Generator().manual_seed(seed))

    def log_prob(self, z: Tensor) -> Tensor:
        """log N(z; 0, I): (N, D) -> (N,), in nats."""
        return standard_normal_log_prob(z.double())


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """-1/2 sum_i (z_i^2 + log 2 pi): (N, D) -> (N,)."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
