"""The register of metrics: pure functions that say what they need by the names of their parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from torch import Tensor

Direction = Literal["lower", "higher", "none"]


@dataclass(frozen=True)
class Curve:
    """A value with the table it is drawn from.

    Attributes:
        value: the one number that stands for the curve; None where there is none, though there is a curve.
        table: named columns of one length; the first is the axis.
        n: images (or samples, or points) that each row rests on, where the metric's arguments do not tell.
        reason: why there is no value.
    """

    value: float | None
    table: dict[str, list[float] | list[str]]
    n: int | None = None
    reason: str = ""


Outcome = Tensor | float | Curve
F = TypeVar("F", bound=Callable[..., Outcome])


class NotApplicable(Exception):
    """Raised by a metric, or by what it needs, that has no meaning for a model or a data set; says why."""


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    Attributes:
        name: key in the records.
        function: returns one number; or a `Curve`; or (N,) values, one for each of the first N test images (all of
            them, mostly), of which the evaluator takes the mean, overall and by class, a bootstrap interval, and
            the mean of the worst unless they are only right or wrong (booleans).
        group: what switches it on.
        unit: of the value.
        direction: which values are better: "lower", "higher" or "none".
        definition: first paragraph of the function's docstring.
        measured: whether it is a wall-clock figure or the like, which differs from run to run.
    """

    name: str
    function: Callable[..., Outcome]
    group: str
    unit: str
    direction: Direction
    definition: str
    measured: bool

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the `Subject`'s properties that the function wants: its parameters without a default."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.default is inspect.Parameter.empty)


METRICS: dict[str, Metric] = {}


def metric(group: str, unit: str, direction: Direction, measured: bool = False) -> Callable[[F], F]:
    """Register the decorated function as a metric under its own name; see `Metric` for the arguments.

    Raises:
        ValueError: the name is taken, or the function has no docstring to define it.
    """

    def register(function: F) -> F:
        name = function.__name__
        if name in METRICS:
            raise ValueError(f"two metrics are named {name!r}: {METRICS[name].function.__module__} has one already")
        if not function.__doc__:
            raise ValueError(f"the metric {name!r} has no docstring; its first paragraph is its definition")
        definition = " ".join(inspect.cleandoc(function.__doc__).split("\n\n")[0].split())
        METRICS[name] = Metric(name, function, group, unit, direction, definition, measured)
        return function

    return register
