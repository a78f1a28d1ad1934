"""The variational bottleneck: a Gaussian per image, with what it tells about the image counted in nats."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from zoo.bottlenecks import check_width
from zoo.priors import Prior
from zoo.types import Code


class Diagonal(nn.Module):
    """q(z | x) = N(mean, diag(std^2)), z = mean + std * eps; prior p(z) = N(0, I), or another.

    kl = KL(q || p) = 1/2 sum_i (mean_i^2 + std_i^2 - 1 - log std_i^2), in closed form, where p is N(0, I); for other
    priors the estimate log q(z | x) - log p(z) at the sample.
    D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, appendix B.

    Args:
        width: D, dimensions of z.
        prior: makes p(z) from the width; None for N(0, I).
    """

    def __init__(self, width: int, prior: Callable[[int], Prior] | None = None) -> None:
        super().__init__()
        self.out_features = check_width(width)
        self.in_features = 2 * width
        self.prior = None if prior is None else prior(width)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, 2D), the mean and log std^2 side by side -> z: (B, D), a sample; point: (B, D), the mean."""
        mean, log_variance = self._parameters_of(h)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z = mean + noise * (0.5 * log_variance).exp()
        if self.prior is None:
            kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        else:
            kl = -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(1) - self.prior.log_prob(z)
        return Code(z, mean, {"kl": kl})

    def posterior(self, h: Tensor) -> Normal:
        """q(z | x) of encoder outputs h: (B, 2D), as B x D independent normal distributions."""
        mean, log_variance = self._parameters_of(h)
        return Normal(mean, (0.5 * log_variance).exp())

    def log_prior(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        if self.prior is not None:
            return self.prior.log_prob(z)
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws from the prior: (n, D)."""
        if self.prior is not None:
            return self.prior.sample(n, generator)
        return torch.randn(n, self.out_features, generator=generator, device=generator.device)

    def _parameters_of(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = h.float().chunk(2, dim=1)  # variances want more than bf16's 8 bits
        return mean, log_variance
