"""What a claim consists of, and how its verdict follows from its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.claims.lab import Lab

DECIMALS = 3  # of a number whose interval has no width
HOLDS, DEPENDS, FAILS = "holds", "holds when ...", "does not hold"


@dataclass(frozen=True)
class Number:
    """A measured number with its 95 % interval.

    Attributes:
        value: the number.
        low: end of the interval; None with `high`, where nothing varies it.
        high: likewise.
        unit: empty for pure numbers.
    """

    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""

    def above(self, bound: float) -> bool | None:
        """Whether the number is above `bound`; None where the interval includes it."""
        below = self.below(bound)
        return None if below is None else not below

    def below(self, bound: float) -> bool | None:
        """Whether the number is below `bound`; None where the interval includes it."""
        low, high = (self.value if end is None else end for end in (self.low, self.high))
        return True if high < bound else False if low > bound else None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return plain(self.value)
        half = (self.high - self.low) / 2
        decimals = max(0, 1 - math.floor(math.log10(half))) if half > 0 else DECIMALS
        value, low, high = (f"{end:,.{decimals}f}" for end in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"


def plain(value: float) -> str:
    """A number to three digits, as people write it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


Numbers = Mapping[str, Number]


@dataclass(frozen=True)
class Case:
    """One part of a claim, decided by one number.

    Attributes:
        when: the condition, as it is read behind "holds".
        number: name of the number that decides.
        holds: None where its interval leaves that open.
        rule: for which values it holds, such as "below 0.95".
    """

    when: str
    number: str
    holds: bool | None
    rule: str = ""

    @classmethod
    def of(cls, when: str, name: str, number: Number, **rule: float) -> Case:
        """A case that holds where a number is below, or above, a bound: `below=0.95`, `above=0`."""
        ((side, bound),) = rule.items()
        holds = {"below": number.below, "above": number.above}[side](bound)
        return cls(when, name, holds, f"{side} {plain(bound)}")


@dataclass(frozen=True)
class Found:
    """The outcome of an experiment on one data set.

    Attributes:
        numbers: by their names.
        shown: what else the figure shows.
    """

    numbers: Numbers
    shown: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A claim and the experiment that tests it; see `experiments.claims`.

    Attributes:
        title: one short sentence.
        claim: what is claimed.
        why: why one would believe it.
        equation: in plain text.
        done: what was done.
        fails: when it fails.
        data: the data sets of the full version.
        fits: {name: overrides} of the models for a data set.
        measure: the experiment.
        cases: the parts of the claim, from the numbers of one data set.
        draw: the figure, from what was found on each data set.
        reduced: the data set of the reduced version.
    """

    title: str
    claim: str
    why: str
    equation: str
    done: str
    fails: str
    data: tuple[str, ...]
    fits: Callable[[str], Mapping[str, Sequence[str]]]
    measure: Callable[[Lab], Found]
    cases: Callable[[Numbers], list[Case]]
    draw: Callable[[Mapping[str, Found]], Figure]
    reduced: str = "digits"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim, from the cases of all data sets.

    Attributes:
        outcome: "holds", "holds when ..." or "does not hold".
        text: the same in one line, with the number of cases that hold.
    """

    outcome: str
    text: str


def verdict(cases: Mapping[str, Sequence[Case]]) -> Verdict:
    """The verdict on a claim from its cases on each data set."""
    answers = [case.holds for each in cases.values() for case in each]
    true, undecided = answers.count(True), answers.count(None)
    if true == len(answers):
        return Verdict(HOLDS, HOLDS)
    left = f" ({undecided} undecided)" if undecided else ""
    if not true:
        return Verdict(FAILS, FAILS + left)
    return Verdict(DEPENDS, f"holds in {true} of {len(answers)} cases{left}")
