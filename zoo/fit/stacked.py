"""Several models of one variant, fitted at once by gradients: a seed for each, and one optimiser for all."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from zoo.autoencoder import Autoencoder
from zoo.data.datamodule import ImageData
from zoo.data.images import Batches
from zoo.fit import Fit, FitReport
from zoo.fit.arithmetic import arithmetic
from zoo.fit.gradient import Gradient, Means, enter, start_from
from zoo.fit.memory import keep_freed_memory
from zoo.fit.replay import ROUNDING, Replay
from zoo.objective import Objective

ELEMENTWISE = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop)
TRIED = 8  # images


def fit_stacked(
    fit: Gradient, models: Sequence[Autoencoder], data: ImageData, objective: Objective, seeds: Sequence[int]
) -> list[FitReport]:
    """Fit M models in place; each gets the weights that `fit` alone would give it with its seed, up to rounding.

    Weights of one name are stacked to (M, ...), and each step is mapped over them. No model's loss knows of another's
    weights, so the gradient of the losses' sum holds that of each. Each model sees the training images in the order
    of its own seed, and is left with the weights of its own best epoch.

    Args:
        fit: the settings.
        models: of one variant, and `stackable`.
        data: what all are fitted on.
        objective: what each minimises.
        seeds: one for each model.

    Returns:
        a report for each model, `seconds` the wall-clock time of the whole divided by M.

    Raises:
        ZooError: the loss of one of them is no longer a finite number.
    """
    fabric = Fabric(accelerator=fit.accelerator, devices=1, precision=fit.precision)
    train, validation = data.train.to(fabric.device), data.validation.to(fabric.device)
    orders = [Batches(train, fit.batch_size, seed, data.source.redrawn) for seed in seeds]
    for model in models:
        start_from(model, data)
    stack = Stack(models, objective, fabric.device)
    weights = list(stack.weights.values())
    replay = Replay(stack, weights, record=fit.replay and fabric.device.type == "cuda")
    steps = fit.epochs * len(orders[0])
    optimizer = fit.optimizer(weights)
    schedule = fit.schedule(optimizer, steps)
    histories: list[dict[str, list[float]]] = [{} for _ in models]
    keep_freed_memory()
    start, step = time.perf_counter(), 0
    # No Lightning: its trainer knows of one loss, one order of the images and one best epoch.
    with arithmetic(fit.matmul, fit.threads), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")  # torch maps what it must by a loop
        for epoch in range(1, fit.epochs + 1):
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
                    for x in validation.batches(fit.batch_size):
                        means["validation"].add(stack(x, 1.0), len(x))
                stack.keep_best(epoch, [found["total"] for found in means["validation"].read()])
            each = {stage: found.read() for stage, found in means.items()}
            for i, history in enumerate(histories):
                rate = optimizer.param_groups[0]["lr"]
                enter(history, epoch, {stage: found[i] for stage, found in each.items()}, rate)
    seconds = (time.perf_counter() - start) / len(models)
    return [FitReport(seconds, fit.epochs, *found) for found in zip(stack.restore(), histories, strict=True)]


def stackable(fit: Fit, models: Sequence[Autoencoder], data: ImageData, objective: Objective) -> bool:
    """Whether `fit_stacked` gives these models what `fit` gives each, found out by a trial on a few images.

    Not so where a step draws noise, as no generator can serve one model among others; where it changes buffers; where
    torch can't map it, or gets another gradient; with closed forms, other games of optimisers, optimisers that look at
    more than one number at a time, and the settings of `Gradient` that are asked about below. All is left as it was.
    """
    if type(fit) is not Gradient:
        return False
    if fit.clip is not None or fit.patience is not None or fit.augment is not None or fit.callbacks:
        return False
    optimizer = fit.optimizer(models[0].parameters())
    if type(optimizer) not in ELEMENTWISE or len(optimizer.param_groups) > 1:
        return False
    models, objective = deepcopy((list(models), objective))
    for model in models:
        start_from(model, data)
    stack, x = Stack(models, objective, torch.device("cpu")), data.train[:TRIED]
    before = [buffer.clone() for model in models for buffer in model.buffers()]
    try:
        with arithmetic("highest", fit.threads), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what torch maps by a loop
            together = gradient(stack(x, 1.0), stack.weights.values())
            apart = torch.cat([gradient(whole(x, 1.0), whole.parameters()) for whole in stack.wholes])
    except RuntimeError:  # what torch says of random draws, of values asked for, of functions it can't map
        return False
    same = map(torch.equal, before, (buffer for model in models for buffer in model.buffers()))
    return all(same) and bool((together - apart).norm() <= ROUNDING * apart.norm())


def gradient(terms: dict[str, Tensor], weights: Iterable[Tensor]) -> Tensor:
    """Of the total of M models, (M,) or a scalar, by all the weights of each: (M, parameters)."""
    total = terms["total"]
    parts = torch.autograd.grad(total.sum(), list(weights), materialize_grads=True)
    return torch.cat([part.reshape(total.numel(), -1) for part in parts], 1)


class Stack:
    """M models of one variant as one, and the best weights of each so far.

    Attributes:
        weights: {name: (M, ...)}, on the device, for an optimiser to move.
        wholes: each model with its objective, for itself.
    """

    def __init__(self, models: Sequence[Autoencoder], objective: Objective, device: torch.device) -> None:
        self.wholes = [Whole(model, objective) for model in models]
        weights, buffers = stack_module_state(self.wholes)
        self.weights = {name: weight.detach().to(device).requires_grad_() for name, weight in weights.items()}
        self._buffers = {name: buffer.to(device) for name, buffer in buffers.items()}
        self._best = {name: weight.detach().clone() for name, weight in self.weights.items()}
        self._least = torch.full((len(models),), torch.inf)
        self._best_epochs = torch.zeros(len(models), dtype=torch.int64)

    def __call__(self, x: Tensor, progress: float | Tensor) -> dict[str, Tensor]:
        """Every term of the objective, (M,), of images x: (M, B, C, H, W), or (B, C, H, W) that are the same for all.

        Modules are in training where gradients are wanted, and evaluate elsewhere.
        """
        one = self.wholes[0].train(torch.is_grad_enabled())

        def terms(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
            found: dict[str, Tensor] = functional_call(one, (weights, buffers), (x, progress))
            return found

        mapped = vmap(terms, in_dims=(0, 0, 0 if x.ndim == 5 else None), randomness="error")
        return mapped(self.weights, self._buffers, x)

    def keep_best(self, epoch: int, totals: Sequence[float]) -> None:
        """Keep the weights of those models whose total on validation, one of M, is their least so far."""
        now = torch.tensor(totals)
        better = now < self._least
        self._least[better], self._best_epochs[better] = now[better], epoch
        for name, weight in self.weights.items():
            self._best[name][better] = weight.detach()[better]

    @torch.no_grad()
    def restore(self) -> list[int]:
        """Put the best weights of each into the models, and return their epochs."""
        for i, whole in enumerate(self.wholes):
            whole.train()
            for name, weight in whole.named_parameters():
                weight.copy_(self._best[name][i])
        epochs: list[int] = self._best_epochs.tolist()
        return epochs


class Whole(nn.Module):
    """A model and its objective in one pass: terms of the objective use the model's weights, too."""

    def __init__(self, model: Autoencoder, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, x: Tensor, progress: float | Tensor) -> dict[str, Tensor]:
        """x: (B, C, H, W) -> the terms."""
        terms: dict[str, Tensor] = self.objective(self.model, x, self.model(x), progress)
        return terms
