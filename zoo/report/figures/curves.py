"""Figures made of lines and points: error against width and cost, and the course of training."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Container, Iterable, Mapping, Sequence
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, Formatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from zoo.report.figures.register import figure
from zoo.report.figures.style import (
    HEAD,
    INK,
    MARGIN,
    MUTED,
    SMALL,
    look,
    place,
    sheet,
    spread,
    text_width,
)
from zoo.report.statistics import by_name, cells, scope, values
from zoo.runs.records import Record

ERROR = "mean squared error per pixel"
FOOT, AXIS = 0.5, 0.65  # inches below and to the left of a panel
ROOM = 0.3  # inches between a panel and the labels to its right
LINE = 0.125  # inches between labels
TINY = 10  # an error below the median's tenth is not drawn to scale
HALVES = [k / 2 for k in range(2, 20)]
LABELLED: tuple[list[float], ...] = (HALVES, [1, 1.5, 2, 3, 4, 5, 7], [1, 2, 5], [1])  # of a decade, most first
LABELS = 6  # that an axis has room for
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
COSTS: dict[str, tuple[str, Formatter]] = {
    "macs": ("multiply-accumulates per image", EngFormatter()),
    "parameters": ("parameters", EngFormatter()),
    "fit_seconds": ("seconds to fit", PLAIN),
}


@figure
def error_against_width(records: Sequence[Record]) -> Figure | None:
    """Mse of each variant at every width, the range over seeds shaded; None where there is but one width."""
    widths = sorted({record.width for record in records if values([record], "mse")})
    if len(widths) < 2:
        return None
    lines: dict[str, dict[int, list[float]]] = {}
    for width in widths:
        for name, group in by_name(record for record in records if record.width == width).items():
            if found := values(group, "mse"):
                lines.setdefault(name, {})[width] = found
    wide, high = 4.6, panel_height(len(lines))
    title, subtitle = (
        f"Error against code width on {records[0].data}",
        f"range over seeds shaded; {scope(records)}",
    )
    figure, ax = sheet(AXIS + wide + label_room(lines), HEAD + high + FOOT, title, subtitle)
    panel = place(figure, AXIS, HEAD, wide, high)
    ends = {}
    for name, line in lines.items():
        colour, marker = look(name)
        x, mean = list(line), [math.fsum(found) / len(found) for found in line.values()]
        least, most = [min(found) for found in line.values()], [max(found) for found in line.values()]
        panel.fill_between(x, least, most, color=colour, alpha=0.2, lw=0)
        panel.plot(x, mean, color=colour, marker=marker, mec="white", mew=0.4)
        ends[name] = (float(x[-1]), mean[-1])
    panel.set(xscale="log", xlabel="code width (numbers per image)")
    panel.xaxis.set(major_locator=FixedLocator(apart(widths)), minor_locator=NullLocator(), major_formatter=PLAIN)
    error_axis(panel)
    label_right(ax, panel, ends)
    return figure


@figure
def explained_variance_against_l0(records: Sequence[Record]) -> Figure | None:
    """Explained variance against active units, a line over budgets; None unless two variants have sparse codes.

    A code with more than half of its units active, such as that of a quantiser with a level of 0, is not sparse.
    """
    lines: dict[str, list[tuple[float, float]]] = {}
    for width in sorted({record.width for record in records}):
        for name, group in by_name(record for record in records if record.width == width).items():
            active, explained = values(group, "l0"), values(group, "explained_variance")
            dense = statistics.mean(values(group, "firing_frequency") or [0.0]) > 0.5
            if active and explained and not dense:
                lines.setdefault(name, []).append((statistics.mean(active), statistics.mean(explained)))
    if len(lines) < 2:
        return None
    wide, high = 4.6, panel_height(len(lines))
    title = f"Explained variance against active units on {records[0].data}"
    figure, ax = sheet(AXIS + wide + label_room(lines), HEAD + high + FOOT, title, scope(records))
    panel = place(figure, AXIS, HEAD, wide, high)
    for name, line in lines.items():
        colour, marker = look(name)
        panel.plot(*zip(*line, strict=True), color=colour, marker=marker, mec="white", mew=0.4)
    panel.set(xscale="log", xlabel="active units per image (L0)", ylabel="explained variance")
    log_axis(panel.xaxis, panel.get_xlim(), PLAIN)
    panel.grid(True)
    label_right(ax, panel, {name: line[-1] for name, line in lines.items()})
    return figure


@figure
def error_against_cost(records: Sequence[Record]) -> Figure | None:
    """Mse against costs, and the variants that no other beats in both (Pareto front); None without costs.

    An error below a tenth of the median is drawn at the bottom with its value beside it, to leave room for the others.
    """
    groups = by_name(records)
    error = {name: cell.mean for name, cell in cells(groups, "mse").items()}
    panels = {
        metric: {name: c.mean for name, c in cells(groups, metric).items() if name in error and c.mean > 0}
        for metric in COSTS
    }
    panels = {metric: cost for metric, cost in panels.items() if len(cost) > 1}
    if not panels:
        return None
    foot = statistics.median(error.values()) / TINY
    height = {name: max(value, foot) for name, value in error.items()}
    labels = {name: name if value >= foot else f"{name}: {value:.1e}" for name, value in error.items()}
    wide, high = 2.5, panel_height(len(error))
    title, subtitle = (
        f"Error against cost on {records[0].data}",
        f"ringed: the Pareto front; {scope(records)}",
    )
    size = AXIS + len(panels) * (wide + 0.2) - 0.2 + label_room(labels.values()), HEAD + high + FOOT
    figure, ax = sheet(*size, title, subtitle)
    panel = None
    for number, (metric, cost) in enumerate(panels.items()):
        panel = place(figure, AXIS + number * (wide + 0.2), HEAD, wide, high, sharey=panel)
        front = pareto({name: (cost[name], error[name]) for name in cost})
        x, y = [cost[name] for name in front], [height[name] for name in front]
        panel.step(x, y, where="post", color=MUTED, lw=0.8, zorder=1)
        panel.plot(x, y, "o", ms=8, mfc="none", mec=INK, mew=0.7)
        for name in cost:
            colour, marker = look(name)
            panel.plot(cost[name], height[name], color=colour, marker=marker, mec="white", mew=0.4)
        label, formatter = COSTS[metric]
        panel.set(xscale="log", xlabel=label)
        log_axis(panel.xaxis, panel.get_xlim(), formatter)
        error_axis(panel)
        if number:
            panel.set_ylabel("")
            panel.tick_params(labelleft=False)
    assert panel is not None
    ends = {name: (cost.get(name, max(cost.values())), height[name]) for name in error}
    label_right(ax, panel, ends, labels)
    return figure


@figure
def training_curves(records: Sequence[Record]) -> Figure | None:
    """Train and validation objective after each epoch, a panel per variant; None where none has epochs."""
    trained = [record for record in records if len(record.fit.get("history", {}).get("epoch", [])) > 1]
    groups = by_name(trained)
    if not groups:
        return None
    columns = min(len(groups), max(3, math.ceil(math.sqrt(len(groups)))), 6)
    rows = math.ceil(len(groups) / columns)
    wide, high, pitch = 1.3, 0.95, (1.85, 1.55)
    title = f"Training on {records[0].data}"
    subtitle = "a line per seed; solid: validation, dotted: training, dot: epoch kept; first epochs cut off above"
    figure, ax = sheet(
        AXIS + (columns - 1) * pitch[0] + wide + 2 * MARGIN, HEAD + rows * pitch[1] + 0.35, title, subtitle
    )
    for k, (name, group) in enumerate(groups.items()):
        x, y = AXIS + k % columns * pitch[0], HEAD + k // columns * pitch[1] + 0.3
        panel = place(figure, x, y, wide, high)
        draw_training(panel, group)
        panel.set_title("\n".join(textwrap.wrap(name, 28)), loc="left", size=SMALL, pad=3)
    ax.text(AXIS + (columns - 1) * pitch[0] / 2 + wide / 2, HEAD + rows * pitch[1] + 0.2, "epoch", ha="center")
    middle = HEAD + rows * pitch[1] / 2
    ax.text(MARGIN, middle, "objective (nats per image)", rotation=90, ha="center", va="center")
    return figure


def draw_training(panel: Axes, group: Sequence[Record]) -> None:
    """Draw the objective of every seed; the first tenth of the epochs may leave the panel at its top."""
    colour = look(group[0].name)[0]
    late: list[float] = []
    for record in group:
        history = record.fit["history"]
        for stage, style in (("train", ":"), ("validation", "-")):
            total = history.get(f"{stage}_total", [])
            late += total[len(total) // 10 :]
            panel.plot(history["epoch"][: len(total)], total, style, color=colour, lw=0.9)
        kept = dict(zip(history["epoch"], history.get("validation_total", []), strict=False))
        if (best := record.fit["best_epoch"]) in kept:
            panel.plot(best, kept[best], "o", color=colour, ms=3)
    low, high = min(late), max(late)
    panel.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    panel.xaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10), integer=True))
    panel.yaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the points that no other beats (lower in one, not higher in the other), by first coordinate."""
    return [
        name
        for name, (x, y) in sorted(points.items(), key=lambda point: point[1])
        if not any(a <= x and b <= y and (a, b) != (x, y) for a, b in points.values())
    ]


