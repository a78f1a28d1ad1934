"""A progress bar for a gradient fit: epoch, loss terms, time left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

TERMS = 44  # characters for the terms, so that the line fits 80 columns


class ProgressBar(Callback):
    """One line, redrawn each epoch: `epoch 7/20 ━━━━ total 140.1 nll 98.3 kl 41.8 val 143.0 00:22 left`.

    Args:
        history: the fit's history, which grows during the fit: {"train_<term>", "validation_<term>": values}.
    """

    def __init__(self, history: Mapping[str, Sequence[float]]) -> None:
        self.history = history

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the empty bar; of several processes, in the first alone."""
        self.bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=8),
            TextColumn("{task.fields[terms]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[left]}"),
            disable=not trainer.is_global_zero,
        )
        self.task = self.bar.add_task("fit", total=trainer.max_epochs, terms="", left="left")
        self.bar.start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the completed epochs and the terms of the last one; the history lacks them at the end of an epoch."""
        self.bar.update(self.task, completed=trainer.current_epoch, terms=latest_terms(self.history))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the finished bar on the screen."""
        self.bar.update(self.task, completed=trainer.current_epoch, terms=latest_terms(self.history), left="in all")
        self.bar.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> Any:
        """Restore the terminal."""
        self.bar.stop()


def latest_terms(history: Mapping[str, Sequence[float]]) -> str:
    """The newest training terms and the validation total: as many terms as fit into `TERMS` characters."""
    if not history:
        return ""
    names = [name for name in history if name.startswith("train_")]
    terms = [f"{name.removeprefix('train_')} {history[name][-1]:.4g}" for name in names]
    validation = f"val {history['validation_total'][-1]:.4g}"
    while len(terms) > 1 and len(" ".join([*terms, validation])) > TERMS:
        terms.pop()
    return " ".join([*terms, validation])
