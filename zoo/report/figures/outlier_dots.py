"""The figure of outlier detection: how well each score of each method finds each set of outliers."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

from zoo.catalogue import title_of
from zoo.report.figures.dots import DotPanel, dots
from zoo.report.figures.measured_curves import curve_of
from zoo.report.figures.register import figure
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


@figure
def outlier_detection(records: Sequence[Record]) -> Figure | None:
    """AUROC of the scores of each variant and of pixels, a panel per set and kind of outliers; None without any."""
    groups, panels = by_name(records), []
    for (metric, column), title in places(records).items():
        found = {row: aurocs(group, metric, column) for row, group in groups.items()}
        rows = {
            row: scores
            for row, areas in found.items()
            if (scores := {score: area for score, area in areas.items() if score in MARKS})
        }
        pixels = {score: area for areas in found.values() for score, area in areas.items() if score not in MARKS}
        if rows:
            panels.append(DotPanel(title, "AUROC", rows, 0.5, pixels))
    if not panels:
        return None
    title = f"Outlier detection on {data_of(records)}"
    subtitle = f"area under the ROC curve, mean over seeds; grey line: chance; {models(records)}"
    return dots(panels, MARKS, title, subtitle, "of pixels, without a model")


def places(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    """{(metric, column of its curve): title of its panel}: of each set of outliers, then of each kind of corruption."""
    records = list(records)
    curves = (curve_of(record, KINDS) or {} for record in records)
    kinds = dict.fromkeys(column for curve in curves for column in curve if column not in KNOWN)
    settings = (record.metrics.get(OTHER, {}).get("settings", {}) for record in records)
    others = dict.fromkeys(title_of(name) for each in settings for name in each.get("outside", ()))
    sets = SETS | ({OTHER: ", ".join(others)} if others else {})
    return {(metric, "AUROC"): title for metric, title in sets.items()} | {(KINDS, kind): kind for kind in kinds}


def aurocs(group: Sequence[Record], metric: str, column: str) -> dict[str, float]:
    """AUROC of each score, mean over the records of one row; scores of pixels are the same in all."""
    found: dict[str, list[float]] = {}
    for record in group:
        curve = curve_of(record, metric) or {}
        for score, area in zip(curve.get("score", ()), curve.get(column, ()), strict=False):
            found.setdefault(score, []).append(area)
    return {score: statistics.mean(areas) for score, areas in found.items()}
