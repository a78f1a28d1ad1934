"""Clocks, workers and what a part of the benchmark found."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

import joblib
import numpy as np

Arm = Callable[[int], "Sample"]
T = TypeVar("T")
PROCESSES = os.cpu_count() or 1  # as in a study


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

    def fact(self, name: str) -> float:
        """Mean of a fact over the runs."""
        return float(np.mean([sample.facts[name] for sample in self.samples]))

    def as_json(self) -> dict[str, Any]:
        """Medians, every run's seconds, and of each fact the mean and every run's value."""
        return {
            "comparison": self.comparison,
            "arm": self.arm,
            "seconds": median(sample.seconds for sample in self.samples),
            "cpu_seconds": median(sample.cpu for sample in self.samples),
            "all_seconds": [sample.seconds for sample in self.samples],
            "facts": {name: self.fact(name) for name in self.samples[0].facts},
            "all_facts": {name: [sample.facts[name] for sample in self.samples] for name in self.samples[0].facts},
        }


@dataclass
class Findings:
    """What a part of the benchmark found.

    Attributes:
        rows: arms and their times.
        ratios: {what: number}.
        notes: how it was measured.
    """

    rows: list[Row] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"rows": [row.as_json() for row in self.rows], "ratios": self.ratios, "notes": self.notes}


def interleaved(comparison: str, arms: Mapping[str, Arm], repeats: int) -> dict[str, Row]:
    """Run the arms in turn, A B A B, so that what disturbs the machine disturbs all; each receives the repetition."""
    samples: dict[str, list[Sample]] = {name: [] for name in arms}
    for repeat in range(repeats):
        for name, arm in arms.items():
            samples[name].append(arm(repeat))
    return {name: Row(comparison, name, found) for name, found in samples.items()}


def ratio(above: Row, below: Row) -> float:
    """Median over repetitions of one arm's seconds over the other's."""
    pairs = zip(above.samples, below.samples, strict=True)
    return float(median(a.seconds / b.seconds for a, b in pairs))


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The b of value = a size^b: least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def pooled(function: Callable[..., T], calls: Sequence[tuple[Any, ...]]) -> list[T]:
    """The calls on as many single-threaded processes as a study uses."""
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        found: list[T] = joblib.Parallel(n_jobs=PROCESSES)(joblib.delayed(function)(*call) for call in calls)
    return found


class Worker:
    """A process of its own for one side of a comparison, so that neither inherits the other's settings.

    It starts with the first call, and computes with one thread unless the call says otherwise.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare)

    def __call__(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call `function` there, and wait."""
        return self._pool.submit(function, *arguments, **named).result()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


def _prepare() -> None:
    os.environ["TQDM_DISABLE"] = "1"  # progress bars would cost the peer time
    import logging

    import torch

    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
