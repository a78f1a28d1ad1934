"""Priors of variational bottlenecks that learn their shape; each satisfies `Prior`."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor


class Prior(Protocol):
    """p(z), a module made from the width of z."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        ...


def log_gaussians(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean_c, diag(variance_c)) of codes z: (B, D) under C Gaussians, (C, D) each: (B, C), in nats."""
    # differences first: expanded into matrix products, the squares would cancel in half precision
    scaled = (z[:, None] - mean) * (-0.5 * log_variance).exp()
    return -0.5 * (scaled.square().sum(2) + (log_variance + math.log(2 * math.pi)).sum(1))


def draw_gaussians(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """One draw of each of n Gaussians with diagonal covariance: (n, D)."""
    noise = torch.randn(mean.shape, generator=generator, device=generator.device)
    return mean + noise * (0.5 * log_variance).exp()
