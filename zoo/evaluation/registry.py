"""The registry of metrics: pure functions whose parameters name what they need of a `Subject`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from torch import Tensor

from zoo.samples import KINDS, Kind

IMAGES: tuple[Kind, ...] = ("image",)
REAL: tuple[Kind, ...] = ("image", "vector")
Direction = Literal["lower", "higher", "none"]


@dataclass(frozen=True)
class Curve:
    """A value with the table that it summarises.

    Attributes:
        value: the number; None where there is a table but no value.
        table: named columns of one length; the first is the axis.
        n: images (or samples, or points) per row, where the last tensor among the metric's arguments is not the count.
        reason: why there is no value.
        influence: of each test sample on the value, (N,), see `zoo.evaluation.measures.influence`; of a value that
            compares them with draws also that of each draw, (M,), see `zoo.evaluation.measures.distances.Compared`. The
            evaluator resamples all.
    """

    value: float | None
    table: Mapping[str, Sequence[float] | Sequence[str]]
    n: int | None = None
    reason: str = ""
    influence: tuple[Tensor, ...] | None = None


Outcome = Tensor | float | Curve
F = TypeVar("F", bound=Callable[..., Outcome])


class NotApplicable(Exception):
    """Raised where a metric is undefined for a model or a data set; the message is the reason."""


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    Attributes:
        name: key in the records.
        function: returns one number; or a `Curve`; or (N,) values of the first N test images (usually all), of which
            the evaluator takes the mean, overall and by class, a bootstrap interval, and, unless they are booleans,
            the mean of the worst.
        group: metrics are selected by group.
        unit: of the value.
        direction: which values are better: "lower", "higher" or "none".
        definition: first paragraph of the function's docstring.
        version: raised when the definition changes; values of different versions are not compared.
        measured: whether the value is a measurement, such as wall-clock time, that differs from run to run.
        kinds: of samples for which it has a meaning.
    """

    name: str
    function: Callable[..., Outcome]
    group: str
    unit: str
    direction: Direction
    definition: str
    version: int = 1
    measured: bool = False
    kinds: tuple[Kind, ...] = KINDS

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the properties of `Subject` that are passed: the function's parameters without a default."""
        parameters = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in parameters if p.default is inspect.Parameter.empty)


METRICS: dict[str, Metric] = {}


def metric(
    group: str,
    unit: str,
    direction: Direction,
    version: int = 1,
    measured: bool = False,
    kinds: tuple[Kind, ...] = KINDS,
) -> Callable[[F], F]:
    """Register the decorated function as a metric under its own name; see `Metric` for the arguments.

    Raises:
        ValueError: the name is taken, or the function has no docstring to define it.
    """

    def register(function: F) -> F:
        name = function.__name__
        if name in METRICS:
            raise ValueError(f"two metrics are named {name!r}: the other is in {METRICS[name].function.__module__}")
        if not function.__doc__:
            raise ValueError(f"the metric {name!r} has no docstring; its first paragraph is its definition")
        definition = " ".join(inspect.cleandoc(function.__doc__).split("\n\n")[0].split())
        METRICS[name] = Metric(name, function, group, unit, direction, definition, version, measured, kinds)
        return function

    return register
