"""A second, small VAE on the codes of the first model."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from zoo.density.held_out import check_positive
from zoo.density.learned import LearnedDensity, Learner
from zoo.density.standard_normal import standard_normal_log_prob
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.networks.mlp import layers


class SecondStageVae(Learner):
    """p(u) = integral of N(u; g(w), s^2 I) N(w; 0, I) dw with w as wide as u, s learned; fitted by its ELBO.

    B. Dai, D. Wipf, "Diagnosing and enhancing VAE models", 2019, arXiv:1903.05789, section 4. The paper fits the
    second stage to samples of the first one's posteriors; here it is fitted to deterministic codes, like all densities.

    Args:
        width: D, units of the codes.
        hidden: units of the two hidden layers of encoder and decoder.
        samples: K, posterior samples per code of `log_prob`.
    """

    def __init__(self, width: int, hidden: int, samples: int) -> None:
        super().__init__()
        self.samples = samples
        self.bottleneck = DiagonalPosterior(width)
        self.encoder = nn.Sequential(*layers([width, hidden, hidden, self.bottleneck.in_features], nn.GELU))
        self.decoder = nn.Sequential(*layers([width, hidden, hidden, width], nn.GELU))
        self.log_std = nn.Parameter(torch.full((), -1.5))

    def loss(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """The negative ELBO: (N, D) -> (N,), in nats."""
        code = self.bottleneck(self.encoder(u), generator)
        kl: Tensor = code.penalties["kl"]
        return kl - self.log_likelihood(u, code.z)

    def log_likelihood(self, u: Tensor, w: Tensor) -> Tensor:
        """Log N(u; g(w), s^2 I) of codes u: (N, D) given w: (N, D) -> (N,)."""
        mean: Tensor = self.decoder(w)
        return standard_normal_log_prob((u - mean) * (-self.log_std).exp()) - u.shape[1] * self.log_std

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        mean: Tensor = self.decoder(self.bottleneck.sample(n, generator))
        return mean + self.log_std.exp() * torch.randn(mean.shape, generator=generator)

    def log_prob(self, u: Tensor) -> Tensor:
        """Log 1/K sum_k p(u | w_k) p(w_k) / q(w_k | u), w_k ~ q(w | u): (N, D) -> (N,), in nats.

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


def two_stage_vae(
    hidden: int = 256,
    samples: int = 100,
    leading: int = 32,
    steps: int = 1500,
    epochs: int = 100,
    batch_size: int = 256,
    rate: float = 3e-3,
    seed: int = 0,
) -> LearnedDensity:
    """The density of a `SecondStageVae`; the settings are those of it and of `LearnedDensity`."""
    check_positive("two_stage_vae", hidden=hidden, samples=samples)
    learner = partial(SecondStageVae, hidden=hidden, samples=samples)
    return LearnedDensity("two_stage_vae", learner, leading, steps, epochs, batch_size, rate, seed)
