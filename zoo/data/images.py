"""Images held in memory, their batches, and data sets as their publishers split them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from zoo.types import Shape


@dataclass(frozen=True)
class Images:
    """A set of images as stored: `pixels / scale` lies in [0, 1].

    Attributes:
        pixels: (N, C, H, W), uint8, or float32 for sources of floats.
        labels: (N,), int64; all zero for sources without labels.
        scale: the pixel value that means 1.0.
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
        """The images at `index`: (B,) int64 or a slice, as float32: (B, C, H, W) in [0, 1]."""
        # index_select copies whole images; indexing by a tensor copies single pixels and is eight times slower
        chosen = self.pixels[index] if isinstance(index, slice) else self.pixels.index_select(0, index)
        return torch.div(chosen, self.scale)

    def to(self, device: torch.device | str) -> Images:
        """The set in the memory of `device`, which then gathers its batches."""
        return replace(self, pixels=self.pixels.to(device), labels=self.labels.to(device))

    def subset(self, index: Tensor) -> Images:
        """The images at `index`: (B,) int64, as a set of their own."""
        return Images(self.pixels.index_select(0, index), self.labels.index_select(0, index), self.scale)

    def binarised(self, generator: torch.Generator) -> Images:
        """The set with binary pixels: each is 1 with its grey level as the probability."""
        return Images(torch.bernoulli(self[:], generator=generator).to(torch.uint8), self.labels, scale=1.0)

    def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[Tensor]:
        """All images once, `size` at a time: in stored order, or shuffled by `generator`."""
        starts = range(0, len(self), size)
        if generator is None:
            yield from (self[start : start + size] for start in starts)
        else:
            order = torch.randperm(len(self), generator=generator).to(self.pixels.device)
            yield from (self[order[start : start + size]] for start in starts)


class Batches:
    """All of `images`, once per iteration, as float32 batches: (B, C, H, W) in [0, 1].

    It has the interface that Lightning requires of a data loader, and does no work per image.

    Args:
        images: the set; pixels are converted batch by batch.
        size: images per batch; the last batch holds the remainder.
        seed: shuffles, by `seed` and the number of the epoch only; None keeps the stored order.
        redrawn: binarise the images dynamically: anew in each epoch, with grey levels as probabilities. Needs `seed`;
            without one, images stay as they are.

    Attributes:
        epoch: number of the next iteration; each iteration adds one.
    """

    batch_sampler = None

    def __init__(self, images: Images, size: int, seed: int | None = None, redrawn: bool = False) -> None:
        self.images, self.size, self.seed, self.redrawn, self.epoch = images, size, seed, redrawn, 0

    def __len__(self) -> int:
        return -(-len(self.images) // self.size)

    def __iter__(self) -> Iterator[Tensor]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        if self.seed is None:
            yield from self.images.batches(self.size)
            return
        order, draw = map(int, np.random.SeedSequence((self.seed, epoch)).generate_state(2, np.uint64))
        batches = self.images.batches(self.size, torch.Generator().manual_seed(order))
        if self.redrawn:
            generator = torch.Generator(self.images.pixels.device).manual_seed(draw)
            batches = (torch.bernoulli(batch, generator=generator) for batch in batches)
        yield from batches

    @property
    def sampler(self) -> Batches:
        """The object on which Lightning calls `set_epoch`, as with a DataLoader, to resume a run."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Set the number of the next iteration."""
        self.epoch = epoch


@dataclass(frozen=True)
class Source:
    """A data set as its publisher splits it.

    Attributes:
        name: key of the results folder: "digits", "mnist", ...
        train: the publisher's training images, from which `Splits` takes validation images.
        test: the publisher's test images; only the evaluator uses them.
        classes: names of the labels; empty where there are none.
        redrawn: training images are grey, and gradient fits use them dynamically binarised, anew in each epoch; closed
            forms and evaluation use the grey images.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...] = ()
    redrawn: bool = False
