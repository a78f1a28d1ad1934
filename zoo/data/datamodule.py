"""The one datamodule: any source, cut into train, validation and test."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from lightning import LightningDataModule

from zoo.data.images import Batches, Images, Source
from zoo.errors import ZooError
from zoo.types import Shape


class ImageData(LightningDataModule):
    """A source's images in memory, with a validation set cut from its training images.

    The source's test images pass through untouched, for the evaluator alone. Which images validate depends on
    `split_seed` and not on `seed`, so that runs with different seeds are compared on the same ones.

    Args:
        source: the data set, or a function that reads it; called once, when images are first needed.
        batch_size: images per batch; the last batch holds what is left.
        validation_fraction: share of the source's training images that validate, in (0, 1).
        split_seed: determines which of them.
        seed: determines the order of the training images, a new one in each epoch.

    Raises:
        ZooError: a number out of range; when read, a source too small to be cut.
    """

    def __init__(
        self,
        source: Source | Callable[[], Source],
        batch_size: int = 256,
        validation_fraction: float = 0.1,
        split_seed: int = 0,
        seed: int = 0,
    ) -> None:
        if batch_size < 1:
            raise ZooError(f"batch_size is {batch_size}; it must be 1 or more")
        if not 0 < validation_fraction < 1:
            raise ZooError(f"validation_fraction is {validation_fraction}; it must lie between 0 and 1, both excluded")
        if min(seed, split_seed) < 0:
            raise ZooError(f"seed is {seed} and split_seed is {split_seed}; both must be 0 or more")
        super().__init__()
        self._given = source
        self.batch_size, self.validation_fraction = batch_size, validation_fraction
        self.split_seed, self.seed = split_seed, seed

    def setup(self, stage: str | None = None) -> None:
        """Read the source and cut it, once, however often this is called."""
        _ = self._cut

    @cached_property
    def source(self) -> Source:
        """The data set as its publisher splits it."""
        return self._given if isinstance(self._given, Source) else self._given()

    @cached_property
    def _cut(self) -> tuple[Images, Images]:
        """Train and validation."""
        images = self.source.train
        n_validation = round(self.validation_fraction * len(images))
        if not 0 < n_validation < len(images):
            raise ZooError(
                f"{self.name}: of {len(images)} training images a validation_fraction of "
                f"{self.validation_fraction} takes {n_validation}, and both parts need at "
                "least one; use more images or another fraction"
            )
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(self.split_seed))
        train, validation = (images.subset(part.sort().values) for part in (order[n_validation:], order[:n_validation]))
        if self.source.redrawn:
            validation = validation.drawn(torch.Generator().manual_seed(self.split_seed))
        return train, validation

    @property
    def train(self) -> Images:
        """What models are fitted on."""
        return self._cut[0]

    @property
    def validation(self) -> Images:
        """What models are selected on."""
        return self._cut[1]

    @property
    def test(self) -> Images:
        """The source's own test images: for the evaluator alone."""
        return self.source.test

    @property
    def name(self) -> str:  # type: ignore[override]
        """The source's name, key of the results folder."""
        return self.source.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels; empty where there are none."""
        return self.source.classes

    @property
    def shape(self) -> Shape:
        """(C, H, W) of every image."""
        return self.source.train.shape

    def train_dataloader(self) -> Batches:
        """Whole batches of the training images, in a new order each epoch, drawn from `seed`."""
        return Batches(self.train.to(self._device), self.batch_size, self.seed, self.source.redrawn)

    def val_dataloader(self) -> Batches:
        """Whole batches of the validation images, in stored order."""
        return Batches(self.validation.to(self._device), self.batch_size)

    @property
    def _device(self) -> torch.device:
        """Where the trainer's model lies, so that no batch has to travel there; the CPU without a trainer."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
