"""Bottlenecks: what is done to the encoder's output; each satisfies `zoo.types.Bottleneck`."""

import torch
from torch import Tensor

from zoo.errors import ZooError

SMOOTHING = 0.05  # of running means


def check_width(width: int, name: str = "width") -> int:
    """Return `width` if it can be the number of units of a code; ZooError tells why it can't."""
    if not isinstance(width, int) or width < 1:
        raise ZooError(f"{name}={width}: a code needs a whole number of units, at least 1")
    return width


def check_active(k: int, units: int) -> int:
    """Return `k` if so many of a code's units can be active at a time; ZooError tells why they can't."""
    if check_width(k, "bottleneck.k") > units:
        raise ZooError(f"bottleneck.k={k}: more active units than the bottleneck.units={units} there are")
    return k


@torch.no_grad()
def follow(mean: Tensor, value: Tensor) -> None:
    """Move a running mean towards a batch's value, in place; an entry that is NaN has seen none and takes it over."""
    value = value.to(mean)  # bf16 in mixed precision
    mean.copy_(torch.where(mean.isnan(), value, mean.lerp(value, SMOOTHING)))
