import base64
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from tests.report.digits_records import VARIANTS, digits_record, sweep_records, table_records
from zoo.errors import ZooError
from zoo.report.statistics import (
    by_name,
    cells,
    decimals,
    enough,
    estimate,
    estimate_of,
    half_width,
    leading,
    listing,
    models,
    scope,
    written,
)

FINITE = st.floats(-1e3, 1e3)


def spread(values: list[float]) -> bool:
    """Whether values differ by more than rounding."""
    return np.std(values) > 1e-6 * max(1.0, *map(abs, values))


@settings(deadline=None)
@given(st.lists(FINITE, min_size=2, max_size=9).filter(spread))
def test_estimate_agrees_with_the_t_test(values: list[float]) -> None:
    found = estimate(values)
    low, high = ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert found is not None
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high), rel=1e-6)


def test_estimate_by_hand() -> None:
    found = estimate([1.0, 2.0, 3.0])
    assert found is not None
    assert (found.mean, found.half_width) == (2.0, pytest.approx(4.302652729911275 / math.sqrt(3)))


def test_estimate_of_one_seed_or_of_equal_seeds_has_no_interval() -> None:
    assert estimate([]) is None
    assert estimate([0.1]).half_width is None
    assert estimate([0.1, 0.1, 0.1]).half_width is None, "a closed form: test samples vary, but how is not known"
    assert estimate([0.1, 0.1, 0.1]).mean == 0.1


def test_rounding_is_no_variation_over_seeds() -> None:
    assert estimate([0.1, 0.1, 0.1 + 2e-17]).half_width is None
    assert estimate([0.1, 0.1, 0.1001]).half_width > 0


def test_an_error_of_zero_is_compared_by_its_ratio_too() -> None:
    none, bad = estimate([0.0, 0.0, 1e-9], errors=True), estimate([0.9, 3.2, 1.8], errors=True)
    assert bad.mean - bad.half_width < 0
    assert bad.differs(none)
    assert not estimate([0.0, 0.0], errors=True).differs(estimate([0.0, 0.0], errors=True))


def test_errors_are_compared_by_their_ratio() -> None:
    """Errors of 0.9, 3.2 and 1.8 are not as good as 0.04, although the 95 % interval of their mean reaches below 0."""
    bad, good = estimate([0.9, 3.2, 1.8], errors=True), estimate([0.041, 0.042, 0.043], errors=True)
    assert bad.mean - bad.half_width < 0
    assert bad.differs(good)
    assert good.differs(bad)
    assert not estimate([0.9, 3.2, 1.8]).differs(estimate([0.041, 0.042, 0.043])), "other metrics, by their difference"
    assert not estimate([1.0, 1.2], errors=True).differs(estimate([1.1, 1.3], errors=True))


def resampled(x: np.ndarray) -> np.ndarray:
    """The means of 100 resamples of x, the same for every x."""
    rng = np.random.default_rng(0)
    return np.array([x[rng.integers(0, len(x), len(x))].mean() for _ in range(100)])


def test_one_seed_has_the_interval_of_its_test_samples() -> None:
    x = np.random.default_rng(1).normal(size=400)
    found = estimate([x.mean()], [resampled(x)])
    assert found is not None
    assert found.half_width == pytest.approx(1.98 * x.std() / 20, rel=0.2)
    assert estimate([x.mean()]).half_width is None


def test_variances_of_seeds_and_samples_add_up() -> None:
    sampled = np.linspace(0, 1, 100)
    both = estimate([1.0, 2.0, 3.0], [sampled + k for k in range(3)])
    assert both.half_width == half_width([(1 / 3, 2), (sampled.var(ddof=1), 99)])
    assert half_width([(4.0, 7)]) == pytest.approx(2 * student.ppf(0.975, 7))
    assert half_width([(4.0, 10), (4.0, 10)]) == pytest.approx(math.sqrt(8) * student.ppf(0.975, 20))
    assert half_width([None, None]) is None
    assert half_width([(0.0, 2), None]) == 0.0


def test_rows_are_compared_in_pairs() -> None:
    """Two rows whose errors differ a little on every sample, and a lot from sample to sample."""
    x = np.random.default_rng(1).exponential(size=400)
    one, other = (estimate([y.mean()], [resampled(y)]) for y in (x, 1.01 * x))
    stranger = np.random.default_rng(2).exponential(size=400)
    assert abs(one.mean - other.mean) < one.half_width
    assert one.differs(other)
    assert other.differs(one)
    assert not one.differs(estimate([stranger.mean()], [resampled(stranger)]))
    assert not one.differs(one)


def test_rows_of_different_test_samples_are_not_compared_in_pairs() -> None:
    """A data set with a class left out has other test samples, whose resamples are other ones."""
    x = np.random.default_rng(1).exponential(size=400)
    one, other = (
        estimate([y.mean()], [resampled(y)], errors=errors, tested=tested)
        for y, tested, errors in ((x, 400, True), (1.01 * x, 360, True))
    )
    assert not one.differs(other)
    assert one.differs(estimate([1.01 * x.mean()], [resampled(1.01 * x)], errors=True, tested=400))
    apart = estimate([2 * x.mean()], [resampled(2 * x)], errors=True, tested=360)
    assert one.differs(apart)


def test_seeds_that_spread_keep_rows_together() -> None:
    one, other = estimate([1.0, 2.0, 3.0]), estimate([2.0, 3.0, 4.0])
    assert not one.differs(other)
    assert one.differs(estimate([101.0, 102.0, 103.0]))


