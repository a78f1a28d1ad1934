"""Densities whose parameters are found by stochastic gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from zoo.density.held_out import check_enough, check_positive, check_seed, fit_held_out, steps_within
from zoo.density.standard_normal import standard_normal_log_prob
from zoo.density.whitening import Whitening

if TYPE_CHECKING:
    from typing_extensions import Self


class Learner(nn.Module, ABC):
    """A module that is a density of whitened codes u: (N, D)."""

    @abstractmethod
    def loss(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """The loss of each code, whose mean a fit minimises: (N, D) -> (N,)."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""

    @abstractmethod
    def log_prob(self, u: Tensor) -> Tensor:
        """Log densities: (N, D) -> (N,), in nats."""


class LearnedDensity:
    """p(u) = p_learned(u_lead) N(u_rest; 0, I) on whitened codes u.

    u_lead are the leading principal components of the codes, as many as vary, and u_rest the others. A tenth of the
    codes is held out, and the weights with the lowest loss on it are kept, which limits overfitting to few codes.

    Args:
        name: of the option, for messages.
        learner: builds the module for codes of a given number of units.
        leading: number of principal components that the module describes at most.
        steps: of the optimiser, at most.
        epochs: passes over the codes, at most.
        batch_size: codes per step.
        rate: largest learning rate of AdamW, in one cycle.
        seed: determines initial weights and the order of the codes.

    Raises:
        ZooError: a setting is not positive.
    """

    learned: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        learner: Callable[[int], Learner],
        leading: int,
        steps: int,
        epochs: int,
        batch_size: int,
        rate: float,
        seed: int,
    ) -> None:
        check_positive(name, leading=leading, steps=steps, epochs=epochs, batch_size=batch_size, rate=rate)
        check_seed(name, seed)
        self.name, self._build = name, learner
        self.leading, self.steps, self.epochs = leading, steps, epochs
        self.batch_size, self.rate, self.seed = batch_size, rate, seed

    def fit(self, z: Tensor) -> Self:
        """Fit to codes z: (N, D); the global random state stays as it is.

        Raises:
            ZooError: there are too few codes to hold one out, they are all equal or not finite, or the fit diverged.
        """
        check_enough(z, f"density={self.name}")
        self.whitening = Whitening.of(z)
        self.lead = min(self.leading, self.whitening.rank)
        u = self.whitening.forward(z, self.lead).float()
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(self.seed)
            self.learner = self._build(self.lead)
            fit_held_out(
                self.learner,
                self.learner.loss,
                u,
                steps=steps_within(self.steps, self.epochs, len(u), self.batch_size),
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
        """Log p(z): (N, D) -> (N,), in nats."""
        u = self.whitening.forward(z)
        with torch.no_grad():
            lead = self.learner.log_prob(u[:, : self.lead].float()).double()
        return self.whitening.log_density(lead + standard_normal_log_prob(u[:, self.lead :]))
