"""Sets of one test sample, of classes that training lacks, and of thousands of classes, from a file to its record."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.runs.conftest import command, home, zoo  # noqa: F401
from zoo.runs.records import read_record

R = np.random.default_rng(0)
IMAGES = R.random((41, 8, 8)).astype(np.float32)
FULL = "[reconstruction,robustness,probing,label_efficiency,clustering,code,gaps,generation,likelihood,rate]"


@pytest.fixture
def measured(command, tmp_path):  # noqa: F811
    """Arrays, as a file of your own, by PCA -> the metrics of the record."""

    def run(groups, **arrays):
        np.savez(tmp_path / "x.npz", **arrays)
        data = "table" if arrays["X"].ndim == 2 else "array"
        outcome = command(
            *("variant=pca", "width=2", f"data={data}", "data.source.path=x.npz", "trainer.progress=false"),
            f"evaluation.groups={groups}",
        )
        assert outcome.status == 0, outcome.said
        (path,) = tmp_path.rglob("*-s0.json")
        return read_record(path).metrics

    return run


def assert_numbers_or_reasons(metrics):
    json.dumps(metrics, allow_nan=False)
    for name, entry in metrics.items():
        assert not entry.get("failed"), f"{name}: {entry['reason']}"
        if entry["value"] is None:
            assert entry["reason"], name
        else:
            assert math.isfinite(entry["value"]), name


def test_one_test_image(measured):
    metrics = measured(FULL, X=IMAGES[:40], y=np.arange(40) % 2, test=IMAGES[40:], test_labels=[1])
    assert_numbers_or_reasons(metrics)
    assert metrics["sse"]["n"] == 1
    assert metrics["sse"]["value"] > 0
    assert metrics["linear_probe_accuracy"]["value"] in (0, 1)


def test_one_test_row(measured):
    rows = R.normal(size=(41, 5))
    metrics = measured(FULL, X=rows[:40], y=np.arange(40) % 2, test=rows[40:], test_labels=[1])
    assert_numbers_or_reasons(metrics)
    assert metrics["sse"]["n"] == 1


def test_one_class_to_learn_from_and_two_to_test_on(measured):
    metrics = measured(FULL, X=IMAGES[:30], y=["a"] * 30, test=IMAGES[30:], test_labels=["a", "b"] * 5 + ["b"])
    assert_numbers_or_reasons(metrics)
    assert list(metrics["sse"]["per_class"]) == ["a", "b"]


def test_one_class_in_all(measured):
    metrics = measured(FULL, X=IMAGES[:30], y=["a"] * 30, test=IMAGES[30:], test_labels=["a"] * 11)
    assert_numbers_or_reasons(metrics)


def test_ten_thousand_classes(measured):
    """Two rows each. What would compare as many classes with one another says that they are too many."""
    rows, labels = R.normal(size=(20_000, 2)), np.arange(20_000) % 10_000
    metrics = measured("[reconstruction,probing,clustering]", X=rows, y=labels)
    assert_numbers_or_reasons(metrics)
    assert metrics["mse"]["n"] == 4_000
    for name in ("linear_probe_accuracy", "knn_accuracy", "kmeans_nmi"):
        assert "10,000 classes" in metrics[name]["reason"]
