"""The adversarial fit: a model and a discriminator, each with its own optimiser, updated in turn at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.discriminators import Discriminator
from zoo.fitting.gradient import MONITOR, Gradient, GradientModule
from zoo.fitting.optimizers import OptimizerBuilder, check_optimizer, parameter_groups
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective
from zoo.types import FitReport, Shape, Step


@dataclass(frozen=True, kw_only=True)
class Adversarial(Gradient):
    """Minimise the objective plus penalties of a discriminator; the discriminator minimises its own loss.

    At every step, both gradients are computed from the same forward pass; first the model is updated, then the
    discriminator. Each optimiser holds the weights of one of them, and both follow the schedule: if only the model's
    rate fell, the discriminator would tell codes and prior apart in the end. The discriminator is discarded after the
    fit.

    As the discriminator changes with every step, its penalties are not comparable between epochs, and without them the
    objective is not what is minimised. So no epoch is chosen: the weights are those of the last validation.

    Args:
        discriminator: builds the discriminator from the model and the shape of its images.
        discriminator_optimizer: builds the discriminator's optimiser from groups of parameters.

    Raises:
        ZooError: as for `Gradient`, of the discriminator's optimiser, too; or a patience, because no validation is an
            improvement on another.
    """

    discriminator: Callable[[Autoencoder, Shape], Discriminator]
    discriminator_optimizer: OptimizerBuilder

    def __post_init__(self) -> None:
        super().__post_init__()
        check_optimizer("fit.discriminator_optimizer", self.discriminator_optimizer)
        if self.patience is not None:
            raise ZooError(
                f"fit.patience={self.patience}: the validations of an adversarial fit are not comparable; remove it"
            )

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
        loss = AdversarialLoss(objective, discriminator)
        super().__init__(model, loss, fit.optimizer, fit.schedule, seed, fit.clip, fit.augment, fit.replay)
        self.discriminator = discriminator
        self._discriminator_optimizer = fit.discriminator_optimizer

    def on_fit_start(self) -> None:
        """Also take the discriminator's weights among those whose gradients are computed."""
        super().on_fit_start()
        self._weights += self.discriminator.parameters()

    def on_validation_epoch_end(self) -> None:
        """Report the newest epoch as the best to the callbacks."""
        self.log(MONITOR, -float(self.current_epoch), logger=False, sync_dist=True)

    def update_weights(self) -> None:
        """Take a step of both optimisers; `fit.clip` limits the gradients of each by themselves."""
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self.discriminator.parameters(), self._clip)
        super().update_weights()

    def configure_optimizers(self) -> Any:
        """The optimisers of model and discriminator, and the schedule of each."""
        (optimizer,), (schedule,) = super().configure_optimizers()
        other = self._discriminator_optimizer(parameter_groups(self.discriminator))
        return [optimizer, other], [schedule, self._schedule(other, int(self.trainer.estimated_stepping_batches))]


class AdversarialLoss:
    """The loss of a model and that of its discriminator; called as an objective.

    Args:
        objective: of the model.
        discriminator: its penalties are added.
    """

    def __init__(self, objective: Objective, discriminator: Discriminator) -> None:
        self.objective, self.discriminator = objective, discriminator

    def __call__(self, model: Autoencoder, x: Tensor, step: Step, progress: float | Tensor = 1.0) -> dict[str, Tensor]:
        """The terms of objective and discriminator on x: (B, C, H, W).

        Returns:
            "total" is the model's loss. Its gradient is that of the model's loss for the model's weights, and that of
            the discriminator's loss for the discriminator's.
        """
        terms = self.objective(model, x, step, progress)
        self.discriminator.requires_grad_(False)
        penalties = self.discriminator.penalties(model, x, step)
        self.discriminator.requires_grad_(True)
        loss = self.discriminator.loss(model, x, step)
        total = torch.stack([terms["total"], *penalties.values()]).sum() + (loss - loss.detach())
        return {**terms, "total": total, **penalties, "discriminator": loss}
