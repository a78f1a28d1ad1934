"""The figure of outlier detection: how well each score of each method finds each set of outliers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.report.figures.measured_curves import curve_of
from zoo.report.figures.register import figure
from zoo.report.figures.style import HEAD, INK, MARGIN, MUTED, SMALL, look, place, sheet, text_width
from zoo.report.statistics import by_name, data_of, models, values
from zoo.runs.records import Record

SETS = {
    "outlier_auroc_other": "another data set",
    "outlier_auroc_left_out": "a class left out",
    "outlier_auroc_corrupted": "corrupted images",
}
MARKS = {"reconstruction error": "o", "likelihood bound": "|", "code density": "D"}
ROW, WIDE, BETWEEN, FOOT, TITLE = 0.17, 2.0, 0.2, 0.75, 0.25  # inches


@figure
def outlier_detection(records: Sequence[Record]) -> Figure | None:
    """AUROC of the scores of each variant, a panel per set of outliers; None without any."""
    groups = by_name(records)
    found = {name: {row: aurocs(group, name) for row, group in groups.items()} for name in SETS}
    panels = {name: areas for name, areas in found.items() if any(areas.values())}
    if not panels:
        return None
    rows = [row for row in groups if any(areas[row] for areas in panels.values())]
    left = MARGIN + max(text_width(row, SMALL) for row in rows) + 0.1
    high = ROW * len(rows)
    title = f"Outlier detection on {data_of(records)}"
    subtitle = (
        f"area under the ROC curve, mean over seeds; dashed: the best of four detectors on pixels; {models(records)}"
    )
    width = left + len(panels) * (WIDE + BETWEEN)
    drawn, ax = sheet(width, HEAD + TITLE + high + FOOT, title, subtitle)
    for number, (name, areas) in enumerate(panels.items()):
        panel = place(drawn, left + number * (WIDE + BETWEEN), HEAD + TITLE, WIDE, high)
        for height, row in enumerate(rows):
            draw_row(panel, height, row, areas[row])
        if reference := values(records, f"{name}_of_pixels"):
            panel.axvline(statistics.mean(reference), color=INK, ls="--", lw=0.9, zorder=0)
        panel.axvline(0.5, color=MUTED, lw=0.6, zorder=0)
        panel.set(ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)), yticklabels=[] if number else rows)
        panel.set_title(SETS[name], loc="left", size=SMALL)
        panel.set_xlabel("AUROC")
        panel.tick_params(axis="y", length=0)
        panel.grid(True, axis="x")
    for number, (score, mark) in enumerate(MARKS.items()):
        x, y = left + 0.1 + number * 1.5, HEAD + TITLE + high + FOOT - 0.15
        ax.plot(x, y, mark, color=INK, mfc=INK if mark == "o" else "none", ms=5)
        ax.text(x + 0.1, y, score, size=SMALL, va="center_baseline")
    return drawn


def draw_row(panel: Axes, height: int, row: str, dots: dict[str, float]) -> None:
    """Mark the AUROC of each score of one variant, joined by a line."""
    colour = look(row)[0]
    if dots:
        panel.plot([min(dots.values()), max(dots.values())], [height, height], color=colour, lw=0.6, alpha=0.6)
    for score, value in dots.items():
        filled = colour if MARKS[score] == "o" else "white"
        panel.plot(value, height, MARKS[score], color=colour, mfc=filled, ms=7 if MARKS[score] == "|" else 4)


def aurocs(group: Sequence[Record], metric: str) -> dict[str, float]:
    """AUROC of each score of a model, mean over the records of one row."""
    found: dict[str, list[float]] = {}
    for record in group:
        if curve := curve_of(record, metric):
            for score, area in zip(curve["score"], curve["AUROC"], strict=True):
                if score in MARKS:
                    found.setdefault(score, []).append(area)
    return {score: statistics.mean(areas) for score, areas in found.items()}
