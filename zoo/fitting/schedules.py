"""Learning-rate schedules, built from an optimiser and the number of steps of the fit."""

from __future__ import annotations

from bisect import bisect

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from zoo.checks import is_finite
from zoo.errors import ZooError

STAGES = 8  # of Burda's schedule


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

    Raises:
        ZooError: `warmup` is not in [0, 1).
    """
    if not is_finite(warmup) or not 0 <= warmup < 1:
        raise ZooError(f"schedule.warmup={warmup}: a fraction of the steps, must be at least 0 and less than 1")
    rates = [group["lr"] for group in optimizer.param_groups]
    return OneCycleLR(optimizer, max_lr=rates, total_steps=steps, pct_start=float(warmup), cycle_momentum=False)


def constant(optimizer: Optimizer, steps: int) -> LRScheduler:
    """The optimiser's rate at every step."""
    return LambdaLR(optimizer, lambda step: 1.0)


def burda(optimizer: Optimizer, steps: int) -> LRScheduler:
    """Eight stages: the optimiser's rate times 10^(-i/7) for a share of 3^i / 3,280 of the steps, i = 0..7.

    Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", 2015, arXiv:1509.00519, section 5, with
    3^i epochs per stage.
    """
    epochs = [(3 ** (i + 1) - 1) // 2 for i in range(STAGES)]  # at the end of each stage
    return LambdaLR(optimizer, lambda step: 10 ** (-bisect(epochs[:-1], epochs[-1] * step / steps) / (STAGES - 1)))
