"""The figure of outlier detection: how well each score of each method finds each set of outliers."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.catalogue import title_of
from zoo.report.figures.measured_curves import curve_of
from zoo.report.figures.register import figure
from zoo.report.figures.style import HEAD, INK, MARGIN, MUTED, SMALL, look, place, sheet, text_width
from zoo.report.statistics import by_name, data_of, models
from zoo.runs.records import Record

OTHER, KINDS = "outlier_auroc_other", "outlier_auroc_corrupted"  # the second has a column for each kind of outlier
SETS = {
    OTHER: "another data set",
    "outlier_auroc_left_out": "the class left out",
    KINDS: "corrupted images, all kinds",
}
KNOWN = ("score", "AUROC", "average precision")  # the other columns of a curve
MARKS = {"reconstruction error": "o", "likelihood bound": "|", "code density": "D"}
OF_PIXELS = "x"
ROW, WIDE, BETWEEN, FOOT, TITLE, COLUMNS = 0.17, 2.0, 0.2, 0.55, 0.25, 3  # inches, and panels side by side

Areas = dict[str, float]  # by score


@figure
def outlier_detection(records: Sequence[Record]) -> Figure | None:
    """AUROC of the scores of each variant and of pixels, a panel per set and kind of outliers; None without any."""
    groups = by_name(records)
    panels = {
        title: found
        for (metric, column), title in places(records).items()
        if any((found := {row: aurocs(group, metric, column) for row, group in groups.items()}).values())
    }
    if not panels:
        return None
    rows = [row for row in groups if any(found[row] for found in panels.values())]
    every = [areas for found in panels.values() for areas in found.values()]
    pixels = [*dict.fromkeys(score for areas in every for score in areas if score not in MARKS)]
    low = min(0.5, *(area for areas in every for area in areas.values())) - 0.02
    left = MARGIN + max(text_width(label, SMALL) for label in (*rows, *pixels)) + 0.1
    high, columns = ROW * (len(rows) + len(pixels)), min(len(panels), COLUMNS)
    down = TITLE + high + FOOT
    title = f"Outlier detection on {data_of(records)}"
    subtitle = f"area under the ROC curve, mean over seeds; grey line: chance; {models(records)}"
    total = HEAD + -(-len(panels) // columns) * down + 0.25
    drawn, ax = sheet(left + columns * (WIDE + BETWEEN), total, title, subtitle)
    for number, (name, found) in enumerate(panels.items()):
        x, y = left + number % columns * (WIDE + BETWEEN), HEAD + number // columns * down + TITLE
        panel = place(drawn, x, y, WIDE, high)
        draw_panel(panel, name, {row: found[row] for row in rows}, pixels, labels=number % columns == 0)
        panel.set_xlim(low, 1.02)
    marks = {**MARKS, "of pixels, without a model": OF_PIXELS} if pixels else MARKS
    for number, (score, mark) in enumerate(marks.items()):
        x, y = left + 0.1 + number * 1.5, total - 0.2
        ax.plot(x, y, mark, color=INK, mfc=INK if mark == "o" else "none", ms=5)
        ax.text(x + 0.1, y, score, size=SMALL, va="center_baseline")
    return drawn


def places(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    """{(metric, column of its curve): title of its panel}: of each set of outliers, then of each kind of corruption."""
    records = list(records)
    curves = (curve_of(record, KINDS) or {} for record in records)
    kinds = dict.fromkeys(column for curve in curves for column in curve if column not in KNOWN)
    settings = (record.metrics.get(OTHER, {}).get("settings", {}) for record in records)
    others = dict.fromkeys(title_of(name) for each in settings for name in each.get("outside", ()))
    sets = SETS | ({OTHER: ", ".join(others)} if others else {})
    return {(metric, "AUROC"): title for metric, title in sets.items()} | {(KINDS, kind): kind for kind in kinds}


def aurocs(group: Sequence[Record], metric: str, column: str) -> Areas:
    """AUROC of each score, mean over the records of one row."""
    found: dict[str, list[float]] = {}
    for record in group:
        curve = curve_of(record, metric) or {}
        for score, area in zip(curve.get("score", ()), curve.get(column, ()), strict=False):
            found.setdefault(score, []).append(area)
    return {score: statistics.mean(areas) for score, areas in found.items()}


def draw_panel(panel: Axes, title: str, rows: Mapping[str, Areas], pixels: Sequence[str], labels: bool) -> None:
    """Mark the scores of each variant, and below them those of pixels."""
    for height, (row, areas) in enumerate(rows.items()):
        draw_row(panel, height, row, {score: area for score, area in areas.items() if score in MARKS})
    for height, score in enumerate(pixels, len(rows)):
        if known := [areas[score] for areas in rows.values() if score in areas]:  # the same for every model
            panel.plot(statistics.mean(known), height, OF_PIXELS, color=INK, ms=4)
    panel.axvline(0.5, color=MUTED, lw=0.8, zorder=0)
    names = [*rows, *pixels]
    panel.set(ylim=(len(names) - 0.5, -0.5), yticks=range(len(names)), yticklabels=names if labels else [])
    panel.set_title(title, loc="left", size=SMALL)
    panel.set_xlabel("AUROC")
    panel.tick_params(axis="y", length=0)
    panel.grid(True, axis="x")


def draw_row(panel: Axes, height: int, row: str, dots: Areas) -> None:
    """Mark the AUROC of each score of one variant, joined by a line."""
    colour = look(row)[0]
    if dots:
        panel.plot([min(dots.values()), max(dots.values())], [height, height], color=colour, lw=0.6, alpha=0.6)
    for score, value in dots.items():
        filled = colour if MARKS[score] == "o" else "white"
        panel.plot(value, height, MARKS[score], color=colour, mfc=filled, ms=7 if MARKS[score] == "|" else 4)
