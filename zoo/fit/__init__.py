"""Fits: how a model's parameters are found; each satisfies `Fit`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from zoo.autoencoder import Autoencoder
    from zoo.data.datamodule import ImageData
    from zoo.objective import Objective


@dataclass(frozen=True)
class FitReport:
    """How a fit went.

    Attributes:
        seconds: wall-clock time of the fit itself, data already in memory; of models fitted at once, an equal share.
        epochs: passes over the training images (1 for a closed form).
        best_epoch: the epoch, counted from 1, whose weights the model holds now.
        history: {term: one value per epoch}, "epoch" among them; empty for a closed form.
    """

    seconds: float
    epochs: int
    best_epoch: int
    history: dict[str, list[float]] = field(default_factory=dict)


class Fit(Protocol):
    """How a model's parameters are found."""

    def __call__(self, model: Autoencoder, data: ImageData, objective: Objective, seed: int) -> FitReport:
        """Fit `model` in place on `data.train`, choosing on `data.validation`; `seed` determines the outcome."""
        ...
