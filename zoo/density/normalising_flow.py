"""A normalising flow fitted to codes by maximum likelihood."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from zoo.density.held_out import check_positive
from zoo.density.learned import LearnedDensity, Learner
from zoo.model.priors.flow import FlowPrior


class FlowLearner(FlowPrior, Learner):
    """The flow that also serves as a prior of a VAE (see there for its settings); its loss is -log p(u)."""

    def loss(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """-log p(u): (N, D) -> (N,), in nats."""
        return -self.log_prob(u)


def flow(
    layers: int = 4,
    hidden: int = 128,
    leading: int = 32,
    steps: int = 1500,
    epochs: int = 100,
    batch_size: int = 256,
    rate: float = 3e-3,
    seed: int = 0,
) -> LearnedDensity:
    """The density of a `FlowLearner`; the settings are those of it and of `LearnedDensity`."""
    check_positive("flow", layers=layers, hidden=hidden)
    learner = partial(FlowLearner, layers=layers, hidden=hidden)
    return LearnedDensity("flow", learner, leading, steps, epochs, batch_size, rate, seed)
