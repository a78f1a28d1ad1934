"""Priors p(z) of variational bottlenecks; each satisfies `zoo.types.Prior`."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def log_gaussians(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean_c, diag(variance_c)) of codes z: (B, D) under C Gaussians, (C, D) each: (B, C), in nats."""
    # differences first: expanded into matrix products, the squares cancel in half precision
    scaled = (z[:, None] - mean) * (-0.5 * log_variance).exp()
    return -0.5 * (scaled.square().sum(2) + (log_variance + math.log(2 * math.pi)).sum(1))


def draw_gaussians(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
    """One draw of each of n Gaussians with diagonal covariance: (n, D)."""
    noise = torch.randn(mean.shape, generator=generator, device=generator.device)
    return mean + noise * (0.5 * log_variance).exp()
