"""Mean ranks, and which rows they tell apart: against values worked out by hand, and over many simulated studies."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.report.digits_records import VARIANTS, table_records
from zoo.report.ranks import Ranking, distinct, rankings
from zoo.runs.records import Record

ABOUT = {"group": "some", "unit": "1", "direction": "lower", "definition": "x", "version": 1, "n": 400}


def record(name: str, values: Mapping[str, float | None], seed: int = 0, **about: str | bool) -> Record:
    metrics = {metric: ABOUT | {"value": value} | about for metric, value in values.items()}
    return Record(name, name, "digits", 8, seed, name, {}, "0", {"seconds": 1.0}, metrics)


def row(name: str, a: Sequence[float], b: Sequence[float]) -> list[Record]:
    """A row of two metrics, of which lower is better, and as many seeds as values."""
    return [record(name, {"a": x, "b": y}, seed) for seed, (x, y) in enumerate(zip(a, b, strict=True))]


def only(records: Sequence[Record]) -> Ranking:
    (found,) = rankings(records)
    return found


def test_mean_ranks_by_hand() -> None:
    found = only([*row("x", [1], [3.2]), *row("y", [2], [1.1]), *row("z", [3], [2.5])])
    assert dict(zip(found.rows, found.mean, strict=True)) == {"x": 2.0, "y": 1.5, "z": 2.5}
    assert found.rows == ["y", "x", "z"]
    assert found.over == "", "with one seed and no resamples, nothing is known to vary"
    higher = only([record(n, {"a": a, "b": b}, direction="higher") for n, a, b in (("x", 1, 2.5), ("y", 2, 3.1))])
    assert higher.rows == ["y", "x"]


def test_rows_that_a_table_writes_alike_share_a_rank() -> None:
    found = only([*row("x", [1.5], [2.00001]), *row("y", [2.5], [2.00002]), *row("z", [3.5], [9.0])])
    assert list(found.mean) == [1.25, 1.75, 3.0]


def test_rows_of_different_orders_of_magnitude_are_ranked_by_their_values() -> None:
    """Where a column spans more than a factor of 100, each row is written with decimals of its own."""
    found = only([*row("x", [4.07e-13], [1.0]), *row("y", [0.0108], [2.5]), *row("z", [0.111], [9.0])])
    assert dict(zip(found.rows, found.mean, strict=True)) == {"x": 1.0, "y": 2.0, "z": 3.0}


def test_only_what_has_a_direction_and_is_no_measurement_counts() -> None:
    pair = [record("x", {"a": 1, "b": 2}), record("y", {"a": 2, "b": 5})]
    for about in ({"direction": "none"}, {"measured": True}):
        more = [replace(r, metrics=r.metrics | {"c": ABOUT | {"value": -len(r.name)} | about}) for r in pair]
        assert only(more).metrics == ["a", "b"]
    single = [replace(r, metrics={"a": r.metrics["a"]}) for r in pair]
    assert rankings(single) == []


def test_rows_that_lack_half_of_the_metrics_are_left_out_and_metrics_of_few_rows_too() -> None:
    def values(**found: float | None) -> dict[str, float | None]:
        return {"a": None, "b": None, "c": None, "rare": None} | found

    rows = [record(name, values(a=k, b=k**2, c=-k)) for k, name in enumerate(("p", "q", "r"), 1)]
    few = record("few", values(a=0, rare=1))
    found = only([*rows, few])
    assert (found.metrics, found.left_out) == (["a", "b", "c"], ["few"])
    assert sorted(found.rows) == ["p", "q", "r"]
    most = record("most", values(a=9, b=9))
    assert only([*rows, most]).metrics == ["a", "b"], "metrics apply to all rows that are compared"


def test_a_metric_in_other_units_counts_once() -> None:
    values = np.random.default_rng(0).normal(size=(6, 2))
    same = np.column_stack([values, 784 * values[:, 0] + 3, -values[:, 0], np.full(6, 0.5)])
    assert distinct(same) == [0, 1, 3]
    (ranked,) = (each for each in rankings(table_records()) if each.group == "reconstruction")
    assert ranked.metrics == ["sse", "psnr", "ssim"], "mse is sse over 64"
    assert set(ranked.rows) == set(VARIANTS)


def kept(error: np.ndarray) -> dict[str, str | float]:
    """An entry with resamples, the same for every row."""
    draws = np.random.default_rng(1).integers(0, len(error), (100, len(error)))
    resampled = error[draws].mean(1).astype(np.float32)
    return ABOUT | {"value": float(error.mean()), "resampled": base64.b64encode(resampled.tobytes()).decode()}


def test_rows_are_told_apart_in_pairs_over_test_samples() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.exponential(size=(2, 400))
    errors = {"best": (a, b), "near": (a + rng.normal(0.01, 0.3, 400), b + rng.normal(0.01, 0.3, 400))}
    errors["worse"] = a + 0.02, b + 0.02  # a little on each sample, which resampling does not change
    found = only([replace(record(n, {}), metrics={"a": kept(x), "b": kept(y)}) for n, (x, y) in errors.items()])
    assert found.over == "test samples"
    assert found.differ("best", "worse")
    assert not found.differ("best", "near")


def test_rows_of_different_test_samples_are_not_told_apart_in_pairs() -> None:
    """A row with other test samples, such as of data with a class left out, varies independently."""
    a, b = np.random.default_rng(0).exponential(size=(2, 400))
    errors = {"best": (a, b, 400), "worse": (a + 0.02, b + 0.02, 400), "elsewhere": (a + 0.02, b + 0.03, 360)}
    rows = [
        replace(record(name, {}), metrics={"a": kept(x) | {"n": n}, "b": kept(y) | {"n": n}})
        for name, (x, y, n) in errors.items()
    ]
    found = only(rows)
    assert found.differ("best", "worse")
    assert not found.differ("best", "elsewhere")


def test_rows_of_which_it_is_not_known_how_they_vary_are_told_apart_from_none() -> None:
    closed = [1.0, 1.0 + 1e-9, 1.0]  # rounding is no variation
    found = only([*row("x", closed, closed), *row("y", [1.2], [1.3]), *row("z", [5, 5.1, 5.3], [5, 6, 7.2])])
    assert found.untested == {"x", "y"}
    assert not found.differ("x", "y")
    assert found.over == "seeds"
    costs = [("x", 1.0, 7.0), ("y", 2.0, 5.0), ("z", 3.0, 9.0)]
    exact = only([record(name, {"a": a, "b": b}, group="cost") for name, a, b in costs])
    assert not exact.untested
    assert list(exact.mean) == [1.5, 1.5, 3.0]
    assert exact.joined(exact.rows) == [(0, 1)], "a tie; the third row differs, as costs are exact"


def test_seeds_that_spread_keep_rows_together() -> None:
    near = [*row("x", [1, 2, 3], [1, 2, 3.1]), *row("y", [2, 3, 4], [2.1, 3, 4])]
    far = row("z", [101, 102, 103], [101, 102, 103.3])
    found = only([*near, *far])
    assert found.over == "seeds"
    assert not found.differ("x", "y")
    assert found.differ("x", "z")
    assert found.joined(found.rows) == [(0, 1)]
    low, high = found.interval
    assert (low <= found.mean).all()
    assert (found.mean <= high).all()


def test_bars_join_what_cannot_be_told_apart_and_rows_between() -> None:
    draws = np.column_stack([np.linspace(a, b, 101) for a, b in ((1, 3), (3, 3.2), (2.9, 3.4), (9, 9))])
    draws[:, 0] = np.random.default_rng(0).permutation(np.linspace(1, 6, 101))
    found = Ranking("some", ["a"], ["p", "q", "r", "s"], draws.mean(0), draws, [], "seeds")
    assert not found.differ("p", "r")
    assert found.joined(["p", "q", "r", "s"]) == [(0, 2)]
    assert found.joined(["q", "s"]) == []
    assert found.joined(["s"]) == []


@pytest.mark.parametrize(("gap", "least", "most"), [(0.0, 0.0, 0.05), (8.0, 0.9, 1.0)])
def test_how_often_neighbours_are_told_apart(gap: float, least: float, most: float) -> None:
    """In studies of three seeds and three correlated metrics, at a gap in standard deviations over seeds."""
    rng = np.random.default_rng(0)
    told = []
    for _ in range(40):
        common = rng.normal(size=(4, 3, 1))
        values = 5 + 0.7 * common + 0.7 * rng.normal(size=(4, 3, 3)) + gap * np.arange(4)[:, None, None]
        records = [
            record(str(k), dict(zip("abc", values[k, seed], strict=True)), seed) for k in range(4) for seed in range(3)
        ]
        found = only(records)
        told += [found.differ(str(k), str(k + 1)) for k in range(3)]
    assert least <= np.mean(told) <= most
