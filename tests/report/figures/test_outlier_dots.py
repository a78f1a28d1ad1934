"""The figure of outlier detection."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from zoo.report.figures.dots import OF_REFERENCES
from zoo.report.figures.outlier_dots import MARKS, SETS, outlier_detection
from zoo.runs.records import read_records

ABOUT = {"unit": "1", "direction": "higher", "group": "outliers"}
OTHER, _, CORRUPTED = SETS
ROWS = {"pca", "deep_ae", "vae", "topk"}


def with_areas(record, metric, areas, kinds=()):
    """A record with the AUROC of some scores for a set of outliers, and of each kind as much."""
    found = list(areas.values())
    curve = {"score": list(areas), "AUROC": found, "average precision": found} | dict.fromkeys(kinds, found)
    entry = ABOUT | {"value": found[0], "curve": curve, "settings": {"outside": ["fashion_mnist"]}}
    return replace(record, metrics=record.metrics | {metric: entry})


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
        found.append(with_areas(with_areas(record, OTHER, areas), CORRUPTED, areas, ["stains", "noise"]))
    return found


def title(drawn):
    return drawn.axes[0].texts[0].get_text()


def dots(panel, mark):
    return [tuple(line.get_xydata()[0]) for line in panel.lines if line.get_marker() == mark]


def test_each_score_is_a_dot_at_the_mean_over_seeds(records):
    drawn = outlier_detection(records)
    panels = drawn.axes[1:]
    titles = [panel.get_title(loc="left") for panel in panels]
    assert titles == ["Fashion-MNIST", SETS[CORRUPTED], "stains", "noise"]
    *rows, pixels = [label.get_text() for label in panels[0].get_yticklabels()]
    assert sorted(rows) == sorted(ROWS)
    assert pixels == "nearest neighbours"
    for panel in panels:
        assert np.allclose(dots(panel, MARKS["reconstruction error"]), [(0.8, place) for place in range(4)])
        assert np.allclose(dots(panel, MARKS["code density"]), [(0.6, rows.index("pca"))])
        assert np.allclose(dots(panel, OF_REFERENCES), [(0.99, 4)])
        assert dots(panel, MARKS["likelihood bound"]) == []


def test_a_class_that_all_records_lack_is_named(records):
    def without(record, label):
        source = record.config["data"]["source"] | {"without": label}
        return replace(record, config=record.config | {"data": record.config["data"] | {"source": source}})

    named = [[without(record, 0) for record in records], [without(records[0], 0), *records[1:]]]
    found = [title(outlier_detection(each)) for each in named]
    assert found == ["Outlier detection on digits without 0", "Outlier detection on digits"]


def test_it_is_readable(records):
    """Every dot lies within its panel, and no panel on another; all count from the same number."""
    drawn = outlier_detection(records)
    boxes = [panel.get_position() for panel in drawn.axes[1:]]
    assert all(not a.overlaps(b) for a, b in combinations(boxes, 2))
    assert len({panel.get_xlim() for panel in drawn.axes[1:]}) == 1
    for panel in drawn.axes[1:]:
        low, high = panel.get_xlim()
        assert np.all([low <= x <= high for x, _ in dots(panel, "o")])


def test_nothing_is_drawn_of_what_was_not_measured(plain):
    assert outlier_detection(plain) is None
