"""Statistics over seeds and test samples: records as rows, means with intervals, which rows differ, numbers as text."""

from __future__ import annotations

import base64
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from zoo.catalogue import title_of
from zoo.errors import ZooError
from zoo.runs.records import Record

if TYPE_CHECKING:
    from zoo.evaluation.registry import Metric

RANKS = {"lower": 1, "higher": -1}  # directions of metrics that rank rows
ERROR = " error "  # in the unit of a metric that is an error: "squared error per value"
ABOUT = ("group", "unit", "direction", "definition", "version", "measured")  # what an entry says of its metric
EARLIER = "measured by an earlier version of this metric"
MIXED = "left out, as not every run was timed alone and on one kind of machine"
EXACT = "cost"  # the group of metrics that do not depend on samples
ROUNDING = 1e-7  # relative: smaller differences are rounding errors of float32
LEAST_ERROR = 1e-12  # smaller errors are rounding errors of float32, and are compared as if they were as large


@dataclass(frozen=True, eq=False)
class Estimate:
    """The mean of a metric over seeds, and how it varies.

    Attributes:
        mean: over seeds.
        seeds: variance of the mean by seeds, s^2 / n, and its degrees of freedom, n - 1; None where nothing varies, as
            with one seed, or in a closed form.
        resampled: (100,), the mean over seeds for each bootstrap resample of the test samples; None where the metric is
            no mean over samples.
        tested: number of test samples. Data with a class left out have fewer: resamples of others are not the same.
        exact: it does not depend on which samples the test set holds, as a number of parameters.
        logarithms: the same of the logarithms, by which errors are compared; None of other metrics. 0 counts as
            `LEAST_ERROR`.
    """

    mean: float
    seeds: tuple[float, int] | None = None
    resampled: NDArray[np.float64] | None = None
    tested: int | None = None
    exact: bool = False
    logarithms: Estimate | None = None

    @property
    def known(self) -> bool:
        """Whether it is known how the value varies, if it does."""
        return self.exact or self.seeds is not None or self.resampled is not None

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95 % interval over seeds and test samples; None if neither variation is known."""
        return half_width([self.seeds, spread(self.resampled)])

    def differs(self, other: Estimate) -> bool:
        """Whether two rows differ: the 95 % interval of their difference excludes 0.

        Test samples are resampled in pairs where both rows were measured on the same ones, and independently where
        their numbers differ. Where no variation is known, only exact values differ. Errors, which are never negative,
        differ if their logarithms do: the interval of seeds with errors of 1 and 3 reaches below 0, and yet they are no
        evidence for an error of 0.04.
        """
        if self.logarithms is not None and other.logarithms is not None:
            return self.logarithms.differs(other.logarithms)
        sampled: list[tuple[float, int] | None] = []
        if self.resampled is not None and other.resampled is not None:
            same = self.tested == other.tested
            drawn = [self.resampled - other.resampled] if same else [self.resampled, other.resampled]
            sampled = [spread(each) for each in drawn]
        half = half_width([self.seeds, other.seeds, *sampled])
        if half is None:
            return self.exact and self.mean != other.mean
        return abs(self.mean - other.mean) > half


def estimate(
    values: Sequence[float],
    resampled: Sequence[NDArray[np.float64]] = (),
    exact: bool = False,
    errors: bool = False,
    tested: int | None = None,
) -> Estimate | None:
    """The mean of the values of n seeds, and how it varies; None for n = 0.

    Args:
        values: of the seeds.
        resampled: the means of the same resamples of test samples, for each seed; empty where there are none.
        exact: the values do not depend on which samples the test set holds.
        errors: the values are errors, which are compared by their ratio.
        tested: number of test samples.
    """
    n = len(values)
    if n == 0:
        return None
    drawn = np.array(resampled) if len(resampled) == n else None
    found = replace(varying(values, drawn, exact), tested=tested)
    if not errors or min(values) < 0:
        return found
    logarithms = [math.log(max(value, LEAST_ERROR)) for value in values]
    of_drawn = None if drawn is None else np.log(drawn.clip(LEAST_ERROR))
    return replace(found, logarithms=replace(varying(logarithms, of_drawn, exact), tested=tested))


def varying(values: Sequence[float], drawn: NDArray[np.float64] | None, exact: bool) -> Estimate:
    """The mean of values, and how it varies: over them, and over the mean of `drawn`, (values, resamples)."""
    seeds = (statistics.variance(values) / len(values), len(values) - 1) if vary(np.array(values)) else None
    return Estimate(statistics.mean(values), seeds, None if drawn is None else drawn.mean(0), exact=exact)


def spread(drawn: NDArray[np.float64] | None) -> tuple[float, int] | None:
    """Variance of resampled means, and its degrees of freedom."""
    return None if drawn is None else (float(drawn.var(ddof=1)), len(drawn) - 1)


def vary(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the values of several seeds, (S,) or (S, M), vary: each of M over the seeds, by more than rounding.

    A closed form is the same for every seed, but for rounding, which says nothing of test samples.
    """
    found: NDArray[np.bool_] = np.ptp(values, axis=0) > ROUNDING * np.abs(values).max(0)
    return found


