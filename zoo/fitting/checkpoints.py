"""Checkpoints of a gradient fit: an interrupted fit resumes from the end of an epoch."""

from __future__ import annotations

import io
import logging
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from zoo.files import write_atomically

RUN = "run"  # the key under which a checkpoint says whose it is
LOG = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Write the whole state of a fit to a file at the end of an epoch; the next fit of the same run resumes there.

    A checkpoint that cannot be written is reported, and the fit continues. None is written after the last epoch.

    Args:
        path: of the file.
        run: plain values that determine the result; a file of another run is not used.
        every: least number of seconds since the start of the fit, or since the last checkpoint.
    """

    def __init__(self, path: Path, run: Mapping[str, Any], every: float) -> None:
        self.path, self.run, self.every = path, dict(run), every
        self._last = time.perf_counter()

    def epoch(self) -> int | None:
        """The epoch after which the checkpoint of this run was written; None if there is none."""
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
            return int(saved["epoch"]) + 1 if saved[RUN] == self.run else None
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, LookupError, TypeError, ValueError):
            return None  # no file, or none that this class has written

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say whose checkpoint it is."""
        checkpoint[RUN] = self.run

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._last = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write a checkpoint, if it is time to; Lightning calls this after all else that happens in an epoch."""
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        due = not last and time.perf_counter() - self._last >= self.every
        if not trainer.strategy.broadcast(due):  # several processes agree
            return
        try:
            trainer.save_checkpoint(self.path)
        except OSError as error:
            LOG.warning("%s: no checkpoint can be written (%s); the fit continues", self.path, error.strerror)
        self._last = time.perf_counter()


class WholeFiles(TorchCheckpointIO):
    """How Lightning reads and writes checkpoints: whole or not at all, and without running code of the file."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None) -> dict[str, Any]:
        """Read a checkpoint into the memory of the CPU: tensors and plain values alone."""
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return saved
