"""The adversarial fit: a model and a discriminator, each with an optimiser of its own, take turns at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.autoencoder import Autoencoder
from zoo.data.datamodule import ImageData
from zoo.fit import FitReport
from zoo.fit.discriminators import Discriminator
from zoo.fit.gradient import Gradient, GradientModule
from zoo.fit.replay import drop_gradients
from zoo.objective import Objective
from zoo.types import Shape


@dataclass(frozen=True, kw_only=True)
class Adversarial(Gradient):
    """Minimise the objective and what a discriminator adds to it; the discriminator minimises a loss of its own.

    At every step the model moves against the discriminator as it stands, then the discriminator on what the model made
    before its move. Neither optimiser holds a weight of the other's. The discriminator belongs to the fit: it is gone
    when the fit is done. What it says changes its meaning with every step, so the best epoch is chosen by the
    objective alone.

    Args:
        discriminator: builds the discriminator for a model and images of a shape.
        discriminator_optimizer: makes its optimiser from its parameters; the rate stays as it is.
    """

    discriminator: Callable[[Autoencoder, Shape], Discriminator]
    discriminator_optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

    def __call__(self, model: Autoencoder, data: ImageData, objective: Objective, seed: int) -> FitReport:
        """Fit `model` in place.

        Raises:
            ZooError: the loss is no longer a finite number.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            discriminator = self.discriminator(model, data.shape)
        module = AdversarialModule(model, objective, self, discriminator, seed)
        return self.train(module, data, seed)


class AdversarialModule(GradientModule):
    """The two players, as Lightning wants them.

    The history holds what each minimised beside the objective: the discriminator's terms, unweighted, and its own loss
    as "discriminator".
    """

    def __init__(
        self,
        model: Autoencoder,
        objective: Objective,
        fit: Adversarial,
        discriminator: Discriminator,
        seed: int,
    ) -> None:
        super().__init__(model, objective, fit.optimizer, fit.schedule, seed, fit.clip)
        self.discriminator = discriminator
        self._discriminator_optimizer = fit.discriminator_optimizer

    def step(self, x: Tensor) -> None:
        """x: (B, C, H, W); both players move."""
        ours, theirs = self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]
        total, loss = self._play(x, self._generator, "train", self.progress)
        drop_gradients(self._weights)
        total.backward()  # type: ignore[no-untyped-call]
        self.move(ours)
        drop_gradients(self.discriminator.parameters())  # of what the model's loss left in its weights, too
        loss.backward()  # type: ignore[no-untyped-call]
        theirs.step()

    def validate(self, x: Tensor) -> None:
        """x: (B, C, H, W); nobody moves."""
        self._play(x, self._validation_generator, "validation", 1.0)

    def configure_optimizers(self) -> Any:
        """One optimiser for each player; the schedule is the model's."""
        optimizers, schedules = super().configure_optimizers()
        return [*optimizers, self._discriminator_optimizer(self.discriminator.parameters())], schedules

    def _play(self, x: Tensor, generator: torch.Generator, stage: str, progress: float) -> tuple[Tensor, Tensor]:
        """What the model minimises, and what the discriminator minimises."""
        step = self.model(x, generator)
        terms = self.objective(self.model, x, step, progress)
        penalties = self.discriminator.penalties(self.model, x, step, generator)
        loss = self.discriminator.loss(self.model, x, step, generator)
        self._means[stage].add({**terms, **penalties, "discriminator": loss}, len(x))
        return torch.stack([terms["total"], *penalties.values()]).sum(), loss
