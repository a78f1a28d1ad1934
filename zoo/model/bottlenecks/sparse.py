"""Sparse overcomplete codes: many units, few of them active per image; one module around all sparsity rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from zoo.checks import check_active, check_count, check_width, is_whole
from zoo.errors import ZooError
from zoo.model.bottlenecks import smallest_active, update_running_mean
from zoo.types import Bottleneck, CalibratesOnValidation, Code, SparseCode

START, RATE = math.log(3.0), 0.02  # of c: 3 nats per unit of the penalty; change per step and unit of error
SLACK, EXCESS = 1.05, 30.0  # in evaluation, 5 % more active units than k are free; each further one costs 30 nats
FARTHEST = 5.0  # largest distance of c from its start: prevents integral wind-up


class Sparse(Bottleneck, CalibratesOnValidation):
    """z = f(h), D = `units`, with k active units on average; the rule f distinguishes the methods of this family.

    Rules that count (top-k) have no penalty. For others, the penalty's weight is exp(c + e): with L0 the batch's mean
    number of active units and e = log(L0 / k), limited to [-1, 1], each training step moves c by 0.02 e, with c within
    5 of its start (proportional-integral control). In evaluation, the penalty is 30 nats for each unit by which the
    running mean of L0 exceeds the budget, so that the best epoch is the one of best reconstruction among those that
    keep the budget in training. Unseen images have more active units than training images: 9.6 instead of 8 on
    scikit-learn's digits. So that methods are compared at equal L0, units below a threshold are set to 0 in use: the
    value that k units per validation image reach or exceed, chosen after the fit.

    With `at_budget`, z = f(h - s), where s is the value that k units per image of the first batch exceed. Without it, a
    ReLU starts with half of the units active, whose sum is many times the image. As the code starts sparse, the penalty
    needs no warm-up.

    Nested codes: with `prefixes`, training also decodes the first m units alone, for each m, as further samples of the
    image. B. Bussmann et al., "Learning multi-level features with Matryoshka sparse autoencoders", 2025,
    arXiv:2503.17547.

    Args:
        units: D, more than the pixels for an overcomplete code.
        k: active units per image, on average.
        rule: builds f from (units, k): a bottleneck with at most one penalty, (B,), in any unit.
        at_budget: start with k active units, and end with no more; for rules that do not count them.
        prefixes: numbers of units of the nested codes.
        dead_after: training images in a row without activity after which a unit counts as dead.

    Raises:
        ZooError: k is not in 1..units, a prefix is not in 1..units-1, or `dead_after` is below 1.
    """

    idle: Tensor
    log_coefficient: Tensor
    l0: Tensor
    shift: Tensor
    threshold: Tensor | None

    def __init__(
        self,
        units: int,
        k: int,
        rule: Callable[[int, int], Bottleneck],
        at_budget: bool = False,
        prefixes: Sequence[int] = (),
        dead_after: int = 2_000,
    ) -> None:
        super().__init__(check_width(units, "bottleneck.units"), units)
        self.k, self.prefixes, self.dead_after = check_active(k, units), tuple(prefixes), dead_after
        check_count(dead_after, "bottleneck.dead_after")
        if not all(is_whole(prefix) and 1 <= prefix < units for prefix in self.prefixes):
            raise ZooError(f"bottleneck.prefixes={list(prefixes)}: a nested code has from 1 to {units - 1} units")
        self.rule = rule(units, k)
        self.places = self.rule.places
        self.register_buffer("idle", torch.zeros(units, dtype=torch.int64))
        self.register_buffer("log_coefficient", torch.tensor(START))
        self.register_buffer("l0", torch.tensor(float(k)))
        self.register_buffer("shift", torch.tensor(torch.nan if at_budget else 0.0))
        self.register_buffer("threshold", torch.tensor(0.0) if at_budget else None)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> SparseCode:
        """h: (B, D) -> z = point: (B, D); in training z: ((1 + prefixes) B, D), the full code first."""
        h = h - self._shift(h)
        code = self.rule(h, generator)
        if self.threshold is not None and not self.training:
            z = code.point * (code.point >= self.threshold)
            code = Code(z, z, code.penalties)
        active = code.point != 0
        l0 = active.sum() / len(active)
        error = (l0 / self.k).log().clamp(-1, 1)
        penalties = {name: self._weighted(value, error) for name, value in code.penalties.items()}
        z = code.z
        if self.training:
            self._update(active, l0, error)
            z = torch.cat([z, *(nn.functional.pad(z[:, :m], (0, z.shape[1] - m)) for m in self.prefixes)])
        return SparseCode(z, code.point, penalties, h=h, dead=self.idle > self.dead_after)

    def calibrate(self, inputs: Iterable[Tensor]) -> None:
        """Set the threshold that k units per image of inputs, each (B, D), reach, or as many as are active."""
        if self.threshold is not None:
            self.threshold.zero_()
            self.threshold.copy_(smallest_active((self(h).point for h in inputs), self.k, self.threshold))

    @torch.no_grad()
    def _shift(self, h: Tensor) -> Tensor:
        if self.training and self.shift.isnan():
            self.shift.copy_(h.flatten().topk(len(h) * self.k, sorted=False).values.amin())
        return self.shift.nan_to_num(0.0)

    def _weighted(self, penalty: Tensor, error: Tensor) -> Tensor:
        if self.training:
            return (self.log_coefficient + error).exp() * penalty
        return (EXCESS * (self.l0 - SLACK * self.k).relu()).expand(len(penalty))

    @torch.no_grad()
    def _update(self, active: Tensor, l0: Tensor, error: Tensor) -> None:
        self.idle += len(active)
        self.idle.masked_fill_(active.any(0), 0)
        update_running_mean(self.l0, l0)
        self.log_coefficient.add_(RATE * error).clamp_(START - FARTHEST, START + FARTHEST)
