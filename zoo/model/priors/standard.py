"""Priors without parameters: the standard normal and the standard Laplace distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Laplace, Normal

from zoo.checks import check_width


class NormalPrior(nn.Module):
    """p(z) = N(0, I).

    Args:
        width: D, dimensions of z.
    """

    unit = Normal(0.0, 1.0)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = check_width(width)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        return normal_noise((n, self.width), generator, generator.device)


class LaplacePrior(nn.Module):
    """p(z) = prod_i Laplace(z_i; 0, 1) = prod_i exp(-|z_i|) / 2.

    Args:
        width: D, dimensions of z.
    """

    unit = Laplace(0.0, 1.0)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = check_width(width)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        return -(z.abs() + math.log(2)).sum(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        return laplace_noise((n, self.width), generator, generator.device)


def normal_noise(shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Draws from N(0, 1)."""
    return torch.randn(shape, generator=generator, device=device)


def laplace_noise(shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device) -> Tensor:
    """Draws from Laplace(0, 1), each the difference of two exponential variables."""
    both = torch.empty(2, *shape, device=device).exponential_(generator=generator)
    return both[0] - both[1]
