"""Several models of one variant, with a seed each, fitted at once by gradients and one optimiser."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from zoo.arithmetic import arithmetic
from zoo.data.images import Batches
from zoo.data.splits import Splits
from zoo.fitting.checkpoints import RUN, Checkpoints, WholeFiles
from zoo.fitting.gradient import (
    Gradient,
    Means,
    calibrate,
    initialise_from_data,
    record_epoch,
    steps_batch,
    tell_if_slow,
)
from zoo.fitting.optimizers import grouped, parameter_groups, weight_matrices
from zoo.fitting.replay import ROUNDING, Replay
from zoo.memory import keep_freed_memory
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective, step_on
from zoo.types import Fit, FitReport

ELEMENTWISE = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)
TRIAL_IMAGES = 8
LOG = logging.getLogger(__name__)


def fit_stacked(
    fit: Gradient, models: Sequence[Autoencoder], data: Splits, objective: Objective, seeds: Sequence[int]
) -> list[FitReport]:
    """Fit M models in place; the results equal those of `fit` with each seed, up to rounding.

    Weights of one name are stacked to (M, ...), and each step is mapped over them. A model's loss does not depend on
    the weights of others, so that the gradient of the sum of losses contains the gradient of each. Each model receives
    the training images in the order of its own seed, and keeps the weights of its own best epoch. Where `fit` has
    checkpoints, an interrupted fit resumes from the last one, and ends with the weights of an uninterrupted one.

    Args:
        fit: the settings.
        models: models of one variant, which are `stackable`.
        data: the data of all models.
        objective: the objective of each model.
        seeds: one per model.

    Returns:
        One report per model; `seconds` is the total wall-clock time divided by M.

    Raises:
        ZooError: the loss of a model is not finite.
    """
    environment = LightningEnvironment()  # this process alone, also within a job of a cluster
    fabric = Fabric(accelerator=fit.accelerator, devices=1, precision=fit.precision, plugins=[environment])
    tell_if_slow(fit.precision, fabric.device)
    train, validation = data.train.to(fabric.device), data.validation.to(fabric.device)
    batch_size = steps_batch(len(train), fit.batch_size)
    orders = [Batches(train, batch_size, seed, data.source.redrawn) for seed in seeds]
    for model in models:
        initialise_from_data(model, data)
    stack = StackedModels(models, objective, fabric.device, len(train))
    replay = Replay(stack, list(stack.weights.values()), record=fit.replay and fabric.device.type == "cuda")
    steps = fit.epochs * len(orders[0])
    optimizer = fit.optimizer(grouped(stack.weights, weight_matrices(stack.singles[0])))
    rate = optimizer.param_groups[0]["lr"]  # which the schedule changes
    schedule = fit.schedule(optimizer, steps)
    histories: list[dict[str, list[float]]] = [{} for _ in models]
    done, seconds = 0, 0.0
    if (path := fit.resumed_from()) is not None:
        saved = WholeFiles().load_checkpoint(path)
        done, seconds, histories = saved["epoch"] + 1, saved["seconds"], saved["histories"]
        for part in (stack, optimizer, schedule):
            part.load_state_dict(saved[type(part).__name__])
        for order in orders:
            order.set_epoch(done)
    keep_freed_memory()
    start = last = time.perf_counter()
    step = done * len(orders[0])
    # Without Lightning's trainer, which has one loss, one order of the images and one best epoch.
    with arithmetic(fit.matmul, fit.threads), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")  # some functions are mapped by a loop
        for epoch in range(done + 1, fit.epochs + 1):
            means = {"train": Means()}
            for batches in zip(*orders, strict=True):
                with fabric.autocast():
                    terms = replay(torch.stack(batches), step / steps)
                optimizer.step()
                schedule.step()
                step += 1
                means["train"].add(terms, len(batches[0]))
            if epoch % min(fit.validate_every, fit.epochs) == 0:
                means["validation"] = Means()
                with torch.no_grad(), fabric.autocast():
                    for x in validation.batches(batch_size):
                        means["validation"].add(stack(x, 1.0), len(x))
                stack.keep_best(epoch, [found["total"] for found in means["validation"].read()])
            each = {stage: found.read() for stage, found in means.items()}
            for i, history in enumerate(histories):
                record_epoch(history, epoch, {stage: found[i] for stage, found in each.items()}, rate)
            now = time.perf_counter()
            if fit.checkpoints is not None and epoch < fit.epochs and now - last >= fit.checkpoints.every:
                state = {type(part).__name__: part.state_dict() for part in (stack, optimizer, schedule)}
                told = {"epoch": epoch - 1, "seconds": seconds + now - start, "histories": histories}
                write_checkpoint(fit.checkpoints, told | state)
                last = time.perf_counter()
    seconds = (seconds + time.perf_counter() - start) / len(models)
    best_epochs = stack.restore()
    for model in models:
        calibrate(model, data)
    return [FitReport(seconds, fit.epochs, *found) for found in zip(best_epochs, histories, strict=True)]


def write_checkpoint(checkpoints: Checkpoints, state: Mapping[str, Any]) -> None:
    """Write the state of a fit; if it cannot be written, that is reported, and the fit continues."""
    try:
        WholeFiles().save_checkpoint({RUN: checkpoints.run, **state}, checkpoints.path)
    except OSError as error:
        LOG.warning("%s: no checkpoint can be written (%s); the fit continues", checkpoints.path, error.strerror)


def stackable(fit: Fit, models: Sequence[Autoencoder], data: Splits, objective: Objective) -> bool:
    """Whether `fit_stacked` gives the same results as `fit`, determined by a trial on copies and a few images.

    It does not where a step draws noise, because the models' generators cannot be mapped; where a step changes buffers;
    where torch cannot map it, or computes another gradient; for closed forms and adversarial fits; for optimisers that
    are not elementwise (Muon); with clipping, early stopping, augmentation or callbacks; and
    where several processes share a fit.
    """
    if type(fit) is not Gradient or fit.devices is not None:
        return False
    if fit.clip is not None or fit.patience is not None or fit.augment is not None or fit.callbacks:
        return False
    if type(fit.optimizer(parameter_groups(models[0]))) not in ELEMENTWISE:
        return False
    models, objective = deepcopy((list(models), objective))
    for model in models:
        initialise_from_data(model, data)
    stack, x = StackedModels(models, objective, torch.device("cpu"), len(data.train)), data.train[:TRIAL_IMAGES]
    before = [buffer.clone() for model in models for buffer in model.buffers()]
    try:
        with arithmetic("highest", fit.threads), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some functions are mapped by a loop
            together = flat_gradient(stack(x, 1.0), stack.weights.values())
            apart = torch.cat([flat_gradient(single(x, 1.0), single.parameters()) for single in stack.singles])
    except RuntimeError:  # torch cannot map random draws, reading of values, and some functions
        return False
    same = map(torch.equal, before, (buffer for model in models for buffer in model.buffers()))
    return all(same) and bool((together - apart).norm() <= ROUNDING * apart.norm())


def flat_gradient(terms: dict[str, Tensor], weights: Iterable[Tensor]) -> Tensor:
    """The gradient of the total of M models, (M,) or a scalar, by all weights: (M, parameters)."""
    total = terms["total"]
    parts = torch.autograd.grad(total.sum(), list(weights), materialize_grads=True)
    return torch.cat([part.reshape(total.numel(), -1) for part in parts], 1)


class StackedModels:
    """M models of one variant with stacked weights, and the best weights of each so far.

    Args:
        models: the models.
        objective: the objective of each.
        device: where the weights are stacked.
        images: number of training images.

    Attributes:
        weights: {name: (M, ...)}, on the device, for the optimiser.
        singles: each model with its objective.
    """

    def __init__(self, models: Sequence[Autoencoder], objective: Objective, device: torch.device, images: int) -> None:
        self.singles = [ModelAndObjective(model, objective, images) for model in models]
        weights, buffers = stack_module_state(self.singles)
        self.weights = {name: weight.detach().to(device).requires_grad_() for name, weight in weights.items()}
        self._buffers = {name: buffer.to(device) for name, buffer in buffers.items()}
        self._best = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self._least = torch.full((len(models),), torch.inf)
        self._best_epochs = torch.zeros(len(models), dtype=torch.int64)

    def __call__(self, x: Tensor, progress: float | Tensor) -> dict[str, Tensor]:
        """Every term of the objective: (M,), of images x: (M, B, C, H, W), or (B, C, H, W) for all models.

        Modules are in training mode where gradients are enabled, else in evaluation mode.
        """
        one = self.singles[0].train(torch.is_grad_enabled())

        def terms(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
            found: dict[str, Tensor] = functional_call(one, (weights, buffers), (x, progress))
            return found

        mapped = vmap(terms, in_dims=(0, 0, 0 if x.ndim == 5 else None), randomness="error")
        return mapped(self.weights, self._buffers, x)

    def keep_best(self, epoch: int, totals: Sequence[float]) -> None:
        """Copy the weights of models whose validation total, one of M, is their lowest so far."""
        now = torch.tensor(totals)
        better = now < self._least
        self._least[better], self._best_epochs[better] = now[better], epoch
        for name, weight in self.weights.items():
            self._best[name][better] = weight.detach()[better]

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        best = {"best": self._best, "least": self._least, "best_epochs": self._best_epochs}
        return {"weights": {name: weight.detach() for name, weight in self.weights.items()}} | best

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """From a checkpoint."""
        for name, weight in self.weights.items():
            weight.copy_(state["weights"][name])
            self._best[name].copy_(state["best"][name])
        self._least, self._best_epochs = state["least"], state["best_epochs"]

    @torch.no_grad()
    def restore(self) -> list[int]:
        """Load the best weights into the models, and return their epochs."""
        for i, single in enumerate(self.singles):
            single.train()
            for name, weight in single.named_parameters():
                weight.copy_(self._best[name][i])
        epochs: list[int] = self._best_epochs.tolist()
        return epochs


class ModelAndObjective(nn.Module):
    """A model and its objective as one module, because terms of the objective use the model's weights, too.

    Args:
        model: the model.
        objective: its objective.
        images: number of training images.
    """

    def __init__(self, model: Autoencoder, objective: Objective, images: int) -> None:
        super().__init__()
        self.model, self.objective, self.images = model, objective, images

    def forward(self, x: Tensor, progress: float | Tensor) -> dict[str, Tensor]:
        """x: (B, C, H, W) -> the terms of the objective."""
        step = step_on(self.model, x, None, self.images)
        terms: dict[str, Tensor] = self.objective(self.model, x, step, progress)
        return terms
