"""Samples in batches, and the results of all batches joined again."""

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

    The tensor is allocated with the first part, and each part is copied into it as it arrives: keeping many small parts
    until the end would fragment the memory.
    """
    place, whole = 0, torch.empty(n)
    for part in parts:
        if not place:
            whole = torch.empty(n, *part.shape[1:], dtype=part.dtype)
        whole[place : place + len(part)] = part
        place += len(part)
    return whole
