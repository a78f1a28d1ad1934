"""Bottlenecks: modules between encoder and decoder; each is a `zoo.types.Bottleneck`."""

from collections.abc import Iterable

import torch
from torch import Tensor

SMOOTHING = 0.05  # weight of the newest batch in running means


@torch.no_grad()
def update_running_mean(mean: Tensor, value: Tensor) -> None:
    """Move a running mean towards a batch's value, in place; entries that are NaN take the value itself."""
    value = value.to(mean)  # bf16 in mixed precision
    mean.copy_(torch.where(mean.isnan(), value, mean.lerp(value, SMOOTHING)))


def smallest_active(codes: Iterable[Tensor], k: int, without: Tensor) -> Tensor:
    """The smallest of the N k largest positive values of N codes, or of all positive ones if there are fewer.

    As a threshold, it leaves k units of a code active on average.

    Args:
        codes: batches of codes, each (B, D).
        k: active units per code.
        without: the value if none is positive.
    """
    n, positive = 0, []
    for z in codes:
        n += len(z)
        positive.append(z[z > 0])
    found = torch.cat(positive)
    return found.topk(min(n * k, len(found)), sorted=False).values.amin() if len(found) else without
