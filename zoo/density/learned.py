"""Densities whose parameters are found by stochastic gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from typing_extensions import Self

from zoo.density.held_out import SHARE, check_enough, fit_held_out
from zoo.density.standard_normal import standard_normal_log_prob
from zoo.density.whitening import Whitening


class Learner(Protocol):
    """A torch module that is a density of whitened codes u: (N, D)."""

    def loss(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """What a fit makes small, for each code: (N, D) -> (N,)."""
        ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        ...

    def log_prob(self, u: Tensor) -> Tensor:
        """Log densities: (N, D) -> (N,), in nats."""
        ...


class Learned:
    """p(u) = p_learned(u_lead) N(u_rest; 0, I) on whitened codes u.

    u_lead are the leading principal components of the codes, as many as vary, and u_rest the others. A tenth of the
    codes is held out, and the weights that did best on it are kept, so few codes are not learned by heart.

    Args:
        build: makes the torch module that is fitted, for codes of so many units.
        leading: number of principal components that it describes at most.
        steps: of the optimiser, at most.
        epochs: passes over the codes, at most.
        batch_size: codes per step.
        rate: largest learning rate, of AdamW in one cycle.
        seed: determines initial weights and the order of the codes.
    """

    def __init__(
        self,
        build: Callable[[int], Learner],
        leading: int = 32,
        steps: int = 1500,
        epochs: int = 100,
        batch_size: int = 256,
        rate: float = 3e-3,
        seed: int = 0,
    ) -> None:
        self.build, self.leading, self.steps, self.epochs = build, leading, steps, epochs
        self.batch_size, self.rate, self.seed = batch_size, rate, seed

    def fit(self, z: Tensor) -> Self:
        """Fit to codes z: (N, D); the global random state stays as it is.

        Raises:
            ZooError: there are too few codes to hold one out, or the fit diverged.
        """
        check_enough(z, "a learned density")
        self.whitening = Whitening.of(z)
        self.lead = min(self.leading, self.whitening.rank)
        u = self.whitening.forward(z)[:, : self.lead].float()
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(self.seed)
            self.learner = self.build(self.lead)
            assert isinstance(self.learner, nn.Module)
            trained = len(u) - math.ceil(len(u) / SHARE)
            steps = min(self.steps, self.epochs * math.ceil(trained / self.batch_size))
            fit_held_out(
                self.learner,
                self.learner.loss,
                u,
                steps=steps,
                batch_size=self.batch_size,
                rate=self.rate,
                seed=self.seed,
                validations=30,
                clip=10.0,
            )
        return self

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D)."""
        generator = torch.Generator().manual_seed(seed)
        u = torch.randn(n, len(self.whitening.std), generator=generator, dtype=torch.float64)
        with torch.no_grad():
            u[:, : self.lead] = self.learner.sample(n, generator).double()
        return self.whitening.inverse(u)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z): (N, D) -> (N,), in nats."""
        u = self.whitening.forward(z)
        with torch.no_grad():
            lead = self.learner.log_prob(u[:, : self.lead].float()).double()
        return self.whitening.log_density(lead + standard_normal_log_prob(u[:, self.lead :]))
