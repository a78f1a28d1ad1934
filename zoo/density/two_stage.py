"""A second, small VAE on the codes of the first model."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.bottlenecks.diagonal import Diagonal
from zoo.density.standard_normal import standard_normal_log_prob
from zoo.networks.mlp import layers


class TwoStage(nn.Module):
    """p(u) = integral of N(u; g(w), s^2 I) N(w; 0, I) dw with w as wide as u, s learned; fitted by its ELBO.

    B. Dai, D. Wipf, "Diagnosing and enhancing VAE models", 2019, arXiv:1903.05789, section 4. The paper's second stage
    sees samples of the first one's posteriors; here it sees point codes, as all densities of the zoo do.

    Args:
        width: D, units of the codes.
        hidden: units of the two hidden layers of encoder and decoder.
        samples: K, posterior samples that `log_prob` takes.
    """

    def __init__(self, width: int, hidden: int = 256, samples: int = 100) -> None:
        super().__init__()
        self.samples = samples
        self.bottleneck = Diagonal(width)
        self.encoder = nn.Sequential(*layers([width, hidden, hidden, self.bottleneck.in_features], nn.GELU))
        self.decoder = nn.Sequential(*layers([width, hidden, hidden, width], nn.GELU))
        self.log_std = nn.Parameter(torch.full((), -1.5))

    def loss(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """The negative ELBO: (N, D) -> (N,), in nats."""
        code = self.bottleneck(self.encoder(u), generator)
        kl: Tensor = code.penalties["kl"]
        return kl - self.log_likelihood(u, code.z)

    def log_likelihood(self, u: Tensor, w: Tensor) -> Tensor:
        """log N(u; g(w), s^2 I) of codes u: (N, D) given w: (N, D) -> (N,)."""
        mean: Tensor = self.decoder(w)
        return standard_normal_log_prob((u - mean) * (-self.log_std).exp()) - u.shape[1] * self.log_std

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        mean: Tensor = self.decoder(self.bottleneck.sample(n, generator))
        return mean + self.log_std.exp() * torch.randn(mean.shape, generator=generator)

    def log_prob(self, u: Tensor) -> Tensor:
        """log 1/K sum_k p(u | w_k) p(w_k) / q(w_k | u), w_k ~ q(w | u): (N, D) -> (N,), in nats.

        A lower bound in expectation: Y. Burda et al. 2015, arXiv:1509.00519, eq. 8. The draws are the same each time.
        """
        generator = torch.Generator().manual_seed(0)
        q = self.bottleneck.posterior(self.encoder(u))
        total = torch.full_like(u[:, 0], -torch.inf)
        for _ in range(self.samples):
            noise = torch.randn(u.shape, generator=generator)
            w = q.mean + q.stddev * noise
            log_q = standard_normal_log_prob(noise) - q.stddev.log().sum(1)
            weight = self.log_likelihood(u, w) + self.bottleneck.log_prior(w) - log_q
            total = torch.logaddexp(total, weight)
        return total - math.log(self.samples)
