"""What a metric may ask for: a fitted model and its data, all that is heavy computed once, on demand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from zoo.autoencoder import Autoencoder
from zoo.data.images import Images

BATCH = 512


class ImageSplits(Protocol):
    """A data set as the evaluator sees it; the zoo's datamodule is one."""

    @property
    def name(self) -> str:
        """Key of the data set."""

    @property
    def train(self) -> Images:
        """The images that were fitted on."""

    @property
    def validation(self) -> Images:
        """Held out from the publisher's training images."""

    @property
    def test(self) -> Images:
        """The publisher's test images."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels; empty where there are none."""


class Subject:
    """A fitted model under evaluation. Each public property is a name that a metric may use as a parameter.

    Everything lies on the CPU but `batch` and `image`, which lie where the model does.

    Args:
        model: in evaluation mode.
        data: the splits.
        fit: what the fit reported: at least "seconds" and "epochs".
    """

    def __init__(self, model: Autoencoder, data: ImageSplits, fit: Mapping[str, Any]) -> None:
        self.model, self.data, self.fit = model, data, fit

    @cached_property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    @cached_property
    def x(self) -> Tensor:
        """The test images: (N, C, H, W)."""
        return self.data.test[:]

    @cached_property
    def x_hat(self) -> Tensor:
        """Their reconstructions from point codes: (N, C, H, W), not clipped."""
        return self.decode(self.test_codes)

    @cached_property
    def test_codes(self) -> Tensor:
        """Point codes of the test images: (N, D)."""
        return self.encode(self.data.test)

    @cached_property
    def batch(self) -> Tensor:
        """The first 512 test images, on the model's device."""
        return self.data.test[:BATCH].to(self.device)

    @cached_property
    def image(self) -> Tensor:
        """The first test image, on the model's device: (1, C, H, W)."""
        return self.data.test[:1].to(self.device)

    def encode(self, images: Images) -> Tensor:
        """Point codes of `images`: (N, D)."""
        return torch.cat([self.model.encode(x.to(self.device)).cpu() for x in images.batches(BATCH)])

    def decode(self, codes: Tensor) -> Tensor:
        """The images that codes (N, D) stand for: (N, C, H, W)."""
        return torch.cat([self.model.decode(z.to(self.device)).cpu() for z in torch.split(codes, BATCH)])
