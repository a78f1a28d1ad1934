"""Samples by batches, and what is computed of each put together again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from zoo.data.images import Images

BATCH = 512


def in_batches(images: Images | Tensor) -> Iterable[Tensor]:
    """Images (N, C, H, W), 512 at a time, as float32."""
    return torch.split(images, BATCH) if isinstance(images, Tensor) else images.batches(BATCH)


def joined(parts: Iterable[Tensor], n: int) -> Tensor:
    """Parts of n rows in all as one tensor on the CPU.

    It is made with the first part, and each part is copied as it comes: many small parts that are kept until the end
    would fragment the memory, as large ones come and go between them.
    """
    place, whole = 0, torch.empty(n)
    for part in parts:
        if not place:
            whole = torch.empty(n, *part.shape[1:], dtype=part.dtype)
        whole[place : place + len(part)] = part
        place += len(part)
    return whole
