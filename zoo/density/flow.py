"""A normalising flow fitted to codes by maximum likelihood."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.priors import flow


class Flow(flow.Flow):
    """The flow that also serves as a VAE's prior; its loss is -log p(u)."""

    def loss(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """-log p(u): (N, D) -> (N,), in nats."""
        return -self.log_prob(u)
