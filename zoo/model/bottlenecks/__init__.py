"""Bottlenecks: modules between encoder and decoder; each is a `zoo.types.Bottleneck`."""

import torch
from torch import Tensor

SMOOTHING = 0.05  # weight of the newest batch in running means


@torch.no_grad()
def update_running_mean(mean: Tensor, value: Tensor) -> None:
    """Move a running mean towards a batch's value, in place; entries that are NaN take the value itself."""
    value = value.to(mean)  # bf16 in mixed precision
    mean.copy_(torch.where(mean.isnan(), value, mean.lerp(value, SMOOTHING)))
