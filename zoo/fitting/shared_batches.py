"""A gradient fit by several processes, each with a CPU or GPU of its own, that share every batch.

Lightning averages the gradients of all processes before each step (its strategy "ddp"):

    g = sum_r (n_r / n) g_r,  g_r the gradient of process r on its n_r of the n images of a batch

which is the gradient of one process on the whole batch, because losses are means over images. So the loss is the same
up to rounding where a step draws no noise; where it does, every process draws its own. Every process holds all images,
reads them in the same order, and validates on all.

Limitations: what is defined over a batch and is no mean over its images (the active units of batch_topk and
winner_take_all, MMD, total correlation) is that of each process' share. Buffers are averaged after each step, which is
exact for moving averages of means over images. Steps are not replayed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed

from zoo.errors import ZooError


def strategy_of(devices: int) -> DDPStrategy:
    """Lightning's strategy, for one of so many processes that have been started.

    Raises:
        ZooError: they have not.
    """
    if "LOCAL_RANK" not in os.environ:
        raise ZooError(f"trainer.devices={devices}: only `zoo run` and `zoo study` start several processes for a fit")
    return DDPStrategy(find_unused_parameters=True)


def share_of(x: Tensor, rank: int, world: int) -> tuple[Tensor, int]:
    """The images of x: (B, C, H, W) for one process, and how many of them count.

    A batch of fewer images than processes leaves some without; they compute a step on the first image, which does not
    count, because all take part in each step.
    """
    own = x[rank::world]
    return (own, len(own)) if len(own) else (x[:1], 0)


@torch.no_grad()
def average_buffers(buffers: Iterable[Tensor], world: int) -> None:
    """Set the buffers of all processes to their mean; those of whole numbers, which count steps, to the smallest."""
    for buffer in buffers:
        if buffer.is_floating_point():
            distributed.all_reduce(buffer)
            buffer.div_(world)
        else:
            distributed.all_reduce(buffer, distributed.ReduceOp.MIN)
