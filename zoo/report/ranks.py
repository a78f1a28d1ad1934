"""Mean ranks of rows over the metrics of a group, and which rows differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from zoo.report.statistics import EXACT, by_name, decimals, decoded, definitions, vary
from zoo.runs.records import Record

DRAWS = 1000  # of the mean ranks
ENDS = (0.025, 0.975)  # of intervals, as quantiles
SAME = 1 - 1e-9  # correlation of two metrics that are one in other units
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The mean ranks of K rows over the metrics of one group.

    Attributes:
        group: of the metrics.
        metrics: their names.
        rows: best first.
        mean: (K,), the mean rank over the metrics; 1 for a row that is best in all.
        draws: (B, K), the mean ranks in each draw of their distribution.
        left_out: rows to which fewer than half of the metrics apply.
        over: what the distribution is over: "seeds and test samples"; empty if nothing is known to vary, and the draws
            are all the same.
        untested: rows of which it is not known how one of the metrics varies, so that they differ from none.
    """

    group: str
    metrics: list[str]
    rows: list[str]
    mean: Array
    draws: Array
    left_out: list[str]
    over: str
    untested: frozenset[str] = frozenset()

    @property
    def interval(self) -> tuple[Array, Array]:
        """The ends of the rows' 95 % intervals, which hold their mean ranks: (K,) and (K,)."""
        low, high = np.quantile(self.draws, ENDS, axis=0)
        return np.minimum(low, self.mean), np.maximum(high, self.mean)

    def differ(self, one: str, other: str) -> bool:
        """Whether the 95 % interval of the difference of two rows' mean ranks leaves out 0; False where untested."""
        if {one, other} & self.untested:
            return False
        difference = self.draws[:, self.rows.index(one)] - self.draws[:, self.rows.index(other)]
        low, high = np.quantile(difference, ENDS)
        return bool(low > 0 or high < 0)

    def joined(self, rows: Sequence[str]) -> list[tuple[int, int]]:
        """Bars over some of the rows, best first: the places of the first and the last row of each.

        Two rows that no bar joins differ. A row between two that do not differ is joined to both.
        """
        ends = [
            max(j for j in range(i, len(rows)) if j == i or not self.differ(rows[i], rows[j])) for i in range(len(rows))
        ]
        runs = [(i, end) for i, end in enumerate(ends) if end > i]
        return [(i, end) for i, end in runs if not any(a < i and end <= b for a, b in runs)]


def rankings(records: Sequence[Record]) -> list[Ranking]:
    """A ranking for each group with at least two metrics that rank at least two rows.

    A metric counts if it has a direction, is no measurement such as seconds, and applies to at least half of the rows,
    and to all rows that remain after rows to which fewer than half of the metrics apply are left out. Two metrics that
    differ only in their unit (squared error per sample and per value) count once. Rows with the same text in the table
    share a rank.

    The usual critical-difference diagram (J. Demšar, "Statistical comparisons of classifiers over multiple data sets",
    2006: Friedman's and Nemenyi's tests) is not used: it needs independent blocks, such as many data sets, and here
    there is one. Metrics of a group are correlated and not drawn at random, the number of resamples is arbitrary, and
    three seeds are too few. Metrics are therefore fixed, and the values are redrawn: for each row, the mean of its
    seeds under Student's distribution with n - 1 degrees of freedom, all metrics together; and, where all rows hold
    resamples of a metric, the test samples, all rows of one test set and all metrics together, as a Gaussian of the
    resamples' covariance. Of a row with one seed, or equal ones, and a metric without resamples, it is not known how it
    varies: it is untested, unless the group is of costs, which are exact. Each draw is ranked, and its ranks are
    averaged over the metrics. Intervals are for each pair, without a correction for the number of pairs, as in the
    tables. Ranks of draws vary more than ranks of estimates, so fewer than 5 % of the pairs that do not differ are
    found to differ.
    """
    rows = by_name(records)
    groups: dict[str, dict[str, str]] = {}
    for metric, about in definitions(records).items():
        if about["direction"] != "none" and not about.get("measured"):
            groups.setdefault(about["group"], {})[metric] = about["direction"]
    found = (ranking(group, rows, directions) for group, directions in groups.items())
    return [each for each in found if each is not None]


