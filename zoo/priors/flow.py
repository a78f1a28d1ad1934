"""A prior that learns its shape: a normalising flow."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.flows import RealNVP

from zoo.bottlenecks import check_width


class Flow(nn.Module):
    """log p(z) = log N(f(z); 0, I) + log |det df/dz|, f a chain of affine coupling layers.

    Each layer leaves half of the units alone and scales and shifts the other half by what a small network makes of
    the first: L. Dinh, J. Sohl-Dickstein, S. Bengio, "Density estimation using Real NVP", 2017, arXiv:1605.08803, eq. 4
    to 8, as the package zuko has it. As a VAE's prior: C.-W. Huang et al., "Learnable explicit density for continuous
    latent space and variational inference", 2017, arXiv:1710.02248; flows in VAEs began with D. Rezende, S. Mohamed,
    "Variational inference with normalizing flows", 2015, arXiv:1505.05770.

    Args:
        width: D, dimensions of z; a single one is scaled and shifted only.
        layers: coupling layers.
        hidden: units of the two hidden layers of each layer's network.
    """

    def __init__(self, width: int, layers: int = 4, hidden: int = 128) -> None:
        super().__init__()
        self.width = check_width(width)
        self.flow = RealNVP(width, transforms=layers, hidden_features=(hidden, hidden), activation=nn.GELU)

    @property
    def transform(self) -> Transform:
        """f, from codes to standard normal noise."""
        return cast("Transform", self.flow().transform)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log densities of codes z: (B, D) -> (B,), in nats."""
        return cast("Tensor", self.flow().log_prob(z))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        noise = torch.randn(n, self.width, generator=generator, device=generator.device)
        return cast("Tensor", self.transform.inv(noise))
