"""The variational bottleneck: a Gaussian per image, with what it tells about the image counted in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from zoo.bottlenecks import check_width
from zoo.types import Code


class Diagonal(nn.Module):
    """q(z | x) = N(mean, diag(std^2)), z = mean + std * eps; prior p(z) = N(0, I).

    kl = KL(q || p) = 1/2 sum_i (mean_i^2 + std_i^2 - 1 - log std_i^2), in closed form.
    D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, appendix B.

    Args:
        width: D, dimensions of z.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_features = check_width(width)
        self.in_features = 2 * width

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, 2D), the mean and log std^2 side by side -> z: (B, D), a sample; point: (B, D), the mean."""
        mean, log_variance = self._parameters_of(h)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z = mean + noise * (0.5 * log_variance).exp()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return Code(z, mean, {"kl": kl})

    def posterior(self, h: Tensor) -> Normal:
        """q(z | x) of encoder outputs h: (B, 2D), as B x D independent normal distributions."""
        mean, log_variance = self._parameters_of(h)
        return Normal(mean, (0.5 * log_variance).exp())

    def log_prior(self, z: Tensor) -> Tensor:
        """log N(z; 0, I) of codes: (B, D) -> (B,), in nats."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """N draws from the prior: (n, D)."""
        return torch.randn(n, self.out_features, generator=generator, device=generator.device)

    def _parameters_of(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = h.float().chunk(2, dim=1)  # variances want more than bf16's 8 bits
        return mean, log_variance
