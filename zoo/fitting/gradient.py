"""The gradient fit of any objective, by Lightning."""

from __future__ import annotations

import logging
import math
import signal
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, runtime_checkable

import lightning as L
import torch
from lightning.fabric.loggers.logger import Logger as FabricLogger
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import Strategy
from torch import Tensor, nn

from zoo.arithmetic import MATMUL, arithmetic, multiplies_bf16
from zoo.checks import check_count, check_positive
from zoo.data.datamodule import DataModule
from zoo.data.images import Images
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.checkpoints import Checkpoints, WholeFiles
from zoo.fitting.optimizers import OptimizerBuilder, check_optimizer, parameter_groups
from zoo.fitting.progress import ProgressBar
from zoo.fitting.replay import Replay, drop_gradients, replayable
from zoo.fitting.schedules import constant
from zoo.fitting.shared_batches import average_buffers, share_of, strategy_of
from zoo.memory import keep_freed_memory
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Loss, Objective, step_on
from zoo.types import CalibratesOnValidation, FitReport, StartsFromData

if TYPE_CHECKING:
    from typing_extensions import Self

Schedule = Callable[[torch.optim.Optimizer, int], torch.optim.lr_scheduler.LRScheduler]
Precision = Literal["32-true", "bf16-mixed"]  # others scale the loss, or convert the weights
Epoch = Iterator[tuple[Tensor, int, int]]  # batches (B, C, H, W) with the indices of batch and loader

MONITOR = "validation_total"
STARTING_IMAGES = 10_000  # largest number of images for `StartsFromData.start_from_data`
STARTING_VALUES = 1 << 26  # and of their values
CALIBRATING_IMAGES = 10_000  # largest number of images for `CalibratesOnValidation.calibrate`
CALIBRATING_BATCH = 512  # of which so many at a time
FEW_IMAGES = 1000  # sets of fewer images are fitted with smaller batches
LEAST_STEPS, LEAST_BATCH = 10, 8  # per epoch of such sets: smaller batches than 8 made fits of VAEs diverge
LOG = logging.getLogger(__name__)


@runtime_checkable
class Augment(Protocol):
    """A random change of training images."""

    def __call__(self, x: Tensor, generator: torch.Generator, /) -> Tensor:
        """x: (B, C, H, W) -> the same shape."""
        ...


