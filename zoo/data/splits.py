"""A data set split into train, validation and test, as fits and the evaluator use it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch

from zoo.data.images import Images, Source
from zoo.errors import ZooError
from zoo.types import Shape


class Splits:
    """A source's images, with a validation set taken from its training images.

    The source's test images are unchanged, and for the evaluator only. The validation set depends on `split_seed` and
    not on a run's seed, so that runs with different seeds are compared on the same images.

    Args:
        source: the data set, or a function that reads it; called once, when images are first needed.
        validation_fraction: fraction of the source's training images used for validation, in (0, 1).
        split_seed: determines which images these are.

    Raises:
        ZooError: a number out of range; when read, a source too small to be split.
    """

    def __init__(
        self, source: Source | Callable[[], Source], validation_fraction: float = 0.1, split_seed: int = 0
    ) -> None:
        if not 0 < validation_fraction < 1:
            raise ZooError(f"data.validation_fraction={validation_fraction}: must be between 0 and 1, both excluded")
        if split_seed < 0:
            raise ZooError(f"data.split_seed={split_seed}: must be 0 or more")
        self._given, self.validation_fraction, self.split_seed = source, validation_fraction, split_seed

    @cached_property
    def source(self) -> Source:
        """The data set as its publisher splits it."""
        return self._given if isinstance(self._given, Source) else self._given()

    @cached_property
    def _train_and_validation(self) -> tuple[Images, Images]:
        images = self.source.train
        n_validation = round(self.validation_fraction * len(images))
        if not 0 < n_validation < len(images):
            raise ZooError(
                f"data.validation_fraction={self.validation_fraction}: takes {n_validation} of the {len(images)} "
                f"training images of {self.name}, but train and validation need at least one each; use more images or "
                "another fraction"
            )
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(self.split_seed))
        train, validation = (images.subset(part.sort().values) for part in (order[n_validation:], order[:n_validation]))
        if self.source.redrawn:
            validation = validation.binarised(torch.Generator().manual_seed(self.split_seed))
        return train, validation

    @property
    def train(self) -> Images:
        """The images that models are fitted on."""
        return self._train_and_validation[0]

    @property
    def validation(self) -> Images:
        """The images that models are selected on."""
        return self._train_and_validation[1]

    @property
    def test(self) -> Images:
        """The source's own test images, for the evaluator only."""
        return self.source.test

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels; empty where there are none."""
        return self.source.classes

    @property
    def shape(self) -> Shape:
        """(C, H, W) of every image."""
        return self.source.train.shape
