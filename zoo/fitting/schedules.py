"""Learning-rate schedules, built from an optimiser and the number of steps of the fit."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR


def cosine(optimizer: Optimizer, steps: int) -> LRScheduler:
    """From the optimiser's rate to zero along half a cosine: I. Loshchilov, F. Hutter, arXiv:1608.03983, eq. 5."""
    return CosineAnnealingLR(optimizer, T_max=steps)


def one_cycle(optimizer: Optimizer, steps: int, warmup: float = 0.3) -> LRScheduler:
    """Up to the optimiser's rate over a fraction of the steps, then down to almost zero.

    L. Smith, N. Topin, "Super-Convergence", 2017, arXiv:1708.07120.

    Args:
        optimizer: the optimiser.
        steps: number of steps of the fit.
        warmup: fraction of the steps before the maximum.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(optimizer, max_lr=rates, total_steps=steps, pct_start=warmup, cycle_momentum=False)


def constant(optimizer: Optimizer, steps: int) -> LRScheduler:
    """The optimiser's rate at every step."""
    return LambdaLR(optimizer, lambda step: 1.0)
