"""The stochastic fit of a density: a tenth of the codes is held out, and the weights that did best on it are kept."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.errors import ZooError

Loss = Callable[[Tensor, torch.Generator], Tensor]
SHARE = 10  # one in so many is held out


def check_enough(z: Tensor, density: str) -> None:
    """ZooError if there are too few codes (N, D) to hold one out; `density` says of what, with its article."""
    if len(z) < SHARE:
        raise ZooError(f"{density} needs at least {SHARE} codes, not {len(z)}, to hold some out")


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
        rows: every tenth of them, from the first on, is held out.
        steps: of the optimiser.
        batch_size: rows per step, drawn with replacement.
        rate: largest learning rate.
        seed: determines the order of the rows.
        validations: looks at what is held out, evenly over the steps.
        clip: largest norm of the gradient; None for no clipping.

    Raises:
        ZooError: no look found a finite loss.
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
            with torch.no_grad():  # on the same noise each time
                found = loss(held_out, torch.Generator().manual_seed(seed)).mean().item()
            if found < best:
                best, weights = found, {name: tensor.clone() for name, tensor in module.state_dict().items()}
    if not weights:
        raise ZooError(f"a density of {len(train)} codes diverged: its loss is not a finite number")
    module.load_state_dict(weights)
    module.eval()
