"""Sparse overcomplete codes: many units, of which few speak for an image; one module around every rule of who may."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.bottlenecks import check_active, check_width, follow
from zoo.errors import ZooError
from zoo.types import Bottleneck, Code

START, RATE = math.log(3.0), 0.02  # of c: 3 nats per unit of the penalty, and e-folds per step while off by e
SLACK, EXCESS = 1.05, 30.0  # a code that is kept may have 5 % too many active units; one more costs 30 nats
FARTHEST = 5.0  # e-folds that c may be from its start: a price that is slow to act must not wind up


@dataclass(frozen=True, kw_only=True)
class SparseCode(Code):
    """A code, and what the terms that keep its units alive ask about it.

    Attributes:
        h: (B, D), what the rule was given: all units of it.
        dead: (D,), where a unit has not been active for long.
    """

    h: Tensor
    dead: Tensor


class Sparse(nn.Module):
    """z = f(h), D = `units`, with a mean of k active units; f, the rule, is what sets the methods of this family apart.

    A rule with a fixed count (top-k) has no penalty. The penalty of one that has is multiplied by exp(c + e), where
    e = log(L0 / k), within 1 of zero, says how far the batch's mean number of active units L0 is off, and training
    moves c += 0.02 e at every step (proportional and integral control), c within 5 of its start, so that methods meet
    at equal L0. In evaluation the penalty is what the running mean of L0 exceeds the budget by, at 30 nats per unit:
    the epoch kept is the one of best reconstruction among those that hold it.

    With `at_budget`, z = f(h - s), s the value that k units per image of the first batch exceed. A ReLU would let half
    of the units through, whose sum is many times the image, and the fit would begin with the repair of that. So nothing
    has to be made sparse as the fit goes on, which is what other fits have a warm-up of the penalty for: here it acts
    from the start, and as strongly as the budget asks.

    Nested codes: with `prefixes`, training also decodes the first m units alone, for each m, as further samples of the
    image. B. Bussmann et al., "Learning multi-level features with Matryoshka sparse autoencoders", 2025,
    arXiv:2503.17547.

    Args:
        units: D, wider than the image for an overcomplete code.
        k: units that are to be active at a time.
        rule: builds f from (units, k): a bottleneck with at most one penalty, (B,), in any unit.
        at_budget: start with k active units, for a rule that does not count them.
        prefixes: units of each nested code.
        dead_after: training images in a row without activity after which a unit counts as dead.

    Raises:
        ZooError: k is not in 1..units, or a prefix is not in 1..units-1.
    """

    idle: Tensor
    log_coefficient: Tensor
    l0: Tensor
    shift: Tensor

    def __init__(
        self,
        units: int,
        k: int,
        rule: Callable[[int, int], Bottleneck],
        at_budget: bool = False,
        prefixes: Sequence[int] = (),
        dead_after: int = 2_000,
    ) -> None:
        super().__init__()
        self.in_features = self.out_features = check_width(units, "bottleneck.units")
        self.k, self.prefixes, self.dead_after = check_active(k, units), tuple(prefixes), dead_after
        if not all(1 <= prefix < units for prefix in self.prefixes):
            raise ZooError(f"bottleneck.prefixes={list(prefixes)}: a nested code has from 1 to {units - 1} units")
        self.rule: Bottleneck = rule(units, k)
        self.places: int = getattr(self.rule, "places", 1)  # of each map, if units are those of a convolution
        self.register_buffer("idle", torch.zeros(units, dtype=torch.int64))
        self.register_buffer("log_coefficient", torch.tensor(START))
        self.register_buffer("l0", torch.tensor(float(k)))
        self.register_buffer("shift", torch.tensor(torch.nan if at_budget else 0.0))

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> SparseCode:
        """h: (B, D) -> z = point: (B, D); in training z: ((1 + prefixes) B, D), the full code first."""
        h = h - self._shift(h)
        code = self.rule(h, generator)
        active = code.point != 0
        l0 = active.sum() / len(active)
        off = (l0 / self.k).log().clamp(-1, 1)
        penalties = {name: self._priced(value, off) for name, value in code.penalties.items()}
        z = code.z
        if self.training:
            self._watch(active, l0, off)
            z = torch.cat([z, *(nn.functional.pad(z[:, :m], (0, z.shape[1] - m)) for m in self.prefixes)])
        return SparseCode(z, code.point, penalties, h=h, dead=self.idle > self.dead_after)

    @torch.no_grad()
    def _shift(self, h: Tensor) -> Tensor:
        if self.training and self.shift.isnan():
            self.shift.copy_(h.flatten().topk(len(h) * self.k, sorted=False).values.amin())
        return self.shift.nan_to_num(0.0)

    def _priced(self, penalty: Tensor, off: Tensor) -> Tensor:
        if self.training:
            return (self.log_coefficient + off).exp() * penalty
        return (EXCESS * (self.l0 - SLACK * self.k).relu()).expand(len(penalty))

    @torch.no_grad()
    def _watch(self, active: Tensor, l0: Tensor, off: Tensor) -> None:
        self.idle += len(active)
        self.idle.masked_fill_(active.any(0), 0)
        follow(self.l0, l0)
        self.log_coefficient.add_(RATE * off).clamp_(START - FARTHEST, START + FARTHEST)
