"""One Gaussian with the mean and covariance of the codes."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Self

from zoo.density.standard_normal import standard_normal_log_prob
from zoo.density.whitening import Whitening


class Gaussian:
    """N(mean, covariance), both as the codes have them."""

    def fit(self, z: Tensor) -> Self:
        """Take mean and covariance of codes z: (N, D)."""
        self.whitening = Whitening.of(z)
        return self

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D)."""
        generator = torch.Generator().manual_seed(seed)
        return self.whitening.inverse(torch.randn(n, len(self.whitening.std), generator=generator))

    def log_prob(self, z: Tensor) -> Tensor:
        """log N(z; mean, covariance): (N, D) -> (N,), in nats."""
        return self.whitening.log_density(standard_normal_log_prob(self.whitening.forward(z)))
