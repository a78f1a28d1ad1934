"""The gradient fit: any objective, by Lightning."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor, nn

from zoo.autoencoder import Autoencoder
from zoo.data.datamodule import ImageData
from zoo.errors import ZooError
from zoo.fit import FitReport
from zoo.fit.arithmetic import MATMUL, arithmetic
from zoo.fit.memory import keep_freed_memory
from zoo.fit.progress import Progress
from zoo.fit.replay import Replay, drop_gradients, replayable
from zoo.fit.schedules import constant
from zoo.objective import Objective

Augment = Callable[[Tensor, torch.Generator], Tensor]
Schedule = Callable[[torch.optim.Optimizer, int], torch.optim.lr_scheduler.LRScheduler]
Precision = Literal["32-true", "bf16-mixed"]  # others would scale the loss, or convert the weights
Epoch = Iterator[tuple[Tensor, int, int]]  # batches (B, C, H, W), each with its number and its loader's

MONITOR = "validation_total"
SHOWN = 10_000  # images that a module may start from


@dataclass(frozen=True)
class Gradient:
    """Minimise the objective by stochastic gradients; keep the weights of the best epoch on validation.

    Args:
        optimizer: makes the optimiser from the parameters.
        schedule: makes the learning-rate schedule from the optimiser and the number of steps.
        epochs: passes over the training images, at most.
        batch_size: images per step.
        clip: largest norm of the gradient; a larger one is scaled down. None for no clipping.
        patience: stop after so many validations without a better one; None runs all epochs.
        validate_every: epochs between validations.
        accelerator: Lightning's name of the hardware: "cpu", "gpu", "auto".
        precision: Lightning's name of the arithmetic: "32-true", or "bf16-mixed" (weights stay float32).
        matmul: torch's float32 matmul precision, or "auto", the quickest on this CPU that is exact.
        replay: on a GPU, record a step once and replay it, where that gives the same, see `Replay`.
        threads: CPU threads. Part of what determines the numbers: sums are split differently over other counts.
        progress: show a bar.
        augment: what is shown instead of a batch of training images (B, C, H, W), drawn from a generator; None shows
            them as they are.
        callbacks: Lightning callbacks beside the fit's own; to them, an epoch is one batch and no step.
    """

    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    schedule: Schedule = constant
    epochs: int = 20
    batch_size: int = 256
    clip: float | None = None
    patience: int | None = None
    validate_every: int = 1
    accelerator: str = "cpu"
    precision: Precision = "32-true"
    matmul: str = "auto"
    replay: bool = False
    threads: int = 1
    progress: bool = True
    augment: Augment | None = None
    callbacks: Sequence[Callback] = ()

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validate_every", "threads"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ZooError(f"{name}={value}: a gradient fit needs a whole number, at least 1")
        for name, known in {"precision": get_args(Precision), "matmul": MATMUL}.items():
            if (value := getattr(self, name)) not in known:
                raise ZooError(f"trainer.{name}={value}: a gradient fit knows {', '.join(known)}")

    def __call__(self, model: Autoencoder, data: ImageData, objective: Objective, seed: int) -> FitReport:
        """Fit `model` in place.

        Raises:
            ZooError: the loss is no longer a finite number; this machine has no such hardware.
        """
        module = GradientModule(
            model, objective, self.optimizer, self.schedule, seed, self.clip, augment=self.augment, replay=self.replay
        )
        return self.train(module, data, seed)

    def train(self, module: GradientModule, data: ImageData, seed: int) -> FitReport:
        """Let Lightning fit the model of `module`, and leave it with the best weights."""
        data.batch_size, data.seed = self.batch_size, seed
        start_from(module.model, data)
        callbacks: list[Callback] = [KeepBest(), *self.callbacks]
        if self.patience is not None:
            callbacks.append(EarlyStopping(MONITOR, patience=self.patience, mode="min"))
        if self.progress:
            callbacks.append(Progress())
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # its banner says nothing of this fit
        keep_freed_memory()
        with arithmetic(self.matmul, self.threads), torch.random.fork_rng(), warnings.catch_warnings():
            # Lightning's own use of a deprecated torch name, and its advice to use a GPU; which of them is settled here
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            warnings.filterwarnings("ignore", message="GPU available but not used")
            # that it may yet change how it hands over a whole epoch; it has not since 2021
            warnings.filterwarnings("ignore", message=".*`dataloader_iter`")
            torch.manual_seed(seed)
            try:
                trainer = L.Trainer(
                    accelerator=self.accelerator,
                    devices=1,
                    precision=self.precision,
                    max_epochs=self.epochs,
                    check_val_every_n_epoch=min(self.validate_every, self.epochs),
                    callbacks=callbacks,
                    logger=False,
                    enable_checkpointing=False,
                    enable_progress_bar=False,
                    enable_model_summary=False,
                    num_sanity_val_steps=0,
                )
            except (MisconfigurationException, ValueError) as error:
                asked = f"trainer.accelerator={self.accelerator}"
                raise ZooError(f"{asked}: {str(error).rstrip('.!')}; fit with trainer=cpu") from error
            start = time.perf_counter()
            trainer.fit(module, datamodule=data)
            seconds = time.perf_counter() - start
        best = callbacks[0]
        assert isinstance(best, KeepBest)
        return FitReport(seconds, trainer.current_epoch, best.restore(module), module.history)


def start_from(model: Autoencoder, data: ImageData) -> None:
    """Show training images to the modules that start from data: those with a method `start(images: Tensor)`.

    A dictionary's origin is the mean image, a codebook's entries are codes of images, and so on.
    """
    images = data.train[:SHOWN]
    for module in model.modules():
        if callable(start := getattr(module, "start", None)):
            start(images)


class GradientModule(L.LightningModule):
    """One autoencoder, its objective and its optimiser, as Lightning wants them.

    Nothing is logged per step: the terms are added up and read once an epoch. And the module takes the steps of an
    epoch itself, with torch's own optimiser: what Lightning does around each, and around the optimiser, may take as
    long as a step of a network for 8x8 images.

    Attributes:
        history: {"epoch", "train_<term>", "validation_<term>"}: one value per validated epoch.
    """

    def __init__(
        self,
        model: Autoencoder,
        objective: Objective,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        schedule: Schedule,
        seed: int,
        clip: float | None = None,
        augment: Augment | None = None,
        replay: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model, self.objective, self.seed = model, objective, seed
        self._optimizer, self._schedule, self._clip, self._augment = optimizer, schedule, clip, augment
        self._may_replay, self._taken = replay, 0
        self._replay: Replay | None = None
        self.history: dict[str, list[float]] = {}
        self._means: defaultdict[str, Means] = defaultdict(Means)

    def on_fit_start(self) -> None:
        """Randomness of the fit comes from one generator, that of validation from another, rewound each time."""
        self._generator = torch.Generator(self.device).manual_seed(self.seed)
        self._steps = int(self.trainer.estimated_stepping_batches)
        self._weights = list(self.model.parameters())

    def training_step(self, dataloader_iter: Epoch) -> None:
        """An epoch of batches x: (B, C, H, W); the weights move with each."""
        for x, _, _ in dataloader_iter:
            self.step(x)

    def step(self, x: Tensor) -> None:
        """x: (B, C, H, W); the weights move."""
        if self._augment is not None:
            x = self._augment(x, self._generator)
        if self._taken == 0 and self._may_replay and x.is_cuda and replayable(self.model, self.objective, x):
            self._replay = Replay(partial(self._terms, generator=self._generator), self._weights, [self._generator])
        if self._replay is None:
            terms = self._terms(x, self.progress, self._generator)
            drop_gradients(self._weights)
            terms["total"].backward()  # type: ignore[no-untyped-call]
        else:
            terms = self._replay(x, self.progress)
        self._means["train"].add(terms, len(x))
        self.move(self.optimizers(use_pl_optimizer=False))

    @property
    def progress(self) -> float:
        """Share of the fit that is behind."""
        return self._taken / self._steps

    def move(self, optimizer: Any) -> None:
        """Move the model's weights by their gradients, and the schedule on."""
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._clip)
        optimizer.step()
        self.lr_schedulers().step()  # type: ignore[union-attr]
        self._taken += 1

    def on_validation_epoch_start(self) -> None:
        """Validate every epoch on the same corruption and the same samples."""
        self._validation_generator = torch.Generator(self.device).manual_seed(self.seed)

    def validation_step(self, dataloader_iter: Epoch) -> None:
        """All batches x: (B, C, H, W) of the validation images."""
        for x, _, _ in dataloader_iter:
            self.validate(x)

    def validate(self, x: Tensor) -> None:
        """x: (B, C, H, W); all terms count in full, so that epochs before and after a warm-up can be compared."""
        self._means["validation"].add(self._terms(x, 1.0, self._validation_generator), len(x))

    def on_validation_epoch_end(self) -> None:
        """Hand the monitored value to early stopping and to the best weights."""
        (means,) = self._means["validation"].read()
        self.log(MONITOR, means["total"])

    def on_train_epoch_end(self) -> None:
        """Close the epoch's entry of the history."""
        means = {stage: found.read()[0] for stage, found in self._means.items()}
        self._means.clear()
        enter(self.history, self.current_epoch + 1, means, self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        """The optimiser, and its schedule."""
        optimizer = self._optimizer(self.model.parameters())
        scheduler = self._schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        return [optimizer], [scheduler]

    def _terms(self, x: Tensor, progress: float | Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        return self.objective(self.model, x, self.model(x, generator), progress)


class Means:
    """Terms averaged over the images of an epoch: added up in one tensor, on its device, and read once."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sums: Tensor | float = 0.0

    def add(self, terms: Mapping[str, Tensor], images: int) -> None:
        """Count a batch's terms, {name: () or, of M models at once, (M,)}, for so many images."""
        self._names = list(terms)
        values = [value.detach() for value in terms.values()]
        sums = torch.stack([*values, torch.ones_like(values[0], dtype=torch.float32)]) * images
        self._sums = self._sums + sums

    def read(self) -> list[dict[str, float]]:
        """{name: mean} of each model."""
        assert isinstance(self._sums, Tensor)
        means = (self._sums / self._sums[-1]).reshape(len(self._sums), -1).T.tolist()
        return [dict(zip(self._names, values, strict=False)) for values in means]


def enter(history: dict[str, list[float]], epoch: int, means: Mapping[str, Mapping[str, float]], rate: float) -> None:
    """Enter an epoch's means, {"train": {term: mean}, "validation"?: ...}, into the history, if it was validated.

    Raises:
        ZooError: one of them is no finite number.
    """
    row = {"epoch": float(epoch)}
    row |= {f"{stage}_{name}": value for stage, terms in means.items() for name, value in terms.items()}
    if "validation" in means:
        for name, value in row.items():
            history.setdefault(name, []).append(value)
    if broken := [name for name, value in row.items() if not math.isfinite(value)]:
        raise ZooError(
            f"epoch {epoch}: {', '.join(broken)} is not a finite number; "
            f"lower optimizer.lr (now {rate:g}) or set fit.clip"
        )


class KeepBest(Callback):
    """Keep a copy of the weights of the best validation so far, in memory."""

    def __init__(self) -> None:
        self.value = float("inf")
        self.epoch = 0
        self.weights: Mapping[str, Tensor] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the weights if this validation was the best."""
        value = float(trainer.callback_metrics[MONITOR])
        if value < self.value:
            self.value, self.epoch = value, trainer.current_epoch + 1
            self.weights = {name: tensor.clone() for name, tensor in pl_module.state_dict().items()}

    def restore(self, module: L.LightningModule) -> int:
        """Put the best weights back and return their epoch."""
        module.load_state_dict(self.weights)
        return self.epoch
