"""Images held in memory, their batches, and data sets as their publishers split them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from zoo.data.sparse_rows import SparseRows
from zoo.samples import Form
from zoo.types import Shape

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Scaling = Literal["given", "range", "standard"]
BLOCK = 1 << 24  # bytes that are read at once
COPIED = 1 << 28  # bytes up to which a subset is a copy, which is faster to read than a choice
HELD = 1 << 28  # bytes of float32 that code which needs a whole set at once is given


@dataclass(frozen=True)
class Images:
    """A set of samples as stored; a model's input is (pixels - shift) / scale, see `zoo.samples`.

    Attributes:
        pixels: (N, C, H, W), of any type of numbers; or sparse vectors. The memory may be that of a mapped file.
        labels: (N,), int64; for sources without labels all zero, of any type of whole numbers.
        scale: one number (of images, the pixel value that means 1.0), or (C, H, W).
        shift: one number, or (C, H, W).
        chosen: (M,) int32 or int64, which of the stored samples the set holds, in its order; None for all. Large sets
            are divided by it, without a copy.
        factors: (N, F) int64, the value of each factor that a sample was made from, counted from 0; None where they
            are not known.
    """

    pixels: Tensor | SparseRows
    labels: Tensor
    scale: float | Tensor = 255.0
    shift: float | Tensor = 0.0
    chosen: Tensor | None = None
    factors: Tensor | None = None

    def __len__(self) -> int:
        return len(self.pixels if self.chosen is None else self.chosen)

    @property
    def shape(self) -> Shape:
        """(C, H, W)."""
        c, h, w = self.pixels.shape[1:]
        return c, h, w

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """The samples at `index`: (B,) whole numbers or a slice, as float32: (B, C, H, W)."""
        stored = self.stored(index)
        if isinstance(self.shift, float) and self.shift == 0 and isinstance(self.scale, float):
            return torch.div(stored, self.scale).float()
        return ((stored.double() - self.shift) / self.scale).float()

    def stored(self, index: Tensor | slice) -> Tensor:
        """The samples at `index` as they are stored."""
        if self.chosen is not None:
            index = self.chosen[index]
        if isinstance(index, slice):
            return self.pixels[index]
        # index_select copies whole images; indexing by a tensor copies single pixels and is eight times slower
        if isinstance(self.pixels, Tensor) and self.pixels.dtype == torch.uint16:  # which not every torch can gather
            return self.pixels.view(torch.int16).index_select(0, index).view(torch.uint16)
        return self.pixels.index_select(0, index)

    @property
    def sparse(self) -> csr_matrix | None:
        """The samples as a sparse matrix (N, D), where they are stored as such and not shifted; else None."""
        if not isinstance(self.pixels, SparseRows) or not isinstance(self.shift, float) or self.shift != 0:
            return None
        rows = self.pixels if self.chosen is None else self.pixels.chosen(self.chosen)
        if isinstance(self.scale, float):
            return rows.matrix if self.scale == 1 else rows.matrix * np.float32(1 / self.scale)
        return rows.matrix.multiply(1 / self.scale.float().view(1, -1).numpy()).tocsr()

    def digest(self) -> str:
        """A digest in hex digits of samples, labels, factors and scaling; samples are read in blocks."""
        found = hashlib.sha256(f"{self.scale} {self.shift} {len(self)} {self.shape} {self.pixels.dtype}".encode())
        if isinstance(self.pixels, SparseRows):
            found.update(self.pixels.chosen(slice(None) if self.chosen is None else self.chosen).digest())
        else:
            rows = max(1, BLOCK // max(1, self.pixels[:1].nbytes))
            for start in range(0, len(self), rows):
                block = self.stored(slice(start, start + rows)).contiguous()
                found.update(block.flatten().view(torch.uint8).numpy().data)
        found.update(self.labels.contiguous().numpy().data)
        if self.factors is not None:
            found.update(self.factors.contiguous().numpy().data)
        return found.hexdigest()

    def to(self, device: torch.device | str) -> Images:
        """The set in the memory of `device`, which then gathers its batches."""
        if torch.device(device) == self.pixels.device:
            return self
        scale, shift = (part.to(device) if isinstance(part, Tensor) else part for part in (self.scale, self.shift))
        factors = None if self.factors is None else self.factors.to(device)
        return Images(self.stored(slice(None)).to(device), self.labels.to(device), scale, shift, factors=factors)

    def subset(self, index: Tensor) -> Images:
        """The samples at `index`: (B,) whole numbers, as a set of their own."""
        labels = self.labels.index_select(0, index)
        factors = None if self.factors is None else self.factors.index_select(0, index)
        if self.pixels.nbytes > COPIED:
            chosen = index if self.chosen is None else self.chosen.index_select(0, index)
            return replace(self, labels=labels, chosen=chosen, factors=factors)
        pixels = self.pixels.chosen(index) if isinstance(self.pixels, SparseRows) else self.stored(index)
        return replace(self, pixels=pixels, labels=labels, chosen=None, factors=factors)

    def spaced(self, most: int | None = None, share: float = 1) -> Images:
        """Evenly spaced samples, at most `most`, and `share` of 256 MiB as float32; all of a smaller set."""
        fitting = max(2, int(share * HELD) // (4 * math.prod(self.shape)))
        step = math.ceil(len(self) / (fitting if most is None else min(most, fitting)))
        return self if step <= 1 else self.subset(torch.arange(0, len(self), step))

    def scaled(self, form: Form) -> Images:
        """The set with the scaling of a form."""
        shift, scale = (part if part.ndim else part.item() for part in form.inner_scaling)
        return replace(self, shift=shift, scale=scale)

    def binarised(self, generator: torch.Generator) -> Images:
        """The set with binary pixels: each is 1 with its grey level as the probability."""
        pixels = torch.bernoulli(self[:], generator=generator).to(torch.uint8)
        return Images(pixels, self.labels, scale=1.0, factors=self.factors)

    def batches(self, size: int, generator: torch.Generator | None = None) -> Iterator[Tensor]:
        """All images once, `size` at a time: in stored order, or shuffled by `generator`."""
        starts = range(0, len(self), size)
        if generator is None:
            yield from (self[start : start + size] for start in starts)
        else:
            order = shuffled(len(self), generator).to(self.pixels.device)
            yield from (self[order[start : start + size]] for start in starts)


def shuffled(n: int, generator: torch.Generator) -> Tensor:
    """The numbers below n in random order: (n,), in int32 where that suffices; int64 would have the same order."""
    return torch.randperm(n, generator=generator, dtype=torch.int32 if n < 1 << 31 else torch.int64)


def ascending(places: Tensor) -> Tensor:
    """Places (N,) in ascending order, sorted in place; `Tensor.sort` would make a copy of them, and int64 indices."""
    places.numpy().sort()
    return places


class Batches:
    """All of `images`, once per iteration, as float32 batches: (B, C, H, W) in [0, 1].

    It has the interface that Lightning requires of a data loader, and does no work per image.

    Args:
        images: the set; pixels are converted batch by batch.
        size: images per batch; the last batch holds the remainder.
        seed: shuffles, by `seed` and the number of the epoch only; None keeps the stored order.
        redrawn: binarise the images dynamically: again in each epoch, with grey levels as probabilities. Needs `seed`;
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
        redrawn: training images are grey, and gradient fits use them dynamically binarised, again in each epoch; closed
            forms and evaluation use the grey images.
        form: original form of a sample; None for images whose `scale` is the pixel value of 1.0.
        scaling: "given", by `scale` and `shift` of the samples; "range", so that the training samples fill [0, 1]; or
            "standard", so that each feature has mean 0 and standard deviation 1 on them.
        atoms: (M, C, H, W), directions of which scaled samples are sparse combinations; None if they are not known.
        left_out: test images of a class that is neither in `train` nor in `test`; None where there is none.
        factors: names of the factors that samples were made from; empty where they are not known.
        pairs: (N, N), how often training samples, which are then words, occur near one another; None elsewhere.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...] = ()
    redrawn: bool = False
    form: Form | None = None
    scaling: Scaling = "given"
    atoms: Tensor | None = None
    left_out: Images | None = None
    factors: tuple[str, ...] = ()
    pairs: csr_matrix | None = None
