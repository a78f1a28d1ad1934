"""The fit of a density by stochastic gradients, with a tenth of the codes held out to select the weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo import checks
from zoo.errors import ZooError

Loss = Callable[[Tensor, torch.Generator], Tensor]
SHARE = 10  # one code in ten is held out


def check_enough(z: Tensor, density: str) -> None:
    """ZooError if there are too few codes (N, D) to hold one out; `density` names what is fitted."""
    if len(z) < SHARE:
        raise ZooError(f"{density} needs at least {SHARE} codes, not {len(z)}, to hold some out")


def check_positive(density: str, **settings: float) -> None:
    """ZooError if a setting of a density is not finite and greater than 0."""
    for name, value in settings.items():
        checks.check_positive(value, f"density.{density}.{name}")


def check_seed(density: str, seed: int) -> None:
    """ZooError if a density's seed is no whole number from 0."""
    checks.check_count(seed, f"density.{density}.seed", least=0)


def steps_within(steps: int, epochs: int, n: int, batch_size: int) -> int:
    """Steps of an optimiser, at most `steps`, and no more than so many passes over n codes without those held out."""
    return min(steps, epochs * math.ceil((n - math.ceil(n / SHARE)) / batch_size))


def fit_held_out(
    module: nn.Module,
    loss: Loss,
    rows: Tensor,
    *,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
    validations: int,
    clip: float | None = None,
) -> None:
    """Minimise the mean of `loss` over rows: (N, ...), by AdamW in one cycle, and leave the best weights in `module`.

    Args:
        module: what is fitted.
        loss: of rows, (B, ...) -> (B,), with its randomness from a generator.
        rows: every tenth, beginning with the first, is held out.
        steps: of the optimiser.
        batch_size: rows per step, drawn with replacement.
        rate: largest learning rate.
        seed: determines the order of the rows.
        validations: number of times that the held-out loss is computed, evenly over the steps.
        clip: largest norm of the gradient; None for no clipping.

    Raises:
        ZooError: the held-out loss was never finite.
    """
    out = torch.arange(len(rows)) % SHARE == 0
    train, held_out = rows[~out], rows[out]
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(module.parameters(), rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    every = math.ceil(steps / validations)
    best, weights = math.inf, {}
    for step in range(1, steps + 1):
        batch = train[torch.randint(len(train), (batch_size,), generator=generator)]
        optimizer.zero_grad()
        torch.autograd.backward(loss(batch, generator).mean())
        if clip is not None:
            nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
        schedule.step()
        if step % every == 0 or step == steps:
            with torch.no_grad():  # with the same noise each time, so that losses can be compared
                found = loss(held_out, torch.Generator().manual_seed(seed)).mean().item()
            if found < best:
                best, weights = found, {name: tensor.clone() for name, tensor in module.state_dict().items()}
    if not weights:
        raise ZooError(f"the fit of a density to {len(train)} codes diverged: its loss is not finite")
    module.load_state_dict(weights)
    module.eval()