def ranking(group: str, every: Mapping[str, Sequence[Record]], directions: Mapping[str, str]) -> Ranking | None:
    """The ranking of a group from its metrics' directions; None where they rank nothing."""

    def applies(row: str, metric: str) -> bool:
        return all(record.metrics.get(metric, {}).get("value") is not None for record in every[row])

    common = [m for m in directions if 2 * sum(applies(row, m) for row in every) >= len(every)]
    rows = [row for row in every if common and 2 * sum(applies(row, m) for m in common) >= len(common)]
    metrics = [m for m in common if all(applies(row, m) for row in rows)]
    if len(rows) < 2 or not metrics:
        return None
    signs = {m: 1.0 if directions[m] == "lower" else -1.0 for m in metrics}
    seeds = [np.array([[signs[m] * r.metrics[m]["value"] for m in metrics] for r in every[row]]) for row in rows]
    kept = distinct(np.concatenate(seeds))
    if len(kept) < 2:
        return None
    metrics, seeds = [metrics[k] for k in kept], [each[:, kept] for each in seeds]
    means = np.array([each.mean(0) for each in seeds])
    resampled = [[resamples(every[row], m, signs[m]) for m in metrics] for row in rows]
    units = np.array([[10.0**-place for place in decimals(column)] for column in means.T]).T
    mean = ranks(means[None], units)[0]
    order = np.argsort(mean, kind="stable")
    tested = [[every[row][0].metrics[m]["n"] for m in metrics] for row in rows]
    draws = ranks(means + deviations(seeds, resampled, tested), units)
    seeded, sampled = [vary(each) for each in seeds], np.array(complete(resampled))
    parts = ["seeds"] * any(each.any() for each in seeded) + ["test samples"] * bool(sampled.any())
    untested = [row for row, each in zip(rows, seeded, strict=True) if group != EXACT and not (each | sampled).all()]
    names, left_out = [rows[k] for k in order], [row for row in every if row not in rows]
    over = " and ".join(parts)
    return Ranking(group, metrics, names, mean[order], draws[:, order], left_out, over, frozenset(untested))


def distinct(values: Array) -> list[int]:
    """Columns of (N, P) values, lower is better, that vary and are not an earlier one in other units."""
    centred = values - values.mean(0)
    scale = np.linalg.norm(centred, axis=0)
    same = centred.T @ centred > SAME * np.outer(scale, scale)
    if len(values) < 3:  # any two values are those of any others in other units
        same[:] = False
    return [k for k in range(len(same)) if scale[k] > 0 and not same[k, :k].any()]


def resamples(records: Sequence[Record], metric: str, sign: float) -> Array | None:
    """The resampled values of a metric, mean over seeds: (100,); None where a record lacks them."""
    entries = [record.metrics[metric] for record in records]
    if not all("resampled" in entry for entry in entries):
        return None
    return sign * np.asarray(np.mean([decoded(entry["resampled"]) for entry in entries], 0))


def complete(resampled: Sequence[Sequence[Array | None]]) -> list[bool]:
    """For each metric, whether all rows hold its resamples."""
    return [all(each is not None for each in column) for column in zip(*resampled, strict=True)]


def deviations(
    seeds: Sequence[Array], resampled: Sequence[Sequence[Array | None]], tested: Sequence[Sequence[int]]
) -> Array:
    """Deviations of the values of K rows and P metrics from their means in each draw: (DRAWS, K, P).

    Args:
        seeds: for each row, the values of its n seeds: (n, P).
        resampled: for each row and metric, the values for resamples of the test samples.
        tested: for each row and metric, the number of test samples: rows with the same have the same resamples.
    """
    rng = np.random.default_rng(0)
    found = np.zeros((DRAWS, len(seeds), seeds[0].shape[1]))
    for k, each in enumerate(seeds):
        if (n := len(each)) > 1:
            normal = rng.standard_normal((DRAWS, n)) @ (each - each.mean(0)) / np.sqrt(n * (n - 1))
            found[:, k] = normal / np.sqrt(rng.chisquare(n - 1, (DRAWS, 1)) / (n - 1))
    for p, known in enumerate(complete(resampled)):
        if known:
            column, numbers = np.array([row[p] for row in resampled]), np.array([row[p] for row in tested])
            moved = (column - column.mean(1, keepdims=True)) / np.sqrt(column.shape[1] - 1)
            for k, number in enumerate(dict.fromkeys(numbers.tolist()), 1):
                # the same draws for every metric, so that they vary together
                drawn, same = np.random.default_rng(k).standard_normal((DRAWS, column.shape[1])), numbers == number
                found[:, same, p] += drawn @ moved[same].T
    return found


def ranks(values: Array, units: Array) -> Array:
    """Mean ranks over the last axis of values (B, K, P), lower is better, in steps of `units` (K, P): (B, K)."""
    return np.asarray(rankdata(np.rint(values / units) * units, axis=1).mean(2))
