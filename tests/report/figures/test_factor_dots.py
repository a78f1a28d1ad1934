"""The figure of disentanglement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.report.digits_records import table_records
from zoo.report.figures.factor_dots import MARKERS, MEAN, disentanglement

ABOUT = {"unit": "1", "direction": "higher", "group": "disentanglement"}


def with_factors(record):
    """A record with a metric for each of two factors, which grows with the seed, and one for all factors alone."""
    first = 0.2 + record.seed / 10
    all_factors = [(first + 0.6) / 2, 0.05]
    table = {"codes": ["measured", "shuffled"], "all": all_factors, "x": [first, 0.1], "angle": [0.6, 0.0]}
    together = {"codes": ["measured", "shuffled"], "all": [0.3, 0.01]}
    metrics = {
        "mig": ABOUT | {"value": all_factors[0], "curve": table},
        "dci_disentanglement": ABOUT | {"value": 0.3, "curve": together},
    }
    return replace(record, metrics=record.metrics | metrics)


def test_each_factor_is_a_dot_at_the_mean_over_seeds():
    records = [with_factors(record) for record in table_records()]
    drawn = disentanglement(records)
    gap, together = drawn.axes[1:]
    rows = len({record.name for record in records})
    seeds = {record.seed for record in records}
    first = 0.2 + sum(seeds) / len(seeds) / 10
    expected = {"o": (first + 0.6) / 2, MARKERS[0]: first, MARKERS[1]: 0.6}
    for mark, value in expected.items():
        found = [line.get_xydata()[0] for line in gap.lines if line.get_marker() == mark]
        assert np.allclose(found, [(value, place) for place in range(rows)])
    chance = [line.get_xdata()[0] for line in gap.lines if list(line.get_ydata()) == [0, 1]]
    assert np.allclose(chance, [0.05])
    assert [line.get_xydata()[0][0] for line in together.lines if line.get_marker() == "o"] == [0.3] * rows
    key = [text.get_text() for text in drawn.axes[0].texts[2:]]
    assert key == [MEAN, "x", "angle"]


def test_nothing_is_drawn_of_data_whose_factors_are_not_known():
    assert disentanglement(table_records()) is None