@dataclass(frozen=True)
class Gradient:
    """Minimise the objective by stochastic gradients; keep the weights of the best epoch on validation.

    Args:
        optimizer: builds the optimiser from groups of parameters, see `zoo.fitting.optimizers.grouped`.
        schedule: builds the learning-rate schedule from the optimiser and the number of steps.
        epochs: largest number of passes over the training images.
        batch_size: images per step; fewer for fewer than 1,000 training images, see `steps_batch`.
        clip: largest norm of the gradient; larger gradients are scaled down. None for no clipping.
        patience: stop after this number of validations without improvement; None runs all epochs.
        validate_every: epochs between validations.
        accelerator: Lightning's name of the hardware: "cpu", "gpu", "auto".
        precision: Lightning's name of the arithmetic: "32-true", or "bf16-mixed" (weights stay float32).
        matmul: torch's precision of float32 products, or "auto", see `zoo.arithmetic.exact_matmul`.
        replay: on a GPU, record a step and replay it where results are equal, see `zoo.fitting.replay.Replay`.
        devices: number of processes, each with a device of its own, that share each batch, see
            `zoo.fitting.shared_batches`; None for this process alone.
        threads: CPU threads of a process; they affect results, because sums are split over them.
        progress: show a progress bar.
        augment: random change of training batches: (images (B, C, H, W), generator) -> images; None for none.
        callbacks: further Lightning callbacks; for them, an epoch is a single batch.
        checkpoints: where the state of the fit is kept while it runs; None for nowhere.
        logger: Lightning's logger of the history; None for none.

    Raises:
        ZooError: a number out of range, an unknown precision, or a setting that optimiser or schedule refuse.
    """

    optimizer: OptimizerBuilder
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
    devices: int | None = None
    threads: int = 1
    progress: bool = True
    augment: Augment | None = None
    callbacks: Sequence[Callback] = ()
    checkpoints: Checkpoints | None = None
    logger: Logger | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "validate_every", "threads"):
            check_count(getattr(self, name), name)
        if self.clip is not None:
            check_positive(self.clip, "fit.clip")
        if self.patience is not None:
            check_count(self.patience, "fit.patience")
        if self.devices is not None:
            check_count(self.devices, "trainer.devices")
        if self.augment is not None and not isinstance(self.augment, Augment):
            raise ZooError(f"fit.augment={self.augment}: choose fit=shifted for augmented images, or null for none")
        for name, known in {"precision": get_args(Precision), "matmul": MATMUL}.items():
            if (value := getattr(self, name)) not in known:
                raise ZooError(f"trainer.{name}={value}: choose one of {', '.join(known)}")
        self.schedule(check_optimizer("optimizer", self.optimizer), 1)

    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Fit `model` in place.

        Raises:
            ZooError: the loss is not finite; this machine lacks the hardware of `accelerator`.
        """
        module = GradientModule(
            model, objective, self.optimizer, self.schedule, seed, self.clip, augment=self.augment, replay=self.replay
        )
        return self.train(module, data, seed)

    def resuming(self, path: Path, run: Mapping[str, Any], every: float) -> Self:
        """This fit with checkpoints, see `zoo.fitting.checkpoints.Checkpoints`."""
        return replace(self, checkpoints=Checkpoints(path, run, every))

    def logging_to(self, logger: Logger) -> Self:
        """This fit, which also logs its history, epoch by epoch."""
        return replace(self, logger=logger)

    def train(self, module: GradientModule, data: Splits, seed: int) -> FitReport:
        """Fit the model of `module` by Lightning, and set it to its best weights."""
        initialise_from_data(module.model, data)
        module.images = len(data.train)
        batch_size = steps_batch(len(data.train), self.batch_size)
        callbacks: list[Callback] = [KeepBest(), *self.callbacks]
        if self.patience is not None:
            callbacks.append(EarlyStopping(MONITOR, patience=self.patience, mode="min"))
        if self.progress:
            callbacks.append(ProgressBar(module.history))
        if self.checkpoints is not None:
            callbacks.append(self.checkpoints)
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no banner
        keep_freed_memory()
        with arithmetic(self.matmul, self.threads), torch.random.fork_rng(), warnings.catch_warnings():
            # Lightning's use of a deprecated torch name, and its advice to use a GPU, which `accelerator` decides
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            warnings.filterwarnings("ignore", message="GPU available but not used")
            # advice to start the command by srun where SLURM is installed
            warnings.filterwarnings("ignore", message="The `srun` command is available")
            # the notice that passing a whole epoch is experimental; it has not changed since 2021
            warnings.filterwarnings("ignore", message=".*`dataloader_iter`")
            torch.manual_seed(seed)
            try:
                trainer = L.Trainer(
                    accelerator=self.accelerator,
                    devices=self.devices or 1,
                    strategy="auto" if self.devices is None else strategy_of(self.devices),
                    use_distributed_sampler=False,
                    precision=self.precision,
                    max_epochs=self.epochs,
                    check_val_every_n_epoch=min(self.validate_every, self.epochs),
                    callbacks=callbacks,
                    logger=self.logger or False,
                    log_every_n_steps=1,
                    enable_checkpointing=self.checkpoints is not None,
                    plugins=[WholeFiles(), LightningEnvironment()],  # this process alone
                    enable_progress_bar=False,
                    enable_model_summary=False,
                    num_sanity_val_steps=0,
                )
            except (MisconfigurationException, ValueError) as error:
                reason = str(error).rstrip(".!")
                raise ZooError(f"trainer.accelerator={self.accelerator}: {reason}; choose trainer=cpu") from error
            tell_if_slow(self.precision, trainer.strategy.root_device)
            module.start = time.perf_counter()
            handler = signal.getsignal(signal.SIGINT)
            try:
                trainer.fit(module, datamodule=DataModule(data, batch_size, seed), ckpt_path=self.resumed_from())
            except ZooError:  # the loss is not finite, and would not be after the same epochs again
                if self.checkpoints is not None:
                    self.checkpoints.remove()
                raise
            except SystemExit as left:  # Lightning leaves so after Ctrl-C, with signals ignored from then on
                if not trainer.interrupted or handler is None:
                    raise
                signal.signal(signal.SIGINT, handler)
                raise KeyboardInterrupt from left
            seconds = time.perf_counter() - module.start
        best = callbacks[0]
        assert isinstance(best, KeepBest)
        best_epoch = best.restore(module)
        calibrate(module.model, data)
        return FitReport(seconds, trainer.current_epoch, best_epoch, module.history)

    def resumed_from(self) -> Path | None:
        """The checkpoint that the fit resumes from, which is reported; None to start at the first epoch."""
        if self.checkpoints is None or (epoch := self.checkpoints.epoch()) is None:
            return None
        LOG.warning("resumed after epoch %d of %d, from %s", epoch, self.epochs, self.checkpoints.path)
        return self.checkpoints.path


@cache  # so that it is logged once
def steps_batch(images: int, batch_size: int) -> int:
    """Images per step: `batch_size`, or fewer where an epoch of fewer than 1,000 images would have under 10 steps.

    Epochs bound a fit, but steps fit a model: 91 images with 128 per step take one step an epoch, and 50 steps leave a
    convolutional autoencoder far from PCA. A smaller batch costs no more operations per epoch. A reduced batch has at
    least 8 images, so that fewer than 80 images have fewer than 10 steps, and leaves no single image for the last step,
    of which statistics over the batch are undefined. It is logged as a warning, once.

    Limitations: quantities that are defined over a batch (the active units of batch_topk and winner_take_all, the
    estimate of total correlation) depend on its size.

    Args:
        images: number of training images.
        batch_size: the setting.
    """
    if images >= FEW_IMAGES:
        return batch_size
    size = max(LEAST_BATCH, math.ceil(images / LEAST_STEPS))
    while images > size and images % size == 1:
        size += 1
    if size < min(batch_size, images):
        steps = math.ceil(images / size)
        text = "%d training samples: %d samples per step instead of %d, for %d steps an epoch"
        LOG.warning(text, images, size, batch_size, steps)
    return min(batch_size, size)


@cache  # so that it is logged once
def tell_if_slow(precision: Precision, device: torch.device) -> None:
    """Log a warning where a precision makes fits slower instead of faster."""
    if precision == "bf16-mixed" and not multiplies_bf16(device):
        lacking = "the processor" if device.type == "cpu" else f"the device {device}"
        text = "trainer.precision=bf16-mixed: %s has no instructions for bf16; trainer.precision=32-true is faster here"
        LOG.warning(text, lacking)


def initialise_from_data(model: Autoencoder, data: Splits) -> None:
    """Initialise the modules that are `StartsFromData` from training images, evenly spaced in the set."""
    if starting := [module for module in model.modules() if isinstance(module, StartsFromData)]:
        images = data.train.spaced(starting_images(data))[:]  # of files in the order of their classes, some of each
        for module in starting:
            module.start_from_data(images)


def starting_images(data: Splits) -> int:
    """Number of images that are read at once to initialise a model: 10,000, or fewer large ones."""
    return max(1, min(STARTING_IMAGES, STARTING_VALUES // math.prod(data.shape)))


@torch.no_grad()
def calibrate(model: Autoencoder, data: Splits) -> None:
    """Choose the values of modules that are `CalibratesOnValidation`."""
    mode = model.training
    model.eval()
    for module in [module for module in model.modules() if isinstance(module, CalibratesOnValidation)]:
        module.calibrate(inputs_of(module, model, data.validation.spaced(CALIBRATING_IMAGES)))
    model.train(mode)


def inputs_of(module: CalibratesOnValidation, model: Autoencoder, images: Images) -> Iterator[Tensor]:
    """What a module of the model receives while it encodes images, a batch at a time: each (B, D)."""
    assert isinstance(module, nn.Module)
    given: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, received: given.append(received[0]))
    try:
        for x in images.batches(CALIBRATING_BATCH):
            given.clear()  # what the module received while it looked at the batch before
            model.encode(x)
            yield given[0]
    finally:
        hook.remove()


class GradientModule(L.LightningModule):
    """An autoencoder, its objective and its optimiser as a Lightning module.

    Terms are summed on their device and read once per epoch, not logged per step. The module runs all steps of an epoch
    itself, with torch's optimiser: Lightning's overhead per step can exceed the step of a network for 8x8 images.

    Attributes:
        history: {"epoch", "train_<term>", "validation_<term>"}: one value per validated epoch.
        images: number of training images.
        start: when the fit started, by `time.perf_counter`; of a resumed fit, as if it had never stopped.
    """

    images: int

    def __init__(
        self,
        model: Autoencoder,
        objective: Loss,
        optimizer: OptimizerBuilder,
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
        self._restored: dict[str, list[Tensor]] = {}
        self.start = 0.0
        self.history: dict[str, list[float]] = {}
        self._means: defaultdict[str, Means] = defaultdict(Means)

    def on_fit_start(self) -> None:
        """Create the generator of all randomness in training."""
        self._rank, self._world = self.trainer.global_rank, self.trainer.world_size
        own = self.seed + (self._rank << 32)  # of several processes, each draws noise of its own
        self._generator = torch.Generator(self.device).manual_seed(own)
        if self._world > 1:
            torch.manual_seed(own)
            self._may_replay = False
        self._steps = int(self.trainer.estimated_stepping_batches)
        self._weights = list(self.model.parameters())

    def on_train_start(self) -> None:
        """Set the generators of a resumed fit to their states at the end of its last epoch; log its epochs again."""
        if self._restored:
            self._generator.set_state(self._restored["own"][self._rank])
            torch.set_rng_state(self._restored["global"][self._rank])
            if self.device.type == "cuda":
                torch.cuda.set_rng_state(self._restored["cuda"][self._rank], self.device)
        if self._restored and self.logger is not None:  # which starts empty
            for values in zip(*self.history.values(), strict=True):
                log_epoch(self.logger, dict(zip(self.history, values, strict=True)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a fit consists of besides weights, optimisers and schedules, which Lightning saves."""
        generators = {"own": self._generator.get_state(), "global": torch.get_rng_state()}
        if self.device.type == "cuda":
            generators["cuda"] = torch.cuda.get_rng_state(self.device)
        seconds = time.perf_counter() - self.start
        checkpoint["fit"] = {
            "generators": {name: self._of_all(state) for name, state in generators.items()},
            "history": self.history,
            "steps": self._taken,
            "seconds": seconds,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what `on_save_checkpoint` added; the generators follow when they exist."""
        saved = checkpoint["fit"]
        self._restored, self._taken = saved["generators"], saved["steps"]
        self.history.update(saved["history"])
        self.start -= saved["seconds"]

    def _of_all(self, state: Tensor) -> list[Tensor]:
        """The state of a generator in each process; copies, as torch reads a part of a tensor from the wrong place."""
        found = self.trainer.strategy.all_gather(state.to(self.device))
        return [one.cpu().clone() for one in found.reshape(self._world, -1)]

    def training_step(self, dataloader_iter: Epoch) -> None:
        """Take a step on each batch x: (B, C, H, W) of an epoch."""
        for x, _, _ in dataloader_iter:
            self.step(x)

    def step(self, x: Tensor) -> None:
        """Update the weights on x: (B, C, H, W)."""
        whole = images = len(x)
        if self._world > 1:
            x, images = share_of(x, self._rank, self._world)
        x = self.augmented(x)
        if self._may_replay and x.is_cuda:
            self._may_replay = False  # tried once
            if replayable(self.model, self.objective, x):
                self._replay = Replay(partial(self._terms, generator=self._generator), self._weights, [self._generator])
        if self._replay is None:
            terms = self._terms(x, self.progress, self._generator)
            drop_gradients(self._weights)
            total = terms["total"]
            if self._world > 1:  # gradients are averaged over processes, which may have more or fewer images
                total = total * (images * self._world / whole)
                self.trainer.strategy.pre_backward(total)
            total.backward()  # type: ignore[no-untyped-call]
        else:
            terms = self._replay(x, self.progress)
        self._means["train"].add(terms, images)
        self.update_weights()
        if self._world > 1:
            average_buffers(self.model.buffers(), self._world)

    def augmented(self, x: Tensor) -> Tensor:
        """The training images x: (B, C, H, W) after augmentation."""
        return x if self._augment is None else self._augment(x, self._generator)

    @property
    def progress(self) -> float:
        """Fraction of training completed."""
        return self._taken / self._steps

    def update_weights(self) -> None:
        """Take a step of the optimisers and of their schedules."""
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._clip)
        for updated in (self.optimizers(use_pl_optimizer=False), self.lr_schedulers()):
            for one in updated if isinstance(updated, list) else [updated]:
                one.step()  # type: ignore[union-attr]
        self._taken += 1

    def on_validation_epoch_start(self) -> None:
        """Reset the generator, so that every epoch is validated with the same noise."""
        self._validation_generator = torch.Generator(self.device).manual_seed(self.seed)

    def validation_step(self, dataloader_iter: Epoch) -> None:
        """Evaluate each batch x: (B, C, H, W) of the validation images."""
        for x, _, _ in dataloader_iter:
            self.validate(x)

    def validate(self, x: Tensor) -> None:
        """Add the terms of x: (B, C, H, W), as after a warm-up, so that all epochs are comparable."""
        self._means["validation"].add(self._terms(x, 1.0, self._validation_generator), len(x))

    def on_validation_epoch_end(self) -> None:
        """Report the monitored value to the callbacks."""
        (means,) = self._means["validation"].read()
        self.log(MONITOR, means["total"], logger=False, sync_dist=True)  # equal in all processes

    def on_train_epoch_end(self) -> None:
        """Add the epoch to the history."""
        self._means["train"].reduce(self.trainer.strategy)
        means = {stage: found.read()[0] for stage, found in self._means.items()}
        self._means.clear()
        row = record_epoch(self.history, self.current_epoch + 1, means, self._rate)
        if self.logger is not None:
            log_epoch(self.logger, row)

    def configure_optimizers(self) -> Any:
        """The optimiser and its schedule."""
        optimizer = self._optimizer(parameter_groups(self.model))
        self._rate = optimizer.param_groups[0]["lr"]  # which a schedule changes
        scheduler = self._schedule(optimizer, int(self.trainer.estimated_stepping_batches))
        return [optimizer], [scheduler]

    def _terms(self, x: Tensor, progress: float | Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        return self.objective(self.model, x, step_on(self.model, x, generator, self.images), progress)


class Means:
    """Means of the terms over the images of an epoch: summed in one tensor on its device, and read once."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sums: Tensor | float = 0.0

    def add(self, terms: Mapping[str, Tensor], images: int) -> None:
        """Add a batch's terms, {name: (), or (M,) for M models}, weighted by its number of images."""
        self._names = list(terms)
        values = [value.detach() for value in terms.values()]
        sums = torch.stack([*values, torch.ones_like(values[0], dtype=torch.float32)]) * images
        self._sums = self._sums + sums

    def reduce(self, strategy: Strategy) -> None:
        """Take in the images of the other processes of a fit."""
        self._sums = strategy.reduce(self._sums, reduce_op="sum")

    def read(self) -> list[dict[str, float]]:
        """The means, {name: mean}, of each model."""
        assert isinstance(self._sums, Tensor)
        means = (self._sums / self._sums[-1]).reshape(len(self._sums), -1).T.tolist()
        return [dict(zip(self._names, values, strict=False)) for values in means]


def record_epoch(
    history: dict[str, list[float]], epoch: int, means: Mapping[str, Mapping[str, float]], rate: float
) -> dict[str, float]:
    """Add an epoch's means to the history, if the epoch was validated.

    Args:
        history: {"epoch", "train_<term>", "validation_<term>"}: one value per validated epoch; changed in place.
        epoch: the epoch, counted from 1.
        means: {"train": {term: mean}}, and "validation" in a validated epoch.
        rate: the learning rate that was set, without the schedule's changes, for the message.

    Returns:
        The epoch and its means.

    Raises:
        ZooError: a mean is not a finite number.
    """
    row = {"epoch": float(epoch)}
    row |= {f"{stage}_{name}": value for stage, terms in means.items() for name, value in terms.items()}
    if "validation" in means:
        for name, value in row.items():
            history.setdefault(name, []).append(value)
    if broken := [name for name, value in row.items() if not math.isfinite(value)]:
        raise ZooError(
            f"epoch {epoch}: {', '.join(broken)} is not a finite number; lower optimizer.lr ({rate:g}) or set fit.clip"
        )
    return row


def log_epoch(logger: FabricLogger, row: Mapping[str, float]) -> None:
    """Log an epoch's means, {"epoch", "train_<term>", "validation_<term>"}."""
    logger.log_metrics({name: value for name, value in row.items() if name != "epoch"}, step=int(row["epoch"]))


class KeepBest(Callback):
    """Keep a copy of the weights with the best validation so far, in memory."""

    def __init__(self) -> None:
        self.value = float("inf")
        self.epoch = 0
        self.weights: Mapping[str, Tensor] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the weights if this validation is the best."""
        value = float(trainer.callback_metrics[MONITOR])
        if value < self.value:
            self.value, self.epoch = value, trainer.current_epoch + 1
            self.weights = {name: tensor.clone() for name, tensor in pl_module.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"value": self.value, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.value, self.epoch, self.weights = state_dict["value"], state_dict["epoch"], state_dict["weights"]

    def restore(self, module: L.LightningModule) -> int:
        """Load the best weights and return their epoch."""
        module.load_state_dict(self.weights)
        return self.epoch