def test_a_record_keeps_resamples() -> None:
    record = digits_record("pca", 8, 0)
    means = np.arange(100, dtype=np.float32) / 7
    text = base64.b64encode(means.tobytes()).decode()
    kept = replace(record, metrics={"mse": record.metrics["mse"] | {"resampled": text}})
    np.testing.assert_array_equal(estimate_of([kept], "mse").resampled, means.astype(np.float64))
    assert estimate_of([replace(kept, metrics={})], "mse") is None


def test_rows_come_in_order_of_mean_error() -> None:
    groups = by_name(table_records()[::-1])
    assert set(groups) == set(VARIANTS)
    errors = [np.mean([record.metrics["mse"]["value"] for record in group]) for group in groups.values()]
    assert errors == sorted(errors)
    assert all([record.seed for record in group] == [0, 1, 2] for group in groups.values())


def test_a_row_without_error_comes_last() -> None:
    record = digits_record("pca", 8, 0)
    without = replace(record, name="unknown", metrics={"mse": record.metrics["mse"] | {"value": None}})
    assert list(by_name([without, *table_records()]))[-1] == "unknown"


def test_rows_without_mse_are_in_order_of_the_first_metric_that_most_have():
    assert leading(table_records()) == ("mse", 1)
    scores = {
        "bits": {"value": 1.0, "direction": "none"},
        "perplexity": {"value": None, "direction": "lower"},
        "precision": {"value": 0.5, "direction": "higher"},
        "parameters": {"value": 7, "direction": "lower", "group": "cost"},
        "seconds": {"value": 7, "direction": "lower", "measured": True},
    }
    records = [
        replace(one, name=str(k), metrics={n: e | {"value": e["value"] and e["value"] + k} for n, e in scores.items()})
        for k, one in enumerate(table_records()[:3])
    ]
    records[0] = replace(records[0], metrics=scores | {"perplexity": {"value": 9.0, "direction": "lower"}})
    assert leading(records) == ("precision", -1)
    assert list(by_name(records)) == ["2", "1", "0"]
    failed = replace(records[1], metrics=records[1].metrics | {"precision": scores["precision"] | {"value": None}})
    assert leading([records[0], failed, records[2]]) == ("precision", -1), "costs, which all have, say little"
    assert leading([replace(one, metrics={}) for one in records]) == ("mse", 1)


def test_one_name_with_two_configurations_is_refused() -> None:
    mixed = [digits_record("pca", 8, 0), digits_record("pca", 16, 0)]
    with pytest.raises(ZooError, match=f"'pca' have 2 configurations.*{mixed[0].hash}|{mixed[1].hash}"):
        by_name(mixed)


def test_one_run_twice_is_refused() -> None:
    with pytest.raises(ZooError, match=r"'pca' hold the seeds \[0\] more than once"):
        by_name([digits_record("pca", 8, 0)] * 2)


@pytest.mark.parametrize(
    ("means", "texts"),
    [
        ([0.00284, 0.0123456], ["0.00284", "0.01235"]),
        ([13.8661, 2.8], ["13.87", "2.80"]),
        ([584.0, 1387580.0], ["584", "1,387,580"]),
        ([0.00187, 230.44], ["0.00187", "230"]),
        ([15679111.4, 129669.2], ["15,700,000", "130,000"]),
        ([-1.5, 0.0], ["-1.50", "0.00"]),
        ([1.234e-13, 0.5], ["1.23e-13", "0.500"]),
    ],
)
def test_values_of_a_column_are_written_alike(means: list[float], texts: list[str]) -> None:
    assert [written(mean, places) for mean, places in zip(means, decimals(means), strict=True)] == texts


@pytest.mark.parametrize(
    ("mean", "half", "places", "texts"),
    [
        (17.93, 0.036, 1, ("17.93", "0.04")),
        (7.97, 0.25, 0, ("8.0", "0.2")),
        (3462.4, 1.3, -1, ("3,462", "1")),
        (17.93, 0.36, 1, ("17.9", "0.4")),
        (4.0, 0.0, 2, ("4.00", "0.00")),
        (0.00781, 1e-18, 5, ("0.00781", "0.00000")),
    ],
)
def test_an_interval_is_written_as_zero_only_if_it_is(mean, half, places, texts) -> None:
    found = enough(half, mean, places)
    assert (written(mean, found), written(half, found)) == texts


def test_no_interval_is_written_where_seeds_never_differ() -> None:
    groups = by_name(table_records())
    assert all(cell.half_text == "" for cell in cells(groups, "parameters").values())
    assert all(" ± " in str(cell) for cell in cells(groups, "mse").values())


@pytest.mark.parametrize(
    ("numbers", "text"), [([2, 0, 1, 1], "0, 1, 2"), (range(10), "0 to 9"), ([1, 2, 4, 8, 16], "1, 2, 4, 8, 16")]
)
def test_listing(numbers: list[int], text: str) -> None:
    assert listing(numbers) == text


def test_scope_says_what_the_numbers_rest_on() -> None:
    assert scope(table_records()) == f"{len(load())} test images, width 8, seeds 0, 1, 2"
    rows = [replace(record, kind="vector") for record in table_records()]
    assert scope(rows) == f"{len(load())} test samples, width 8, seeds 0, 1, 2"
    assert models([digits_record("pca", 8, 0)]) == "width 8, seed 0"
    assert models([*table_records(), *sweep_records()]) == "width 2, 8, 16, 2 to 3 seeds each"


def load() -> list[int]:
    return digits_record("pca", 8, 0).metrics["mse"]["n"] * [0]
