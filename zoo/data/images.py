"""Images held in memory, and their split into train, validation and test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.types import Shape


@dataclass(frozen=True)
class Images:
    """A set of images as stored: `pixels / scale` lies in [0, 1].

    Attributes:
        pixels: (N, C, H, W), uint8 (or float32 for sources that are not).
        labels: (N,), int64; all zero where a source has none.
        scale: the pixel value that stands for 1.0.
    """

    pixels: Tensor
    labels: Tensor
    scale: float = 255.0

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> Shape:
        """(C, H, W)."""
        c, h, w = self.pixels.shape[1:]
        return c, h, w

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """The images at `index`, as float32: (B, C, H, W) in [0, 1]."""
        return self.pixels[index].float().div_(self.scale)

    def subset(self, index: Tensor) -> Images:
        """The images at `index`, as a set of their own."""
        return Images(self.pixels[index], self.labels[index], self.scale)

    def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[Tensor]:
        """All images once, `size` at a time: in stored order, or shuffled by `generator`."""
        if generator is None:
            yield from (self[start : start + size] for start in range(0, len(self), size))
        else:
            yield from (self[index] for index in torch.randperm(len(self), generator=generator).split(size))


@dataclass(frozen=True)
class Source:
    """A data set as its publisher splits it.

    Attributes:
        name: key of the results folder: "digits", "mnist", ...
        train: the publisher's training images; the datamodule cuts validation from them.
        test: the publisher's test images; only the evaluator reads them.
        classes: names of the labels; empty where there are none.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...] = ()
