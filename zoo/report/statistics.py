"""Statistics over seeds: records grouped into rows, their means with intervals, and these as text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import t as student

from zoo.errors import ZooError
from zoo.runs.records import Record


@dataclass(frozen=True)
class Estimate:
    """Mean over seeds and the half-width of its 95 % interval (None with one seed)."""

    mean: float
    half_width: float | None


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of n values and t_{0.975, n-1} s / sqrt(n), s their standard deviation; None for n = 0.

    Student, "The probable error of a mean", Biometrika 6, 1908.
    """
    n = len(values)
    if n == 0:
        return None
    mean = statistics.mean(values)
    if n == 1:
        return Estimate(mean, None)
    return Estimate(mean, float(student.ppf(0.975, n - 1)) * statistics.stdev(values) / math.sqrt(n))


def values(records: Iterable[Record], metric: str) -> list[float]:
    """The values of `metric` in those records in which it applies."""
    found = (record.metrics.get(metric, {}).get("value") for record in records)
    return [float(value) for value in found if value is not None]


def by_name(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records grouped by name, seeds ascending, names in order of their mean mse (those without one last).

    Raises:
        ZooError: one name has several data sets or configurations, or a seed twice.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.name, []).append(record)
    for name, group in groups.items():
        check_same_row(name, group)
        group.sort(key=lambda record: record.seed)

    def rank(name: str) -> tuple[float, str]:
        mse = estimate(values(groups[name], "mse"))
        return (math.inf if mse is None else mse.mean), name

    return {name: groups[name] for name in sorted(groups, key=rank)}


def check_same_row(name: str, group: Sequence[Record]) -> None:
    """ZooError unless all of `group` are one configuration under different seeds."""
    kinds = sorted({(record.data, record.hash) for record in group})
    if len(kinds) > 1:
        raise ZooError(
            f"records of the name {name!r} have {len(kinds)} configurations, but a row holds one; choose of "
            + ", ".join(f"{key} ({data})" for data, key in kinds)
        )
    seeds = [record.seed for record in group]
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise ZooError(f"records of the name {name!r} hold the seeds {twice} more than once; pass each record once")


@dataclass(frozen=True)
class Cell:
    """One value of a column and its text; `half_text` is empty without an interval."""

    mean: float
    half_width: float
    text: str
    half_text: str

    def __str__(self) -> str:
        return f"{self.text} ± {self.half_text}" if self.half_text else self.text


def cells(groups: Mapping[str, Sequence[Record]], metric: str) -> dict[str, Cell]:
    """The mean of `metric` in each row to which it applies, all in the same format.

    The half-width of one seed is 0. Where seeds never differ (parameters, say), no interval is written.
    """
    found = {name: estimate(values(group, metric)) for name, group in groups.items()}
    known = {name: each for name, each in found.items() if each is not None}
    places = decimals([each.mean for each in known.values()])
    varies = any(each.half_width for each in known.values())
    return {
        name: Cell(
            each.mean,
            each.half_width or 0.0,
            written(each.mean, place),
            written(each.half_width, place) if varies and each.half_width is not None else "",
        )
        for (name, each), place in zip(known.items(), places, strict=True)
    }


def decimals(means: Sequence[float]) -> list[int]:
    """Decimals of each value of a column: none for whole numbers, else as many as three significant digits need.

    All values have as many as the smallest needs, unless the column spans more than a factor of 100. Negative ones
    round to tens, hundreds, ...
    """
    sizes = [abs(mean) for mean in means if mean]
    if all(size == round(size) for size in sizes):
        return [0] * len(means)
    alike = max(sizes) < 100 * min(sizes)
    needed = [min(sizes) if alike or not mean else abs(mean) for mean in means]
    return [2 - math.floor(math.log10(size)) for size in needed]


def written(number: float, places: int) -> str:
    """A number to so many decimals; by powers of ten where that would be more than eight."""
    return f"{round(number, places):,.{max(places, 0)}f}" if places <= 8 else f"{number:.2e}"


def listing(numbers: Iterable[int]) -> str:
    """Distinct numbers as text: "0, 1, 2", or "0 to 9" where there are more than four in a row."""
    distinct = sorted(set(numbers))
    if len(distinct) > 4 and distinct[-1] - distinct[0] == len(distinct) - 1:
        return f"{distinct[0]} to {distinct[-1]}"
    return ", ".join(map(str, distinct))


def scope(records: Sequence[Record]) -> str:
    """Test images, widths and seeds of `records`: "360 test images, width 16, seeds 0, 1, 2"."""
    counts = sorted({record.metrics["mse"]["n"] for record in records if values([record], "mse")})
    tested = [f"{' or '.join(f'{n:,}' for n in counts)} test images"] if counts else []
    return ", ".join([*tested, models(records)])


def models(records: Sequence[Record]) -> str:
    """Widths and seeds of `records`: "width 16, seeds 0, 1, 2", or "1 to 3 seeds" where that differs by model."""
    seeds: dict[tuple[str, int], set[int]] = {}
    for record in records:
        seeds.setdefault((record.name, record.width), set()).add(record.seed)
    sets, counts = list(seeds.values()), sorted({len(each) for each in seeds.values()})
    width = f"width {listing(record.width for record in records)}"
    if all(each == sets[0] for each in sets):
        return f"{width}, seed{'s' if counts[0] > 1 else ''} {listing(sets[0])}"
    return f"{width}, {' to '.join(map(str, {counts[0]: 0, counts[-1]: 0}))} seeds each"
