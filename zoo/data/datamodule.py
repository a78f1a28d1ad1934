"""The Lightning data module: splits as batches, on the device of the model."""

from __future__ import annotations

import torch
from lightning import LightningDataModule

from zoo.data.images import Batches
from zoo.data.splits import Splits
from zoo.errors import ZooError


class DataModule(LightningDataModule):
    """Batches of training and validation images.

    Args:
        splits: the data set.
        batch_size: images per batch; the last batch holds the remainder.
        seed: determines the order of the training images, which differs from epoch to epoch.

    Raises:
        ZooError: a number out of range.
    """

    def __init__(self, splits: Splits, batch_size: int = 256, seed: int = 0) -> None:
        if batch_size < 1:
            raise ZooError(f"batch_size={batch_size}: must be 1 or more")
        if seed < 0:
            raise ZooError(f"seed={seed}: must be 0 or more")
        super().__init__()
        self.splits, self.batch_size, self.seed = splits, batch_size, seed

    def setup(self, stage: str | None = None) -> None:
        """Read and split the source, once for any number of calls."""
        _ = self.splits.train

    def train_dataloader(self) -> Batches:
        """Batches of the training images, shuffled differently in each epoch by `seed`."""
        return Batches(self.splits.train.to(self._device), self.batch_size, self.seed, self.splits.source.redrawn)

    def val_dataloader(self) -> Batches:
        """Batches of the validation images, in stored order."""
        return Batches(self.splits.validation.to(self._device), self.batch_size)

    @property
    def _device(self) -> torch.device:
        """The device of the trainer's model, so that no batch has to be moved; the CPU without a trainer."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
