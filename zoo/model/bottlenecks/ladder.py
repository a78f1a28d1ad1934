"""Ladder VAE: two stochastic layers, where the prior of the code is decoded from a smaller code."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from zoo.checks import check_count, check_width
from zoo.model.activations import activation_named
from zoo.model.bottlenecks.diagonal_posterior import mean_and_log_variance
from zoo.model.networks.mlp import layers
from zoo.types import Bottleneck, Code


class Ladder(Bottleneck):
    """p(z, t) = N(t; 0, I) N(z; f(t)), q(t, z | x) = N(t; g(h)) q(z | t, x); the decoder receives z.

    q(z | t, x) is the normalised product of the encoder's N(z; h) and the prior's N(z; f(t)):

        std^-2 = std_h^-2 + std_f^-2,    mean = std^2 (mean_h std_h^-2 + mean_f std_f^-2)

    kl = KL(q(t | x) || p(t)) + KL(q(z | t, x) || p(z | t)) at a sample of t.
    C. Sønderby et al., "Ladder variational autoencoders", 2016, arXiv:1602.02282, eq. 17 to 19, for two layers.

    Args:
        width: D, dimensions of z.
        top: dimensions of t.
        hidden: units of the hidden layer of f and of g.
        activation: name of the activation of that layer.

    Raises:
        ZooError: a number of units below 1, or an unknown activation.
    """

    def __init__(self, width: int, top: int = 4, hidden: int = 128, activation: str = "gelu") -> None:
        super().__init__(2 * check_width(width), width)
        self.top = check_count(top, "bottleneck.top")
        check_count(hidden, "bottleneck.hidden")
        between = activation_named(activation)
        self.up = nn.Sequential(*layers([2 * width, hidden, 2 * top], between))
        self.down = nn.Sequential(*layers([top, hidden, 2 * width], between))

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, 2D), mean and log std^2 of the encoder's Gaussian -> z: (B, D), a sample.

        point: (B, D), the mean of q(z | t, x) at the mean of q(t | x).
        """
        q_t = normal(self.up(h))
        t = draw(q_t, generator)
        q_z, p_z = self.given(t, h)
        kl = kl_divergence(q_t, STANDARD).sum(1) + kl_divergence(q_z, p_z).sum(1)
        return Code(draw(q_z, generator), self.point(h), {"kl": kl})

    def point(self, h: Tensor) -> Tensor:
        """The mean of q(z | t, x) at the mean of q(t | x), of encoder outputs h: (B, 2D) -> (B, D)."""
        return self.given(normal(self.up(h)).mean, h)[0].mean

    def given(self, t: Tensor, h: Tensor) -> tuple[Normal, Normal]:
        """q(z | t, x) and p(z | t) of t: (B, T) and encoder outputs h: (B, 2D), as B x D normal distributions each."""
        (mean_h, log_variance_h), (mean_p, log_variance_p) = map(mean_and_log_variance, (h, f := self.down(t)))
        log_variance = -torch.logaddexp(-log_variance_h, -log_variance_p)
        share = (log_variance - log_variance_h).exp()  # weight of the encoder; the prior has the rest
        mean = share * mean_h + (1 - share) * mean_p
        return Normal(mean, (0.5 * log_variance).exp(), validate_args=False), normal(f)

    def draw(self, h: Tensor, samples: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """K samples of z: (K*B, D), sample by sample, and log q(t, z | x) - log p(t, z) of each: (K*B,)."""
        h = h.repeat(samples, 1)
        q_t = normal(self.up(h))
        t = draw(q_t, generator)
        q_z, p_z = self.given(t, h)
        z = draw(q_z, generator)
        return z, log_density(q_t, t) - log_density(STANDARD, t) + log_density(q_z, z) - log_density(p_z, z)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws from the prior, first of t and then of z: (n, D)."""
        t = torch.randn(n, self.top, generator=generator, device=generator.device)
        return draw(normal(self.down(t)), generator)


STANDARD = Normal(0.0, 1.0)


def normal(h: Tensor) -> Normal:
    """h: (B, 2D), mean and log std^2 concatenated, as B x D independent normal distributions."""
    mean, log_variance = mean_and_log_variance(h)
    return Normal(mean, (0.5 * log_variance).exp(), validate_args=False)


def draw(q: Normal, generator: torch.Generator | None) -> Tensor:
    """One sample, differentiable with respect to mean and std."""
    return q.mean + q.stddev * torch.randn(q.mean.shape, generator=generator, device=q.mean.device)


def log_density(q: Normal, z: Tensor) -> Tensor:
    """Log q(z) of z: (B, D), summed over units: (B,)."""
    value: Tensor = q.log_prob(z).sum(1)  # type: ignore[no-untyped-call]
    return value
