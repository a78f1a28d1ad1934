from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from tests.report.digits_records import VARIANTS, digits_record, table_records
from zoo.catalogue import CONTROL, members, variants
from zoo.report.figures.average_ranks import average_ranks
from zoo.report.figures.panels import MOST, foremost, terse
from zoo.report.ranks import rankings
from zoo.report.statistics import by_name
from zoo.runs.records import Record


def said(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def ranked_by_seconds(record: Record) -> Record:
    """The seconds as an ordinary metric of cost, for a second group in which rows differ."""
    seconds = record.metrics["fit_seconds"] | {"measured": False}
    return replace(record, metrics=record.metrics | {"fit_seconds": seconds})


def test_every_group_has_a_panel_with_its_mean_ranks() -> None:
    records = [ranked_by_seconds(record) for record in table_records()]
    figure = average_ranks(records)
    assert figure is not None
    found = rankings(records)
    sheet, *panels = figure.axes
    assert (
        [each.group for each in found]
        == ["reconstruction", "cost"]
        == [t for t in said(figure) if t in ("reconstruction", "cost")]
    )
    for panel, each in zip(panels, found, strict=True):
        points = [line.get_xdata()[0] for line in panel.lines if len(line.get_xdata()) == 1]
        assert points == list(each.mean)
        low, high = each.interval
        lines = [tuple(line.get_xdata()) for line in panel.lines if len(line.get_xdata()) == 2]
        assert lines == list(zip(low, high, strict=True))
    bars = [line for line in sheet.lines if line.get_linewidth() == 2]
    assert len(bars) == sum(len(each.joined(each.rows)) for each in found)
    assert "4 rows; 95 % over seeds and test samples" in " ".join(said(figure))
    assert all(said(figure).count(terse(name)) == 2 for name in VARIANTS)
    boxes = [text.get_window_extent() for text in sheet.texts]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 for box in boxes)


def test_of_many_rows_a_dozen_are_labelled_and_the_others_are_grey() -> None:
    names = [v.name for v in variants()]
    records = [
        replace(record, name=name, variant=name, hash=name)
        for k, name in enumerate(names)
        for record in [digits_record(list(VARIANTS)[k % 4], 8, 0)]
    ]
    figure = average_ranks(records)
    assert figure is not None
    shown = [record for record in records if record.variant not in members()[CONTROL]]
    for panel, each in zip(figure.axes[1:], rankings(shown), strict=True):
        labelled = foremost(each.rows)
        assert len(labelled) == MOST
        assert [len(line.get_xdata()) for line in panel.lines][-1] == len(by_name(shown)) - len(labelled)
    assert "; grey: other methods; " in said(figure)[1]
    assert said(figure)[1].endswith("; without overcomplete_ae (control)")


def test_rows_without_values_are_named_and_one_seed_without_resamples_tells_nothing_apart() -> None:
    plain = [
        replace(r, metrics={m: {k: v for k, v in e.items() if k != "resampled"} for m, e in r.metrics.items()})
        for r in (digits_record(name, 8, 0) for name in VARIANTS)
    ]
    lacking = replace(plain[-1], metrics={m: e for m, e in plain[-1].metrics.items() if m != "sse" and m != "ssim"})
    figure = average_ranks(
        [*plain[:-1], replace(lacking, metrics=lacking.metrics | {"psnr": lacking.metrics["psnr"] | {"value": None}})]
    )
    assert figure is not None
    assert "one seed and no resamples: differences cannot be tested" in said(figure)[1]
    assert not [line for line in figure.axes[0].lines if line.get_linewidth() == 2]
    assert any(text.startswith("not ranked, values are missing: deep_ae corruption=gaussian") for text in said(figure))


@pytest.mark.parametrize("records", [table_records()[:1], []], ids=["one row", "none"])
def test_nothing_is_ranked_of_fewer_than_two_rows(records) -> None:
    assert average_ranks(records) is None