def half_width(parts: Iterable[tuple[float, int] | None]) -> float | None:
    """t sqrt(V) of a sum V of independent variances, with t the 97.5 % quantile of Student's distribution.

    Its degrees of freedom are (sum v)^2 / sum (v^2 / f), of variances v with f degrees of freedom each: F.
    Satterthwaite, "An approximate distribution of estimates of variance components", 1946. None without any variance.
    """
    known = [part for part in parts if part is not None]
    total = sum(variance for variance, _ in known)
    if not known or total == 0:
        return 0.0 if known else None
    freedom = total**2 / sum(variance**2 / degrees for variance, degrees in known)
    return float(student.ppf(0.975, freedom)) * math.sqrt(total)


def estimate_of(records: Sequence[Record], metric: str) -> Estimate | None:
    """The estimate of a metric from the records of one row; None where it applies to none of them."""
    entries = [record.metrics.get(metric, {}) for record in records]
    kept = [entry for entry in entries if entry.get("value") is not None]
    resampled = [decoded(entry["resampled"]) for entry in kept if "resampled" in entry]
    exact = all(entry.get("group") == EXACT and not entry.get("measured") for entry in kept)
    errors = all(ERROR in entry["unit"] for entry in kept)
    tested = kept[0].get("n") if kept else None
    return estimate([float(entry["value"]) for entry in kept], resampled, exact, errors, tested)


def decoded(text: str) -> NDArray[np.float64]:
    """The numbers that a record keeps as base64 of float32."""
    return np.frombuffer(base64.b64decode(text), np.float32).astype(np.float64)


def values(records: Iterable[Record], metric: str) -> list[float]:
    """The values of `metric` in those records in which it applies."""
    found = (record.metrics.get(metric, {}).get("value") for record in records)
    return [float(value) for value in found if value is not None]


