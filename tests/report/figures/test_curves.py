import itertools
import statistics
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
from zoo.catalogue import CONTROL, members, variants
from zoo.report.figures.curves import (
    error_against_cost,
    error_against_width,
    explained_variance_against_l0,
    pareto,
    training_curves,
)
from zoo.report.figures.panels import MOST, apart, foremost, left_out, terse
from zoo.report.figures.pictures import overview
from zoo.report.statistics import by_name
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
        assert terse(name) in texts(figure)
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "log")


def test_error_against_width_needs_two_widths() -> None:
    assert error_against_width(table_records()) is None


def renamed(records: Sequence[Record], variants: Sequence[str]) -> list[Record]:
    """Real runs under the names of other variants."""
    sources = list(dict.fromkeys(record.name for record in records))
    return [
        replace(record, name=variant, variant=variant, hash=digest({"of": record.hash, "as": variant}))
        for k, variant in enumerate(variants)
        for record in records
        if record.name == sources[k % len(sources)]
    ]


@pytest.mark.parametrize("draw", [error_against_width, error_against_cost])
@pytest.mark.parametrize("copies", [3, 10])
def test_labels_of_many_variants_neither_overlap_nor_leave_the_figure(draw, copies) -> None:
    records = table_records() if draw is error_against_cost else [*table_records(), *sweep_records()]
    figure = draw(many(records, copies))
    labels = [text for ax in figure.axes for text in ax.texts if "std=" in text.get_text()]
    if copies == 3:
        assert len({text.get_text() for text in labels}) == 3 * len(VARIANTS), "a dozen rows are all labelled"
    assert 2 <= len(labels) <= 24
    boxes = [text.get_window_extent() for text in labels]
    assert not any(a.overlaps(b) for a, b in itertools.combinations([box.padded(-1) for box in boxes], 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_more_than_a_dozen_rows_have_a_panel_for_each_family_and_at_most_a_dozen_labels_in_it() -> None:
    every = renamed([*table_records(), *sweep_records()], [v.name for v in variants()])
    figure = error_against_width(every)
    assert figure is not None
    sheet, *panels = figure.axes
    assert [panel.get_title(loc="left") for panel in panels] == [f for f in members() if f != CONTROL]
    said = [text.get_text() for text in sheet.texts]
    for family, names in members().items():
        assert len([name for name in names if name in said]) == min(len(names), MOST) * (family != CONTROL)
    assert all(len(panel.lines) == len(variants()) - 1 for panel in panels), "the others are there, in grey"
    assert "; grey: other methods; " in said[1]


def test_a_control_is_named_and_stretches_no_axis() -> None:
    records = [*table_records(), *sweep_records()]
    control = replace(digits_record("pca", 8, 0), name="overcomplete_ae", variant="overcomplete_ae", hash="control")
    tiny = {**control.metrics, "mse": {**control.metrics["mse"], "value": 1e-9}}
    controls = [replace(control, metrics=tiny, width=width, hash=f"control{width}") for width in (2, 8)]
    for draw, shown in ((error_against_width, records), (error_against_cost, table_records())):
        alone = draw(shown)
        beside = draw([*shown, *(record for record in controls if record.width in {r.width for r in shown})])
        assert [panel.get_ylim() for panel in alone.axes[1:]] == [panel.get_ylim() for panel in beside.axes[1:]]
        assert "overcomplete_ae" not in texts(beside)
        assert beside.axes[0].texts[1].get_text().endswith("; without overcomplete_ae (control)")
    assert left_out(records) == ""


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
        assert terse(name) in texts(figure)
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


def test_of_many_rows_those_on_the_fronts_and_the_best_of_each_family_are_labelled() -> None:
    every = renamed(table_records(), [v.name for v in variants() if v.family != CONTROL])
    distinct = [
        replace(r, metrics=r.metrics | {"mse": r.metrics["mse"] | {"value": r.metrics["mse"]["value"] + 1e-6 * k}})
        for k, r in enumerate(every)
    ]
    figure = error_against_cost(distinct)
    assert figure is not None
    groups = by_name(distinct)
    labelled = [name for name in texts(figure) if name in groups]
    assert len(labelled) == MOST
    error, cost = (
        {name: statistics.fmean(r.metrics[metric]["value"] for r in group) for name, group in groups.items()}
        for metric in ("mse", "macs")
    )
    front = pareto({name: (cost[name], error[name]) for name in groups})
    assert set(front) <= set(labelled), "nothing that is ringed is without a name"


def test_the_dozen_that_is_labelled() -> None:
    names = [*(f"vae x={k}" for k in range(9)), "pca", "svd", "ppca", *(f"topk x={k}" for k in range(4))]
    assert foremost(names[:12]) == names[:12]
    assert foremost(names) == [n for n in names if n not in ("vae x=5", "vae x=6", "vae x=7", "vae x=8")][:12]
    assert "vae x=8" in foremost(names, always=["vae x=8"])
    assert len(foremost(names, most=9)) == 9
    assert foremost([]) == []


def test_a_label_leaves_out_what_its_values_say_themselves() -> None:
    long = "deep_ae corruption=word_dropout data.source.weights=counts fit.power=0.5 network.bias=true hidden=[8, 4]"
    assert terse(long) == "deep_ae word_dropout counts power=0.5 bias=true hidden=[8, 4]"
    assert terse("pca") == "pca"


@pytest.mark.parametrize(("kind", "noun"), [("image", "image"), ("vector", "sample"), ("counts", "sample")])
def test_labels_name_the_samples_by_their_kind(kind: str, noun: str) -> None:
    table, sweep = ([replace(record, kind=kind) for record in part()] for part in (table_records, sweep_records))
    figures = [error_against_width([*table, *sweep]), training_curves(table), error_against_cost(table)]
    said = " | ".join(
        label for f in figures for ax in f.axes for label in (*(t.get_text() for t in ax.texts), ax.get_xlabel())
    )
    assert f"360 test {noun}s" in said
    for label in ("numbers", "nats", "multiply-accumulates"):
        assert f"{label} per {noun}" in said


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
    fitted = {terse(name): name for name in ("deep_ae", "deep_ae corruption=gaussian")}
    assert set(trained) == set(fitted)
    for title, panel in trained.items():
        name = fitted[title]
        drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in panel.lines]
        for seed in range(3):
            fit = digits_record(name, 8, seed).fit
            history = fit["history"]
            assert (history["epoch"], history["train_total"]) in drawn
            assert (history["epoch"], history["validation_total"]) in drawn
            kept = history["epoch"].index(fit["best_epoch"])
            assert ([fit["best_epoch"]], [history["validation_total"][kept]]) in drawn


def test_training_curves_and_overview_show_a_dozen_methods_and_no_control() -> None:
    one = digits_record("deep_ae", 8, 0)
    names = ["overcomplete_ae", *(f"deep_ae seed={k}" for k in range(12)), "pca"]
    many = [replace(one, name=name, variant=name.partition(" ")[0], hash=name) for name in names]
    for figure in (training_curves(many), overview(many)):
        assert figure is not None
        subtitle = figure.axes[0].texts[1].get_text()
        assert subtitle.startswith("12 of 13 methods, the best of each family; ")
        assert "overcomplete_ae" not in [text.get_text() for text in figure.axes[0].texts]
    panels = [panel.get_title(loc="left") for panel in training_curves(many).axes[1:]]
    assert len(panels) == 12
    assert "pca" in panels
    assert overview(many[:3]).axes[0].texts[1].get_text().endswith("; without overcomplete_ae (control)")


def test_training_curves_of_words_name_the_corpus_and_pairs() -> None:
    record = digits_record("deep_ae", 8, 0)
    pairs = replace(record, data="words", config=record.config | {"data": {"source": {"vectors": "one_hot"}}})
    for each, title, unit in (
        (record, "Training on digits", "objective (nats per image)"),
        (pairs, "Training on words of 20 Newsgroups", "objective (nats per image or pair of words)"),
    ):
        texts = [text.get_text() for text in training_curves([each]).axes[0].texts]
        assert title in texts
        assert unit in texts


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
