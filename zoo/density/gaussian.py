"""One Gaussian with the mean and covariance of the codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from zoo.density.standard_normal import standard_normal_log_prob
from zoo.density.whitening import Whitening

if TYPE_CHECKING:
    from typing_extensions import Self


class GaussianDensity:
    """N(mean, covariance), with the mean and covariance of the codes."""

    learned: ClassVar[bool] = False

    def fit(self, z: Tensor) -> Self:
        """Fit to codes z: (N, D).

        Raises:
            ZooError: there are fewer than two codes, or they are all equal or not finite.
        """
        self.whitening = Whitening.of(z)
        return self

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D)."""
        generator = torch.Generator().manual_seed(seed)
        return self.whitening.inverse(torch.randn(n, len(self.whitening.std), generator=generator))

    def log_prob(self, z: Tensor) -> Tensor:
        """Log N(z; mean, covariance): (N, D) -> (N,), in nats."""
        return self.whitening.log_density(standard_normal_log_prob(self.whitening.forward(z)))
