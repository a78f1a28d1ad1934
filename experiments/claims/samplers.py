"""Hamiltonian Monte Carlo, and annealed importance sampling by it, for codes of decoders."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor
from torch.distributions import Distribution

from zoo.model.autoencoder import Autoencoder
from zoo.types import HasPosterior

LEAPS, ACCEPTED, FASTER, SLOWER = 8, 0.65, 1.02, 0.98  # leapfrog steps of a move; rules of the step size
LogDensity = Callable[[Tensor], Tensor]


def posterior_of(model: Autoencoder, x: Tensor) -> Distribution:
    """q(z | x) of images (B, C, H, W): B x D independent distributions."""
    assert isinstance(model.bottleneck, HasPosterior)
    return model.bottleneck.posterior(model.encoder(x))


def log_joint(model: Autoencoder, x: Tensor, z: Tensor) -> Tensor:
    """log p(x, z) of images (B, C, H, W) and codes (K, B, D): (K, B), in nats."""
    bottleneck, flat = model.bottleneck, z.flatten(0, 1)
    assert isinstance(bottleneck, HasPosterior)
    return (bottleneck.log_prior(flat) - model.likelihood.nll(model.decoder(flat), x)).view(z.shape[:2])


class Hamiltonian:
    """Moves of Hamiltonian Monte Carlo, for chains (K, B, D) with a step size for each of B densities.

    Leapfrog steps of random momenta, accepted by Metropolis' rule; the step size grows where more than 65 % of moves
    are accepted, and shrinks where fewer are. R. Neal, "MCMC using Hamiltonian dynamics", 2011, arXiv:1206.1901.

    Args:
        scale: (B, D), about the std of the densities; steps are in units of it.
        seed: determines momenta and acceptance.
    """

    def __init__(self, scale: Tensor, seed: int) -> None:
        self.scale, self.step = scale, torch.full((len(scale), 1), 0.3)
        self.generator = torch.Generator().manual_seed(seed)

    def move(self, z: Tensor, log_density: LogDensity, adapt: bool = True) -> Tensor:
        """One move of each chain: (K, B, D) -> (K, B, D); without `adapt` the step size stays."""
        step = self.step * self.scale
        start = torch.randn(z.shape, generator=self.generator)
        before, slope = value_and_slope(log_density, z)
        new, momentum = z, start + 0.5 * step * slope
        for leap in range(1, LEAPS + 1):
            new = new + step * momentum
            after, slope = value_and_slope(log_density, new)
            momentum = momentum + (1.0 if leap < LEAPS else 0.5) * step * slope
        gained = after - before + 0.5 * (start.square().sum(2) - momentum.square().sum(2))
        accepted = torch.rand(gained.shape, generator=self.generator).log() < gained
        if adapt:
            often = accepted.float().mean(0)[:, None] > ACCEPTED
            self.step = self.step * torch.where(often, FASTER, SLOWER)
        return torch.where(accepted[:, :, None], new, z)


@torch.enable_grad()
def value_and_slope(log_density: LogDensity, z: Tensor) -> tuple[Tensor, Tensor]:
    """Log densities of chains (K, B, D), and their gradients."""
    z = z.detach().requires_grad_()
    value = log_density(z)
    (slope,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), slope


def annealed_log_likelihood(model: Autoencoder, x: Tensor, chains: int, temperatures: int, seed: int) -> Tensor:
    """log p(x) of images (B, C, H, W) by annealed importance sampling from q(z | x) to p(x, z): (B,), in nats.

        f_t = q(z | x)^(1 - b_t) p(x, z)^b_t,  log w = sum_t (b_t - b_(t-1)) (log p(x, z) - log q(z | x)) at z_(t-1)

    z_t is moved from z_(t-1) by a Hamiltonian step that leaves f_t unchanged; log p(x) is about the log of the mean of
    w over chains. R. Neal, "Annealed importance sampling", 2001; Y. Wu et al. 2017, arXiv:1611.04273.
    """
    q = posterior_of(model, x)
    sampler = Hamiltonian(q.stddev, seed)
    z = q.mean + q.stddev * torch.randn((chains, *q.mean.shape), generator=sampler.generator)
    weights = x.new_zeros(z.shape[:2])
    steps = torch.linspace(0, 1, temperatures + 1)
    for before, now in pairwise(steps):

        def log_f(z: Tensor, b: Tensor = now) -> Tensor:
            return (1 - b) * log_posterior(q, z) + b * log_joint(model, x, z)

        weights += (now - before) * (log_joint(model, x, z) - log_posterior(q, z))
        z = sampler.move(z, log_f)
    return weights.double().logsumexp(0) - math.log(chains)


def log_posterior(q: Distribution, z: Tensor) -> Tensor:
    """log q(z | x) of codes (K, B, D): (K, B)."""
    found: Tensor = q.log_prob(z).sum(2)
    return found