def panel_height(labels: int) -> float:
    """Inches of a panel beside which so many labels find room."""
    return max(3.0, LINE * (labels + 2))


def label_room(names: Iterable[str]) -> float:
    """Inches to the right of a panel that its labels take."""
    return ROOM + max(text_width(name, SMALL) for name in names) + MARGIN


def apart(widths: Sequence[int]) -> list[int]:
    """Those widths that lie far enough from the one before, on a logarithmic axis, to be labelled too."""
    span, kept = math.log(widths[-1] / widths[0]), [widths[0]]
    for width in widths[1:]:
        if math.log(width / kept[-1]) > 0.03 * span * len(str(width)):
            kept.append(width)
    return kept


def error_axis(panel: Axes) -> None:
    """A logarithmic axis of mse with plain numbers, and a grid."""
    panel.set(yscale="log", ylabel=f"{ERROR} (log scale)")
    log_axis(panel.yaxis, panel.get_ylim(), PLAIN)
    panel.grid(True)


def log_axis(axis: Axis, limits: tuple[float, float], formatter: Formatter) -> None:
    """Label as many values of a logarithmic axis as there is room for."""
    decades = range(math.floor(math.log10(limits[0])), math.ceil(math.log10(limits[1])) + 1)

    def labels(subs: Sequence[float]) -> int:
        return sum(limits[0] <= sub * 10.0**k <= limits[1] for sub in subs for k in decades)

    subs = next((subs for subs in LABELLED if labels(subs) <= LABELS), LABELLED[-1])
    axis.set(major_locator=LogLocator(subs=subs, numticks=8), minor_locator=NullLocator(), major_formatter=formatter)


def label_right(
    ax: Axes,
    panel: Axes,
    ends: Mapping[str, tuple[float, float]],
    labels: Mapping[str, str] = MappingProxyType({}),
    plain: Container[str] = (),
) -> None:
    """Write each name to the right of `panel`, as close to its point's height as possible, joined by a line.

    `labels` replaces the text of names. Names in `plain` are references, drawn in the colour of text.
    """
    panel.get_xlim(), panel.get_ylim()  # settles the limits that the transform below needs
    to_inches = panel.transData + ax.transData.inverted()
    points = [to_inches.transform(point) for point in ends.values()]
    box = panel.get_window_extent().transformed(ax.transData.inverted())
    top, bottom, right = min(box.y0, box.y1), max(box.y0, box.y1), max(box.x0, box.x1)
    heights = spread([y for _, y in points], LINE, top, bottom)
    for name, (x, y), height in zip(ends, points, heights, strict=True):
        colour = INK if name in plain else look(name)[0]
        ax.plot((x, right, right + ROOM - 0.05), (y, y, height), color=colour, lw=0.4, alpha=0.6)
        ax.text(right + ROOM, height, labels.get(name, name), size=SMALL, color=colour, va="center_baseline")
