"""The figure of outlier detection."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from zoo.report.figures.outlier_dots import MARKS, SETS, outlier_detection
from zoo.runs.records import read_records

ABOUT = {"unit": "1", "direction": "higher", "group": "outliers"}
OTHER, LEFT_OUT, CORRUPTED = SETS
ROWS = {"pca", "deep_ae", "vae", "topk"}


def with_areas(record, metric, areas, reference=None):
    """A record with the AUROC of some scores for a set of outliers, and that of the best detector on pixels."""
    value, curve = next(iter(areas.values())), {"score": list(areas), "AUROC": list(areas.values())}
    metrics = {metric: ABOUT | {"value": value, "curve": curve}}
    if reference is not None:
        metrics[f"{metric}_of_pixels"] = ABOUT | {"value": reference, "direction": "none"}
    return replace(record, metrics=record.metrics | metrics)


@pytest.fixture(scope="module")
def plain(repository):
    """Committed records of four variants by the default recipe, three seeds each."""
    digits = [r for r in read_records(repository / "results", "digits") if r.width == 8 and r.name in ROWS]
    found = [r for r in digits if r.fit["epochs"] <= 30]
    assert len(found) == 12
    return [replace(r, metrics={name: m for name, m in r.metrics.items() if m["group"] != "outliers"}) for r in found]


@pytest.fixture(scope="module")
def records(plain):
    """The error finds more with each seed; the density is that of one variant alone."""
    found = []
    for record in plain:
        areas = {"reconstruction error": 0.7 + record.seed / 10, "nearest neighbours": 0.99}
        if record.name == "pca":
            areas["code density"] = 0.6
        found.append(with_areas(with_areas(record, OTHER, areas, 0.97), CORRUPTED, areas))
    return found


def dots(panel, mark):
    return [tuple(line.get_xydata()[0]) for line in panel.lines if line.get_marker() == mark]


def test_each_score_is_a_dot_at_the_mean_over_seeds(records):
    drawn = outlier_detection(records)
    panels = drawn.axes[1:]
    assert [panel.get_title(loc="left") for panel in panels] == [SETS[OTHER], SETS[CORRUPTED]]
    rows = [label.get_text() for label in panels[0].get_yticklabels()]
    assert sorted(rows) == sorted(ROWS)
    for panel in panels:
        assert np.allclose(dots(panel, MARKS["reconstruction error"]), [(0.8, place) for place in range(4)])
        assert np.allclose(dots(panel, MARKS["code density"]), [(0.6, rows.index("pca"))])
        assert dots(panel, MARKS["likelihood bound"]) == []
    dashed = [[line.get_xdata()[0] for line in panel.lines if line.get_linestyle() == "--"] for panel in panels]
    assert dashed == [[pytest.approx(0.97)], []]


def test_it_is_readable(records):
    """Every dot lies within its panel, and no panel on another."""
    drawn = outlier_detection(records)
    boxes = [panel.get_position() for panel in drawn.axes[1:]]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    for panel in drawn.axes[1:]:
        low, high = panel.get_xlim()
        assert np.all([low <= x <= high for x, _ in dots(panel, "o")])


def test_nothing_is_drawn_of_what_was_not_measured(plain):
    assert outlier_detection(plain) is None
