"""Clocks, workers and what a part of the benchmark has to say."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np

Arm = Callable[[int], "Sample"]

PRODUCTS = "no fit, the products of {} alone"  # name of the arm beside that of a fit


@dataclass(frozen=True)
class Sample:
    """One run of one arm: wall-clock and CPU seconds of all its threads, and what else came out."""

    seconds: float
    cpu: float
    facts: Mapping[str, float] = field(default_factory=dict)


class Stopwatch:
    """Wall-clock and CPU seconds of this process between `with` and its end."""

    def __enter__(self) -> Stopwatch:
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start[0]
        self.cpu = time.process_time() - self._start[1]

    def sample(self, **facts: float) -> Sample:
        """The times, with `facts` beside them."""
        return Sample(self.seconds, self.cpu, facts)


def clocked(function: Callable[[], Any]) -> Sample:
    """Time one call."""
    with Stopwatch() as watch:
        function()
    return watch.sample()


@dataclass(frozen=True)
class Row:
    """One arm of one comparison over its repetitions.

    Attributes:
        comparison: what is compared.
        arm: who took part.
        samples: its runs, in order.
    """

    comparison: str
    arm: str
    samples: Sequence[Sample]

    @property
    def seconds(self) -> float:
        """Median wall-clock time."""
        return median(sample.seconds for sample in self.samples)

    @property
    def cpu(self) -> float:
        """Median CPU time."""
        return median(sample.cpu for sample in self.samples)

    def fact(self, name: str) -> float:
        """Mean of a fact over the runs."""
        return float(np.mean([sample.facts[name] for sample in self.samples]))

    def as_json(self) -> dict[str, Any]:
        """Median, spread and every run."""
        wall = [sample.seconds for sample in self.samples]
        return {
            "comparison": self.comparison,
            "arm": self.arm,
            "seconds": self.seconds,
            "range": [min(wall), max(wall)],
            "cpu_seconds": self.cpu,
            "runs": len(wall),
            "all_seconds": wall,
            "facts": {name: self.fact(name) for name in self.samples[0].facts},
        }


@dataclass(frozen=True)
class Goal:
    """A number that has to hold: `value` at most, or at least, `limit`.

    Attributes:
        cpu: the same ratio in CPU time.
        bound: what `value` would be, did a fit take no longer than its products.
    """

    name: str
    value: float
    limit: float
    at_most: bool = True
    cpu: float | None = None
    bound: float | None = None

    def as_json(self) -> dict[str, Any]:
        """With whether it holds."""
        holds = self.value <= self.limit if self.at_most else self.value >= self.limit
        return {
            "name": self.name,
            "value": self.value,
            "goal": self.limit,
            "sense": "at most" if self.at_most else "at least",
            "cpu_value": self.cpu,
            "bound": self.bound,
            "holds": bool(holds),
        }


@dataclass
class Findings:
    """What a part of the benchmark found."""

    rows: list[Row] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "rows": [row.as_json() for row in self.rows],
            "goals": [goal.as_json() for goal in self.goals],
            "notes": self.notes,
        }


def interleaved(comparison: str, arms: Mapping[str, Arm], repeats: int) -> dict[str, Row]:
    """Run the arms in turn, A B A B, so that what disturbs the machine disturbs all; each is told the repetition."""
    samples: dict[str, list[Sample]] = {name: [] for name in arms}
    for repeat in range(repeats):
        for name, arm in arms.items():
            samples[name].append(arm(repeat))
    return {name: Row(comparison, name, found) for name, found in samples.items()}


def ratio(above: Row, below: Row, clock: str = "seconds") -> float:
    """Median over repetitions of one arm's time over the other's."""
    pairs = zip(above.samples, below.samples, strict=True)
    return float(median(getattr(a, clock) / getattr(b, clock) for a, b in pairs))


def ratio_goal(name: str, above: Row, below: Row, limit: float, at_most: bool = True) -> Goal:
    """The ratio of two arms' times, in wall-clock and in CPU time, against its limit."""
    return Goal(name, ratio(above, below), limit, at_most, ratio(above, below, "cpu"))


def faster_goal(name: str, rows: Mapping[str, Row], theirs: str, ours: str, times: float) -> Goal:
    """That one of our arms is so many times as fast as one of theirs, and how many times its products alone are."""
    goal = ratio_goal(f"{name}: Pythae / {ours}", rows[theirs], rows[ours], times, at_most=False)
    return replace(goal, bound=ratio(rows[theirs], rows[PRODUCTS.format(ours)]))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The b of value = a size^b: least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


class Worker:
    """A process of its own that serves one side of a comparison, so that neither inherits the other's settings.

    It starts with the first call, and computes with one thread unless the call says otherwise.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare)

    def submit(self, function: Callable[..., Sample], *arguments: Any, **named: Any) -> Future[Sample]:
        """Call `function` there."""
        return self._pool.submit(function, *arguments, **named)

    def __call__(self, function: Callable[..., Sample], *arguments: Any, **named: Any) -> Sample:
        """Call `function` there, and wait."""
        return self.submit(function, *arguments, **named).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


def _prepare() -> None:
    os.environ["TQDM_DISABLE"] = "1"  # progress bars would cost the rival time
    import logging

    import torch

    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
