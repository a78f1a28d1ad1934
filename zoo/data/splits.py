"""A data set split into train, validation and test, as fits and the evaluator use it."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from zoo.data.images import Images, Source, ascending, shuffled
from zoo.errors import ZooError
from zoo.samples import Form, Kind
from zoo.types import Shape

CONSTANT = 1e-10  # of a feature's mean: a deviation below it is rounding
BLOCK = 1 << 26  # bytes of float64 that are looked at at once
MOST_TESTED = 1 << 16  # images: 1,000 resamples of them take 65 MB


def learned(source: Source, train: Images) -> Form:
    """The form of a source's samples with the scaling that training samples suggest.

    With scaling "standard", the mean and the standard deviation (divisor N) of each feature; a constant feature keeps
    the scale 1. With "range", the least and the greatest of all values; equal ones keep the scale 1.
    """
    if source.form is None:
        raise ValueError("a source whose scaling is learned needs a form")
    size = max(1, BLOCK // (8 * math.prod(train.shape)))
    blocks = (train.stored(slice(start, start + size)).double() for start in range(0, len(train), size))
    if source.scaling == "range":
        ends = torch.stack([torch.stack(torch.aminmax(block)) for block in blocks])
        low, high = ends[:, 0].min().item(), ends[:, 1].max().item()
        return replace(source.form, shift=(low,), scale=(high - low if high > low else 1.0,))
    count, mean, squares = 0, torch.zeros(1), torch.zeros(1)
    for block in blocks:  # T. Chan, G. Golub, R. LeVeque 1983: sums of squares about means, joined
        rows = block.flatten(1)
        own, n = rows.mean(0), len(rows)
        squares = squares + (rows - own).square().sum(0) + (own - mean).square() * (count * n / (count + n))
        mean, count = mean + (own - mean) * (n / (count + n)), count + n
    std = (squares / count).sqrt()
    std = torch.where(std > CONSTANT * mean.abs().clamp(min=1e-300), std, 1.0)
    return replace(source.form, shift=tuple(mean.tolist()), scale=tuple(std.tolist()))


class Splits:
    """A source's images, with a validation set taken from its training images.

    The source's test images are unchanged, and for the evaluator only. The validation set depends on `split_seed` and
    not on a run's seed, so that runs with different seeds are compared on the same images.

    Args:
        source: the data set, or a function that reads it; called once, when images are first needed.
        validation_fraction: fraction of the source's training images used for validation, in (0, 1); None for no
            validation set, which closed forms do not need.
        split_seed: determines which images these are.

    Raises:
        ZooError: a number out of range; when read, a source too small to be split, or a validation set that is None.
    """

    def __init__(
        self, source: Source | Callable[[], Source], validation_fraction: float | None = 0.1, split_seed: int = 0
    ) -> None:
        if validation_fraction is not None and not 0 < validation_fraction < 1:
            raise ZooError(f"data.validation_fraction={validation_fraction}: must be between 0 and 1, both excluded")
        if split_seed < 0:
            raise ZooError(f"data.split_seed={split_seed}: must be 0 or more")
        self._given, self.validation_fraction, self.split_seed = source, validation_fraction, split_seed

    @cached_property
    def source(self) -> Source:
        """The data set as its publisher splits it."""
        return self._given if isinstance(self._given, Source) else self._given()

    @cached_property
    def _divided(self) -> tuple[Images, Images | None]:
        """Training and validation images with the scaling that the source gives."""
        images = self.source.train
        if self.validation_fraction is None:
            return images, None
        n_validation = max(1, round(self.validation_fraction * len(images)))
        if n_validation >= len(images):
            raise ZooError(
                f"validation_fraction={self.validation_fraction} takes {n_validation} of the {len(images)} training "
                f"samples of {self.name}, but train and validation need at least one each; give more samples"
            )
        order = shuffled(len(images), torch.Generator().manual_seed(self.split_seed))
        train, validation = (images.subset(ascending(part)) for part in (order[n_validation:], order[:n_validation]))
        if self.source.redrawn:
            validation = validation.binarised(torch.Generator().manual_seed(self.split_seed))
        return train, validation

    def _scaled(self, images: Images) -> Images:
        return images if self.source.scaling == "given" else images.scaled(self.form)

    @property
    def train(self) -> Images:
        """The images that models are fitted on."""
        return self._scaled(self._divided[0])

    @property
    def validation(self) -> Images:
        """The images that models are selected on."""
        if (found := self._divided[1]) is None:
            raise ZooError("data.validation_fraction=null: there are no validation images, and the fit needs some")
        return self._scaled(found)

    @property
    def test(self) -> Images:
        """The source's own test images, for the evaluator only."""
        return self._scaled(self.source.test)

    @property
    def left_out(self) -> Images | None:
        """Test images of a class that no other part holds, for the evaluator only; None where there is none."""
        return None if self.source.left_out is None else self._scaled(self.source.left_out)

    def bounded(self) -> Splits:
        """These splits with at most 65,536 test images and 128 MiB, evenly spaced, for code that holds all at once."""
        if (test := self.source.test.spaced(MOST_TESTED, share=0.5)) is self.source.test:
            return self
        found = copy(self)  # what is known of the training images stays known
        found.source = replace(self.source, test=test)
        return found

    @cached_property
    def form(self) -> Form:
        """The form of a sample, with the scaling learned from the training samples."""
        if self.source.scaling != "given":
            return learned(self.source, self._divided[0])
        if self.source.form is not None:
            return self.source.form
        c, h, w = self.shape
        white = (float(self.source.train.scale),)
        return Form("image", (h, w), "none", scale=white) if c == 1 else Form("image", (c, h, w), "first", scale=white)

    @property
    def kind(self) -> Kind:
        """Whether samples are images, vectors or counts."""
        return "image" if self.source.form is None else self.source.form.kind

    @property
    def name(self) -> str:
        """The source's name."""
        return self.source.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels; empty where there are none."""
        return self.source.classes

    @property
    def atoms(self) -> Tensor | None:
        """The directions that samples are known to be sparse combinations of: (M, C, H, W); None where none are."""
        return self.source.atoms

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the factors that samples were made from; empty where they are not known."""
        return self.source.factors

    @property
    def shape(self) -> Shape:
        """(C, H, W) of every image."""
        return self.source.train.shape
