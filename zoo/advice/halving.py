"""Successive halving: all candidates are fitted for a few epochs and the best third for more, within a given time.

K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016,
arXiv:1502.07943. Here the best of every task stay, and each rung starts its fits from the beginning, because schedules
depend on the number of epochs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from numpy.typing import ArrayLike

from zoo.advice.candidates import INNER, LARGE, Candidate, Held, candidates, cut, fitted, held_out, widths
from zoo.advice.scores import Judge, Scores
from zoo.advice.verdict import TASKS, Advice, concluded
from zoo.api import Model
from zoo.errors import ZooError
from zoo.samples import Kind

RUNGS = (9, 3, 1)  # divisors of the full number of epochs
STEPS, LEAST_EPOCHS, MOST_EPOCHS = 3_000, 10, 200  # of a full fit
ENOUGH = 1_500  # samples below which they are not reduced to save time
PILOT, PILOT_EPOCHS = 1_120, 2  # samples of the fits that time methods, and further epochs of the second
WARM = 64  # samples of the first fit of all
SHARE, PILOTS = 0.95, 0.25  # of the time: what fits may use, and pilots of what is left for them
WORK = 0.5  # of the full fits of all candidates: a ninth, a third of a third, the last rung, and the best at all widths


@dataclass(frozen=True)
class Trial:
    """A candidate, fitted and judged.

    Attributes:
        candidate: what was fitted.
        model: the outcome.
        epochs: of a gradient fit; 0 for a closed form.
        batch_size: of a gradient fit; 0 for a closed form.
        seconds: duration of the fit.
        scores: by task, of single samples.
        more: further numbers.
    """

    candidate: Candidate
    model: Model
    epochs: int
    batch_size: int
    seconds: float
    scores: Mapping[str, Scores]
    more: Mapping[str, Any]

    @property
    def parameters(self) -> int:
        """Of the model."""
        return sum(p.numel() for p in self.model.module.parameters())

    def value(self, task: str) -> float:
        """The value of a task, lower or higher being better as `TASKS` has it."""
        return float(TASKS[task].value(self.scores[task].mean(0)))


class Explorer:
    """Fits candidates while there is time left, and keeps the latest trial of each.

    Attributes:
        trials: by candidate's name.
        left_out: names of candidates that there was no time for.
        rates: seconds per sample and epoch of each method.
    """

    def __init__(self, held: Held, judge: Judge, end: float, seed: int, say: Callable[[str], None]) -> None:
        self.held, self.judge, self.end, self.seed, self.say = held, judge, end, seed, say
        self.trials: dict[str, Trial] = {}
        self.left_out: dict[str, None] = {}
        self.rates: dict[str, float] = {}
        self.overhead, self.judging = 0.5, 0.0
        self.n = len(held.train)

    @property
    def full(self) -> int:
        """Epochs of a fit that is not cut short."""
        return min(MOST_EPOCHS, max(LEAST_EPOCHS, math.ceil(STEPS * self.batch_size / self.n)))

    @property
    def left(self) -> float:
        """Seconds."""
        return self.end - time.perf_counter()

    @property
    def batch_size(self) -> int:
        """Samples per step: 10 steps an epoch or more, as `zoo.fitting.gradient.steps_batch` has it."""
        fitted_on = self.n - round(INNER * self.n)
        return max(8, min(64, math.ceil(fitted_on / 10))) if self.n < 5_000 else 256

    def run(self, candidate: Candidate, epochs: int = 1) -> None:
        """Fit and judge a candidate, unless the time left is too short; the first one is always fitted."""
        expected = self.overhead + self.judging + self.rates.get(candidate.variant, 0.0) * self.n * epochs
        if self.left < expected and self.trials:
            self.left_out[candidate.name] = None
            return
        start = time.perf_counter()
        try:
            if candidate.variant == "pca":
                model = cut(self.judge.curve.model, candidate.width)
            else:
                model = fitted(candidate, self.held.train[: self.n], epochs, self.batch_size, self.seed)
        except ZooError as error:  # of a fit that diverges, say
            self.say(f"{candidate.name}: {error}")
            self.left_out[candidate.name] = None
            return
        seconds = time.perf_counter() - start
        scores, more = self.judge.measure(model, candidate.width)
        self.judging = max(self.judging, time.perf_counter() - start - seconds)
        epochs = 0 if candidate.closed else epochs
        if candidate.variant == "pca":
            seconds = self.judge.seconds
        elif candidate.closed:
            self.rates[candidate.variant] = max(self.rates.get(candidate.variant, 0.0), seconds / self.n)
        trial = Trial(candidate, model, epochs, self.batch_size if epochs else 0, seconds, scores, more)
        self.trials[candidate.name] = trial
        self.left_out.pop(candidate.name, None)
        passes = f"{epochs:>3} epochs" if epochs else "closed form"
        self.say(
            f"{candidate.variant:<16} width {candidate.width:>3}  {passes:>11}  {seconds:6.1f} s  "
            f"error {more['error']:<9.4g} {max(self.left, 0):5.0f} s left"
        )

    def pilot(self, candidate: Candidate) -> None:
        """Measure how fast a method is: one epoch, and for small samples a few more, to separate fixed costs."""
        x = self.held.train[:PILOT]
        taken: list[float] = []
        if not self.rates:  # the first fit loads what all need
            fitted(candidate, x[:WARM], 1, 8, self.seed)
        for epochs in (1,) if self.held.size > LARGE else (1, 1 + PILOT_EPOCHS):
            if self.left < 3 * max([self.overhead, *taken]):
                self.rates[candidate.variant] = math.inf
                return
            start = time.perf_counter()
            fitted(candidate, x, epochs, self.batch_size, self.seed)
            taken.append(time.perf_counter() - start)
        more = max(taken[-1] - taken[0], 0.1 * taken[0]) / PILOT_EPOCHS if len(taken) > 1 else taken[0]
        self.overhead = max(self.overhead, taken[0] - more)
        self.rates[candidate.variant] = more / len(x)

    def planned(self, found: Sequence[Candidate]) -> tuple[list[Candidate], int]:
        """The candidates, and the number of epochs of a full fit, for which the time is sufficient.

        First epochs are reduced to a few dozen, then samples, then widths, then methods: the slowest, or the last of
        those about as slow. The last method may have as few epochs as there are in the first rung's divisor.
        """
        chosen = [c for c in found if self.rates.get(c.variant, math.inf) < math.inf]
        self.left_out |= dict.fromkeys(c.name for c in found if c not in chosen)
        most = least = 0
        while chosen:
            most = self.full
            least = min(most, 30 if len(chosen) > 1 else RUNGS[0])
            fits = len(chosen) * (1 + 1 / 3 + 1 / 9) + 3
            free = self.left - fits * (self.overhead + self.judging)
            epochs = int(free / (WORK * self.n * sum(self.rates[c.variant] for c in chosen)))
            if epochs >= least:
                return chosen, min(most, epochs)
            if self.n > ENOUGH and free > 0:
                self.n = max(ENOUGH, self.n * 3 // 4)
            else:
                if len({c.width for c in chosen}) > 1:
                    dropped = [c for c in chosen if c.width == chosen[-1].width]
                else:
                    dropped = [max(reversed(chosen), key=lambda c: round(math.log2(self.rates[c.variant])))]
                self.left_out |= dict.fromkeys(c.name for c in dropped)
                chosen = [c for c in chosen if c not in dropped]
        return [], 0

    def explore(self, found: Sequence[Candidate]) -> None:
        """All rungs."""
        slow = [c for c in found if not c.closed]
        last = self.end - (1 - PILOTS) * self.left
        for candidate in {c.variant: c for c in slow}.values():
            if time.perf_counter() < last:
                self.pilot(candidate)
        chosen, epochs = self.planned(slow)
        for candidate in (c for c in found if c.closed):
            self.run(candidate)
        for divisor in RUNGS:
            for candidate in chosen:
                self.run(candidate, max(1, epochs // divisor))
            if divisor > 1:
                chosen = self.best(chosen, max(len(TASKS), math.ceil(len(chosen) / 3)))
        done = [t for t in self.trials.values() if t.epochs == epochs and "reconstruction" in t.scores]
        if done:  # its error at all widths is a curve beside PCA's
            best = min(done, key=partial(self.rank, task="reconstruction")).candidate.variant
            for candidate in slow:
                if candidate.variant == best and self.trials.get(candidate.name) not in done:
                    self.run(candidate, epochs)

    def best(self, found: Sequence[Candidate], number: int) -> list[Candidate]:
        """The best of each task, then the second of each, and so on."""
        trials = [self.trials[c.name] for c in found if c.name in self.trials]
        ranked = [sorted((t for t in trials if task in t.scores), key=partial(self.rank, task=task)) for task in TASKS]
        order = {t.candidate.name: None for place in range(len(trials)) for r in ranked for t in r[place : place + 1]}
        kept = set(list(order)[:number])
        return [c for c in found if c.name in kept]

    def rank(self, trial: Trial, task: str) -> float:
        """Smaller is better. Errors are divided by those of PCA at the same width, so that no width is preferred."""
        value = trial.value(task)
        if task == "reconstruction":
            return value / max(self.judge.curve.at(trial.candidate.width), 1e-12)
        return value if TASKS[task].lower else -value


def advise(
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    minutes: float = 5,
    kind: Kind | None = None,
    seed: int = 0,
    progress: bool = True,
    data: str = "",
) -> Advice:
    """Recommend a method and a width for some samples.

    A fifth of the samples is held out. Candidates are fitted to the rest by successive halving within the time, and
    judged on the held-out samples. Ctrl-C ends with advice from the finished fits.

    Args:
        x: images (N, H, W), (N, C, H, W) or (N, H, W, C), or vectors (N, D).
        y: (N,) classes; None for none.
        minutes: the time, on one CPU thread.
        kind: "image", "vector" or "counts"; None decides by the number of axes.
        seed: determines every random choice, and the advice, unless the time cuts fits short.
        progress: print a line per fit.
        data: the samples as named on the command line, "data=digits"; used in the commands of the advice only.

    Raises:
        ZooError: samples that cannot be used, fewer than 10 of them, or no time.
    """
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not 0 < minutes < math.inf:
        raise ZooError(f"minutes={minutes}: must be a number greater than 0")
    start = time.perf_counter()

    def say(line: str) -> None:
        if progress:
            print(line, flush=True)

    held = held_out(x, y, kind, seed)
    judge = Judge(held, seed)
    explorer = Explorer(held, judge, start + 60 * minutes * SHARE, seed, say)
    found, interrupted = candidates(held, widths(held, judge.curve)), False
    try:
        explorer.explore(found)
    except KeyboardInterrupt:
        interrupted = True
        say("interrupted: advice from the finished fits")
        if not explorer.trials:
            explorer.run(found[0])
    if not data:
        data = f"data={'array' if held.form.kind == 'image' else 'table'} data.source.path=x.npy"
    return concluded(
        held,
        judge,
        list(explorer.trials.values()),
        fitted_on=explorer.n,
        full=explorer.full,
        left_out=list(explorer.left_out),
        seconds=time.perf_counter() - start,
        minutes=minutes,
        interrupted=interrupted,
        data=data,
    )