def definitions(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Every metric of the records, in their order, with its unit, direction, group and definition.

    Which direction is better is what the code says now, whatever it said when a record was written. So is the
    definition of a metric whose version is still the same.
    """
    import zoo.evaluation.metrics  # noqa: F401 (registers every metric; here, as it imports torch)
    from zoo.evaluation.registry import METRICS

    found: dict[str, dict[str, Any]] = {}
    for record in records:
        for name, about in record.metrics.items():
            if name not in found or version_of(about) >= version_of(found[name]):
                found[name] = about
    return {name: about | (said_now(METRICS[name], about) if name in METRICS else {}) for name, about in found.items()}


def said_now(metric: Metric, about: Mapping[str, Any]) -> dict[str, str]:
    """What the code says now of a metric that a record describes."""
    if version_of(about) == metric.version:
        return {"direction": metric.direction, "definition": metric.definition}
    said = about.get("definition", "its definition is not recorded.")
    return {"direction": metric.direction, "definition": f"An earlier version of the metric: {said}"}


def version_of(entry: Mapping[str, Any]) -> int:
    """The version of the metric that an entry of a record is of; 0 where it does not say."""
    version: int = entry.get("version", 0)
    return version


def by_name(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records grouped by name, seeds ascending; names in order of their mean of `leading`, best first, others last.

    Raises:
        ZooError: one name has several data sets or configurations, or a seed twice.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.name, []).append(record)
    for name, group in groups.items():
        check_same_row(name, group)
        group.sort(key=lambda record: record.seed)

    metric, better = leading([record for group in groups.values() for record in group])

    def rank(name: str) -> tuple[float, str]:
        found = estimate(values(groups[name], metric))
        return (math.inf if found is None else better * found.mean), name

    return {name: groups[name] for name in sorted(groups, key=rank)}


def leading(records: Sequence[Record]) -> tuple[str, int]:
    """The metric by which rows are sorted, and -1 if higher is better, else 1.

    It is the mse where a record has one, or where there are only costs; for words and documents, the first of the
    metrics that rank rows and that most records have.
    """
    every = [(name, entry) for record in records for name, entry in record.metrics.items()]
    known = Counter(name for name, entry in every if entry.get("value") is not None)
    ranking = {
        name: RANKS[entry["direction"]]
        for name, entry in every
        if entry.get("direction") in RANKS and entry.get("group") != EXACT and not entry.get("measured")
    }
    if not ranking or known["mse"]:
        return "mse", 1
    return max(ranking.items(), key=lambda each: known[each[0]])


def comparable(records: Sequence[Record]) -> list[Record]:
    """The records, with those values alone that can be compared with one another; a reason stands in place of others.

    Values of a metric are left out where another record has one of a later version. Wall-clock times and the like are
    left out unless every record has one, all of one kind of machine: seconds of two processors, or of runs beside other
    work and without, say nothing about two methods.
    """
    latest: dict[str, int] = {}
    machines: dict[str, list[tuple[str, ...]]] = {}
    for record in records:
        for name, entry in record.metrics.items():
            if entry["value"] is not None:
                latest[name] = max(latest.get(name, 0), version_of(entry))
                if entry.get("measured"):
                    machines.setdefault(name, []).append(machine(record, entry))
    mixed = {name for name, found in machines.items() if len(set(found)) > 1 or len(found) < len(records)}

    def kept(name: str, entry: dict[str, Any]) -> dict[str, Any]:
        if name in mixed:
            return without_value(entry, MIXED)
        earlier = entry["value"] is not None and version_of(entry) < latest[name]
        return without_value(entry, EARLIER) if earlier else entry

    return [
        replace(record, metrics={name: kept(name, entry) for name, entry in record.metrics.items()})
        for record in records
    ]


def without_value(entry: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """An entry of a record with a reason in place of its value."""
    about = {key: entry[key] for key in ABOUT if key in entry}
    return about | {"value": None, "n": None, "reason": reason}


def machine(record: Record, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Processor, its instructions and GPU that a metric was measured on."""
    about = entry.get("machine", record.environment.get("machine", {}))
    return tuple(str(about.get(part)) for part in ("processor", "cpu", "gpu"))


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
    """One value of a column and its text; `half_text` is empty without an interval, `seeds` where all have a value."""

    estimate: Estimate
    text: str
    half_text: str
    seeds: str = ""

    @property
    def mean(self) -> float:
        """The value."""
        return self.estimate.mean

    @property
    def half_width(self) -> float:
        """Half the width of its interval; 0 without one."""
        return self.estimate.half_width or 0.0

    def __str__(self) -> str:
        return (f"{self.text} ± {self.half_text}" if self.half_text else self.text) + self.seeds


def cells(groups: Mapping[str, Sequence[Record]], metric: str) -> dict[str, Cell]:
    """The mean of `metric` in each row to which it applies, all in the same format if their intervals allow.

    Where nothing ever differs (parameters, say), no interval is written.
    """
    found = {name: estimate_of(group, metric) for name, group in groups.items()}
    known = {name: each for name, each in found.items() if each is not None}
    shared = decimals([each.mean for each in known.values()])
    places = [enough(each.half_width, each.mean, place) for each, place in zip(known.values(), shared, strict=True)]
    varies = any(each.half_width for each in known.values())
    return {
        name: Cell(
            each,
            written(each.mean, place),
            written(each.half_width, place) if varies and each.half_width is not None else "",
            some(len(values(groups[name], metric)), len(groups[name])),
        )
        for (name, each), place in zip(known.items(), places, strict=True)
    }


def some(known: int, seeds: int) -> str:
    """Of how many seeds a value is known, where that is not all of them: " (2 of 3 seeds)"."""
    return f" ({known} of {seeds} seeds)" if known < seeds else ""


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


def enough(half: float | None, mean: float, places: int) -> int:
    """Decimals of a mean and of half the width of its interval, which is written as 0 only if it is."""
    if not half or half <= ROUNDING * abs(mean) or round(half, places) > 0:
        return places
    return -math.floor(math.log10(half))


def listing(numbers: Iterable[int]) -> str:
    """Distinct numbers as text: "0, 1, 2", or "0 to 9" where there are more than four in a row."""
    distinct = sorted(set(numbers))
    if len(distinct) > 4 and distinct[-1] - distinct[0] == len(distinct) - 1:
        return f"{distinct[0]} to {distinct[-1]}"
    return ", ".join(map(str, distinct))


def data_of(records: Sequence[Record]) -> str:
    """The data set of records as titles name it: "MNIST", or "MNIST without 9" where all leave out that class."""
    sources = [record.config.get("data", {}).get("source", {}) for record in records]
    title, without = title_of(records[0].data), {source.get("without") for source in sources}
    return title if len(without) > 1 or None in without else f"{title} without {without.pop()}"


def noun(records: Sequence[Record]) -> str:
    """What a sample of the records' data is called: "image", or "sample" for rows of tables and counts of words."""
    return "image" if records[0].kind == "image" else "sample"


def scope(records: Sequence[Record]) -> str:
    """Test samples, widths and seeds of `records`: "360 test images, width 16, seeds 0, 1, 2"."""
    counts = sorted({record.metrics["mse"]["n"] for record in records if values([record], "mse")})
    tested = [f"{' or '.join(f'{n:,}' for n in counts)} test {noun(records)}s"] if counts else []
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
