"""The adversarial fit: a model and a discriminator, each with its own optimiser, updated in turn at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.splits import Splits
from zoo.fitting.discriminators import Discriminator
from zoo.fitting.gradient import Gradient, GradientModule
from zoo.fitting.replay import drop_gradients
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective
from zoo.types import FitReport, Shape


@dataclass(frozen=True, kw_only=True)
class Adversarial(Gradient):
    """Minimise the objective plus penalties of a discriminator; the discriminator minimises its own loss.

    At every step, both gradients are computed from the same forward pass; first the model is updated, then the
    discriminator. Each optimiser holds the weights of one of them. The discriminator is discarded after the fit. As the
    discriminator changes with every step, its penalties are not comparable between epochs, and the best epoch is chosen
    by the objective alone. Steps are not recorded: `replay` has no effect.

    Args:
        discriminator: builds the discriminator from the model and the shape of its images.
        discriminator_optimizer: builds the discriminator's optimiser from its parameters; its rate is constant.
    """

    discriminator: Callable[[Autoencoder, Shape], Discriminator]
    discriminator_optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]

    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Fit `model` in place.

        Raises:
            ZooError: the loss is not finite.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            discriminator = self.discriminator(model, data.shape)
        module = AdversarialModule(model, objective, self, discriminator, seed)
        return self.train(module, data, seed)


class AdversarialModule(GradientModule):
    """A model and its discriminator as a Lightning module.

    The history also holds the discriminator's penalties, with their weights, and its own loss as "discriminator".
    """

    def __init__(
        self,
        model: Autoencoder,
        objective: Objective,
        fit: Adversarial,
        discriminator: Discriminator,
        seed: int,
    ) -> None:
        super().__init__(model, objective, fit.optimizer, fit.schedule, seed, fit.clip, augment=fit.augment)
        self.discriminator = discriminator
        self._discriminator_optimizer = fit.discriminator_optimizer

    def step(self, x: Tensor) -> None:
        """Update model and discriminator on x: (B, C, H, W)."""
        x = self.augmented(x)
        optimizer, discriminator_optimizer = self.optimizers(use_pl_optimizer=False)  # type: ignore[misc]
        total, loss = self._losses(x, self._generator, "train", self.progress)
        drop_gradients(self._weights)
        total.backward()  # type: ignore[no-untyped-call]
        self.update_weights(optimizer)
        drop_gradients(self.discriminator.parameters())  # also those of the model's loss
        loss.backward()  # type: ignore[no-untyped-call]
        discriminator_optimizer.step()

    def validate(self, x: Tensor) -> None:
        """Add the terms of x: (B, C, H, W)."""
        self._losses(x, self._validation_generator, "validation", 1.0)

    def configure_optimizers(self) -> Any:
        """The optimisers of model and discriminator, and the model's schedule."""
        optimizers, schedules = super().configure_optimizers()
        return [*optimizers, self._discriminator_optimizer(self.discriminator.parameters())], schedules

    def _losses(self, x: Tensor, generator: torch.Generator, stage: str, progress: float) -> tuple[Tensor, Tensor]:
        """The losses of model and discriminator; their terms are added to the means of `stage`."""
        step = self.model(x, generator)
        terms = self.objective(self.model, x, step, progress)
        penalties = self.discriminator.penalties(self.model, x, step, generator)
        loss = self.discriminator.loss(self.model, x, step, generator)
        self._means[stage].add({**terms, **penalties, "discriminator": loss}, len(x))
        return torch.stack([terms["total"], *penalties.values()]).sum(), loss
