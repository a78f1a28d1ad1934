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
HOLDS, DEPENDS, FAILS = "holds", "holds in part", "does not hold"
LETTERS = {True: "y", False: "n", None: "?"}


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

    def within(self, least: float, most: float) -> Number:
        """The number with its interval cut at values that it cannot exceed."""
        low, high = (None if end is None else min(max(end, least), most) for end in (self.low, self.high))
        return Number(self.value, low, high, self.unit)

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
        part: a statement that is true or false.
        number: name of the number that decides.
        holds: None where its interval leaves that open.
        rule: for which values it is true, such as "below 0.95".
        beside: it is shown beside the claim, and not part of it: a control, or something worth knowing.
    """

    part: str
    number: str
    holds: bool | None
    rule: str = ""
    beside: bool = False

    @classmethod
    def of(cls, part: str, name: str, number: Number, *, beside: bool = False, **rule: float) -> Case:
        """A case that is true where a number is below, or above, a bound: `below=0.95`, `above=0`.

        With both, it is true between them, and false where the interval lies outside: `above=-0.5, below=0.5`.
        """
        sides = {"above": number.above, "below": number.below}
        answers = [sides[side](bound) for side, bound in rule.items()]
        holds = False if False in answers else None if None in answers else True
        words = " and ".join(f"{side} {plain(bound)}" for side, bound in rule.items())
        return cls(part, name, holds, words, beside)


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
        answers: the verdict in a sentence or two without numbers, by the outcomes for which it was written: those of
            all parts on all data sets in their order, "y" for true, "n" for false, "?" for undecided.
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
    answers: Mapping[str, str]
    draw: Callable[[Mapping[str, Found]], Figure]
    reduced: str = "digits"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim, from its parts on all data sets.

    Attributes:
        outcome: "holds", "holds in part" or "does not hold".
        text: the same in one line, with the number of parts that are true.
        answer: it in words; empty where the claim has none for these outcomes.
    """

    outcome: str
    text: str
    answer: str


def verdict(cases: Mapping[str, Sequence[Case]], answers: Mapping[str, str]) -> Verdict:
    """The verdict on a claim from its cases on each data set, those beside it left out."""
    found = [case.holds for each in cases.values() for case in each if not case.beside]
    true, undecided = found.count(True), found.count(None)
    answer = " ".join(answers.get(outcomes(cases), "").split())
    if true == len(found):
        return Verdict(HOLDS, HOLDS, answer)
    left = f", {undecided} undecided" if undecided else ""
    outcome = DEPENDS if true else FAILS
    return Verdict(outcome, f"{outcome}: {true} of {len(found)} parts true{left}", answer)


def outcomes(cases: Mapping[str, Sequence[Case]]) -> str:
    """The outcomes of all parts, as `Claim.answers` has them."""
    return "".join(LETTERS[case.holds] for each in cases.values() for case in each if not case.beside)
