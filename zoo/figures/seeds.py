"""What the seeds of one row say together: grouping records by name, means and their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import t as student

from zoo.errors import ZooError
from zoo.records import Record


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
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(mean, None)
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return Estimate(mean, float(student.ppf(0.975, n - 1)) * math.sqrt(variance / n))


def values(records: Iterable[Record], metric: str) -> list[float]:
    """The values of `metric` in those records in which it applies."""
    found = (record.metrics.get(metric, {}).get("value") for record in records)
    return [float(value) for value in found if value is not None]


def by_name(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records grouped by name, seeds ascending, names in order of their mean mse (those without one last).

    Raises:
        ZooError: one name stands for several data sets or configurations, or has a seed twice.
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
        raise ZooError(
            f"records of the name {name!r} hold the seeds {twice} more than once; pass each record once"
        )


def listing(numbers: Iterable[int]) -> str:
    """Distinct numbers as text: "0, 1, 2", or "0 to 9" where there are more than four in a row."""
    distinct = sorted(set(numbers))
    if len(distinct) > 4 and distinct[-1] - distinct[0] == len(distinct) - 1:
        return f"{distinct[0]} to {distinct[-1]}"
    return ", ".join(map(str, distinct))


def scope(records: Sequence[Record]) -> str:
    """What the numbers of `records` rest on: "360 test images, width 16, seeds 0, 1, 2"."""
    images = {record.metrics["mse"]["n"] for record in records if values([record], "mse")}
    tested = [f"{listing(images)} test images"] if images else []
    widths, seeds = {record.width for record in records}, {record.seed for record in records}
    plural = "s" if len(seeds) > 1 else ""
    return ", ".join([*tested, f"width {listing(widths)}", f"seed{plural} {listing(seeds)}"])
