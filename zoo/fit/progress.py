"""A progress bar for a gradient fit: epoch, loss terms, time left."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress(Callback):
    """One line, redrawn each epoch: `epoch 7/20 ━━━━ total 140.1 nll 98.3 kl 41.8 | validation 143.0 00:22 left`."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw the empty bar."""
        self.bar = Bar(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[terms]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[left]}"),
        )
        self.task = self.bar.add_task("fit", total=trainer.max_epochs, terms="", left="left")
        self.bar.start()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Advance by one epoch and show its terms."""
        history: dict[str, list[float]] = pl_module.history  # type: ignore[assignment]
        last = {name: values[-1] for name, values in history.items() if name != "epoch"}
        terms = [f"{name.removeprefix('train_')} {last[name]:.4g}" for name in last if name.startswith("train_")]
        validation = [f"| validation {last['validation_total']:.4g}"] if last else []
        self.bar.update(self.task, advance=1, terms=" ".join(terms + validation))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the finished bar on the screen."""
        self.bar.update(self.task, left="in all")
        self.bar.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> Any:
        """Give the terminal back."""
        self.bar.stop()
