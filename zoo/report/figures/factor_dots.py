"""The figure of disentanglement: how well each metric says that each factor is represented, method by method."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure

from zoo.report.figures.dots import DotPanel, dots
from zoo.report.figures.measured_curves import curve_of
from zoo.report.figures.register import figure
from zoo.report.statistics import by_name, data_of, models
from zoo.runs.records import Record

TITLES = {
    "mig": "mutual information gap",
    "sap": "separated attribute predictability",
    "factor_vae_score": "FactorVAE score",
    "dci_disentanglement": "DCI disentanglement",
    "dci_completeness": "DCI completeness",
    "dci_informativeness": "DCI informativeness",
}
MEAN = "mean"
MARKERS = "|sD^v<>Px"  # of factors, in their order


@figure
def disentanglement(records: Sequence[Record]) -> Figure | None:
    """Each metric of disentanglement for each factor, a panel per metric; None without any."""
    groups, panels = by_name(records), []
    for metric, title in TITLES.items():
        rows = {row: found for row, group in groups.items() if (found := by_factor(group, metric, "measured"))}
        if rows:
            chance = statistics.mean(by_factor(groups[row], metric, "shuffled")[MEAN] for row in rows)
            panels.append(DotPanel(title, metric, rows, chance))
    if not panels:
        return None
    names = dict.fromkeys(name for panel in panels for row in panel.rows.values() for name in row if name != MEAN)
    marks = {MEAN: "o", **{name: MARKERS[k % len(MARKERS)] for k, name in enumerate(names)}}
    title = f"Disentanglement on {data_of(records)}"
    return dots(panels, marks, title, f"mean over seeds; grey line: shuffled codes; {models(records)}")


def by_factor(group: Sequence[Record], metric: str, codes: str) -> dict[str, float]:
    """A metric's value for each factor and their mean, mean over the records of one row."""
    found: dict[str, list[float]] = {}
    for curve in filter(None, (curve_of(record, metric) for record in group)):
        place = curve["codes"].index(codes)
        for name, column in curve.items():
            if name != "codes":
                found.setdefault(MEAN if name == "all" else name, []).append(column[place])
    return {name: statistics.mean(each) for name, each in found.items()}
