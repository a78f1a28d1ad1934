"""A prior of any shape: a normalising flow."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.distributions import Transform
from zuko.flows import RealNVP

from zoo.checks import check_count, check_width


class FlowPrior(nn.Module):
    """log p(z) = log N(f(z); 0, I) + log |det df/dz|, f a chain of affine coupling layers.

    Each layer keeps half of the units, and scales and shifts the other half by the output of a small network of the
    first half: L. Dinh, J. Sohl-Dickstein, S. Bengio, "Density estimation using Real NVP", 2017, arXiv:1605.08803, eq.
    4 to 8, as implemented by the package zuko. As a VAE's prior: C.-W. Huang et al., "Learnable explicit density for
    continuous latent space and variational inference", 2017, arXiv:1710.02248; flows in VAEs began with D. Rezende,
    S. Mohamed, "Variational inference with normalizing flows", 2015, arXiv:1505.05770.

    Args:
        width: D, dimensions of z; a single dimension is only scaled and shifted.
        layers: number of coupling layers.
        hidden: units of each of the two hidden layers of a coupling layer's network.

    Raises:
        ZooError: a number below 1.
    """

    def __init__(self, width: int, layers: int = 4, hidden: int = 128) -> None:
        super().__init__()
        self.width = check_width(width)
        check_count(layers, "prior.layers")
        check_count(hidden, "prior.hidden")
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
