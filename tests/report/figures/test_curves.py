import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.report.digits_records import VARIANTS, digits_record, sweep_records, table_records
from zoo.report.figures.curves import (
    apart,
    error_against_cost,
    error_against_width,
    explained_variance_against_l0,
    pareto,
    training_curves,
)
from zoo.runs.identity import digest
from zoo.runs.records import Record


def texts(figure: Figure) -> dict[str, Text]:
    return {text.get_text(): text for ax in figure.axes for text in ax.texts if text.get_text()}


def named(panel: Axes) -> dict[tuple[float, ...], list[float]]:
    return {tuple(line.get_ydata()): list(line.get_xdata()) for line in panel.lines}


def many(records: Sequence[Record], copies: int) -> list[Record]:
    """Real runs under more names, to try the room for labels."""
    return [
        replace(record, name=f"{record.name} corruption.std=0.{k}", hash=digest({"of": record.hash, "copy": k}))
        for record in records
        for k in range(copies)
    ]


def test_error_against_width_draws_the_mean_over_seeds_at_every_width() -> None:
    records = [*table_records(), *sweep_records()]
    figure = error_against_width(records)
    assert figure is not None
    _, panel = figure.axes
    lines = named(panel)
    for name in VARIANTS:
        means = tuple(
            np.mean([r.metrics["mse"]["value"] for r in records if r.name == name and r.width == width])
            for width in (2, 8, 16)
        )
        drawn = [y for y in lines if y == pytest.approx(means)]
        assert len(drawn) == 1
        assert lines[drawn[0]] == [2, 8, 16]
        assert name in texts(figure)
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")


def test_error_against_width_needs_two_widths() -> None:
    assert error_against_width(table_records()) is None


@pytest.mark.parametrize("draw", [error_against_width, error_against_cost])
def test_labels_of_many_variants_neither_overlap_nor_leave_the_figure(draw) -> None:
    records = table_records() if draw is error_against_cost else [*table_records(), *sweep_records()]
    figure = draw(many(records, 10))
    labels = {name: text for name, text in texts(figure).items() if "corruption.std" in name}
    assert len(labels) == 10 * len(VARIANTS)
    boxes = [text.get_window_extent() for text in labels.values()]
    assert not any(a.overlaps(b) for a, b in itertools.combinations([box.padded(-1) for box in boxes], 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_explained_variance_against_l0_draws_the_variants_that_have_sparse_codes() -> None:
    def with_scores(record: Record, **scores: float) -> Record:
        return replace(record, metrics={**record.metrics, **{name: {"value": v} for name, v in scores.items()}})

    records = [*table_records(), *sweep_records()]
    assert explained_variance_against_l0(records) is None
    sparse = [
        with_scores(
            r,
            l0=r.width + r.seed,
            explained_variance=1 - r.metrics["mse"]["value"],
            firing_frequency=0.8 if "corruption" in r.name else 0.1,
        )
        for r in records
        if r.name != "svd"
    ]
    figure = explained_variance_against_l0([*sparse, *(r for r in records if r.name == "svd")])
    assert figure is not None
    _, panel = figure.axes
    assert len(panel.lines) == 2
    for name in ("pca", "deep_ae"):
        means = [
            (
                width + np.mean([r.seed for r in sparse if r.name == name and r.width == width]),
                1 - np.mean([r.metrics["mse"]["value"] for r in sparse if r.name == name and r.width == width]),
            )
            for width in (2, 8, 16)
        ]
        assert any(np.allclose(line.get_xydata(), means) for line in panel.lines)
        assert name in texts(figure)
    assert not {"svd", "deep_ae corruption=gaussian"} & set(texts(figure))


def test_an_error_of_next_to_nothing_leaves_room_for_the_others() -> None:
    records = [
        replace(r, metrics={**r.metrics, "mse": {**r.metrics["mse"], "value": 1e-9}}) if r.name == "deep_ae" else r
        for r in table_records()
    ]
    figure = error_against_cost(records)
    assert figure is not None
    least, most = figure.axes[1].get_ylim()
    assert most / least < 100
    assert "deep_ae: 1.0e-09" in texts(figure)


def test_error_against_cost_rings_the_pareto_front() -> None:
    figure = error_against_cost(table_records())
    assert figure is not None
    _, macs, parameters, seconds = figure.axes
    rings = [line for line in macs.lines if line.get_markersize() == 8]
    pca = digits_record("pca", 8, 0)
    # PCA is the best of the four at the least arithmetic, so it alone is not beaten
    assert list(rings[0].get_xdata()) == [pca.metrics["macs"]["value"]]
    assert [panel.get_xlabel() for panel in (macs, parameters, seconds)] == [
        "multiply-accumulates per image",
        "parameters",
        "seconds to fit",
    ]


def test_error_against_cost_needs_costs() -> None:
    stripped = [replace(r, metrics={"mse": r.metrics["mse"]}) for r in table_records()]
    assert error_against_cost(stripped) is None


@given(st.dictionaries(st.text(max_size=3), st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_pareto_is_what_nothing_beats(points: dict[str, tuple[int, int]]) -> None:
    front = pareto(points)
    for name, (x, y) in points.items():
        beaten = any((a < x and b <= y) or (a <= x and b < y) for a, b in points.values())
        assert (name in front) != beaten
    assert [points[name][0] for name in front] == sorted(points[name][0] for name in front)


def test_training_curves_draw_the_history_of_every_seed_and_mark_the_epoch_kept() -> None:
    figure = training_curves(table_records())
    assert figure is not None
    _, *panels = figure.axes
    trained = {panel.get_title(loc="left").replace("\n", " "): panel for panel in panels}
    assert set(trained) == {"deep_ae", "deep_ae corruption=gaussian"}
    for name, panel in trained.items():
        drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in panel.lines]
        for seed in range(3):
            fit = digits_record(name, 8, seed).fit
            history = fit["history"]
            assert (history["epoch"], history["train_total"]) in drawn
            assert (history["epoch"], history["validation_total"]) in drawn
            kept = history["epoch"].index(fit["best_epoch"])
            assert ([fit["best_epoch"]], [history["validation_total"][kept]]) in drawn


def test_training_curves_need_epochs() -> None:
    assert training_curves([digits_record("pca", 8, 0)]) is None


def test_training_curves_do_without_validation() -> None:
    record = digits_record("deep_ae", 8, 0)
    history = {name: values for name, values in record.fit["history"].items() if "validation" not in name}
    figure = training_curves([replace(record, fit=record.fit | {"history": history})])
    assert figure is not None
    assert list(figure.axes[1].lines[0].get_ydata()) == history["train_total"]


def test_widths_close_together_are_not_all_labelled() -> None:
    assert apart([2, 4, 8, 16]) == [2, 4, 8, 16]
    dense = apart(range(1, 65))
    assert dense[0] == 1
    assert len(dense) < 20
    assert dense == sorted(dense)
