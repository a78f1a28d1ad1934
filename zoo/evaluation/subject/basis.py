"""The model, its data, and what nearly every metric asks for: images, codes, reconstructions, labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zoo.autoencoder import Autoencoder
from zoo.data.images import Images
from zoo.errors import ZooError
from zoo.evaluation.metrics.registry import NotApplicable
from zoo.evaluation.references import BATCH, ImageSplits, References, references


class Basis:
    """Images, codes, reconstructions and labels of a fitted model under evaluation, see `Subject`.

    Args:
        model: in evaluation mode.
        data: the splits.
        fit: what the fit reported: at least "seconds" and "epochs".
        cache: folder that keeps the feature network's weights; None keeps them in this process.
    """

    def __init__(
        self, model: Autoencoder, data: ImageSplits, fit: Mapping[str, Any], cache: Path | None = None
    ) -> None:
        self.model, self.data, self.fit, self.cache = model, data, fit, cache

    @cached_property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    @cached_property
    def references(self) -> References:
        """What depends on the data set alone."""
        return references(self.data, self.cache)

    @cached_property
    def x(self) -> Tensor:
        """The test images: (N, C, H, W)."""
        return self.data.test[:]

    @cached_property
    def x_hat(self) -> Tensor:
        """Their reconstructions from point codes: (N, C, H, W), not clipped."""
        return self.decode(self.test_codes)

    @cached_property
    def batch(self) -> Tensor:
        """The first 512 test images, on the model's device."""
        return self.data.test[:BATCH].to(self.device)

    @cached_property
    def image(self) -> Tensor:
        """The first test image, on the model's device: (1, C, H, W)."""
        return self.data.test[:1].to(self.device)

    @cached_property
    def train_codes(self) -> Tensor:
        """Point codes of the training images: (N, D)."""
        return self.encode(self.data.train)

    @cached_property
    def validation_codes(self) -> Tensor:
        """Point codes of the validation images: (N, D)."""
        return self.encode(self.data.validation)

    @cached_property
    def test_codes(self) -> Tensor:
        """Point codes of the test images: (N, D)."""
        return self.encode(self.data.test)

    def encode(self, images: Images | Tensor, hidden: Tensor | None = None) -> Tensor:
        """Point codes of images (N, C, H, W): (N, D).

        Args:
            images: what the model is shown.
            hidden: (N, 1, H, W), one where `images` have holes; the models that can use it look around them.

        Raises:
            NotApplicable: the model has diverged.
        """
        masks = repeat(None) if hidden is None else torch.split(hidden.to(self.device), BATCH)
        shown = zip(in_batches(images), masks, strict=False)
        codes = torch.cat([self.model.encode(x.to(self.device), mask).cpu() for x, mask in shown])
        if not codes.isfinite().all():
            raise NotApplicable("the model's codes are not finite")
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """The images that codes (N, D) stand for: (N, C, H, W).

        Raises:
            NotApplicable: the model has diverged.
        """
        images = torch.cat([self.model.decode(z.to(self.device)).cpu() for z in torch.split(codes, BATCH)])
        if not images.isfinite().all():
            raise NotApplicable("the model's decoded images are not finite")
        return images

    @property
    def train_labels(self) -> Tensor:
        """Labels of the training images: (N,)."""
        return self.labels(self.data.train)

    @property
    def validation_labels(self) -> Tensor:
        """Labels of the validation images: (N,)."""
        return self.labels(self.data.validation)

    @property
    def test_labels(self) -> Tensor:
        """Labels of the test images: (N,)."""
        return self.labels(self.data.test)

    def labels(self, images: Images) -> Tensor:
        """Labels of `images`: (N,); NotApplicable where the data set has none."""
        _ = self.references.n_classes
        return images.labels

    @property
    def pixel_probe(self) -> Tensor:
        """Whether the linear probe on raw pixels tells each test image's label: (N,)."""
        return self.references.pixel_probe


@contextmanager
def not_applicable() -> Iterator[None]:
    """Turn a ZooError (what a density says of codes it cannot be fitted to) into NotApplicable."""
    try:
        yield
    except ZooError as error:
        raise NotApplicable(str(error)) from error


def in_batches(images: Images | Tensor) -> Iterable[Tensor]:
    """Images (N, C, H, W), 512 at a time, as float32."""
    return torch.split(images, BATCH) if isinstance(images, Tensor) else images.batches(BATCH)
