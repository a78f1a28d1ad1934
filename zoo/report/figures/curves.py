"""Figures made of lines and points: error against width and cost, and training curves."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedLocator, Formatter, MaxNLocator, NullLocator

from zoo.catalogue import family_of
from zoo.report.figures.panels import (
    ALONE,
    AXIS,
    FOOT,
    LINE,
    PLAIN,
    Points,
    apart,
    charts,
    draw,
    error_axis,
    foremost,
    label_right,
    label_room,
    last,
    left_out,
    log_axis,
    others,
    parts,
    selection,
    terse,
    without_controls,
)
from zoo.report.figures.register import figure
from zoo.report.figures.style import HEAD, INK, MARGIN, MUTED, SMALL, look, place, sheet
from zoo.report.statistics import by_name, cells, data_of, noun, scope, values
from zoo.runs.records import Record

JUMP = 3  # times the range of nine tenths of the losses is the most that a panel shows
TINY = 10  # an error below the median's tenth is not drawn to scale
COSTS: dict[str, tuple[str, Formatter]] = {
    "macs": ("multiply-accumulates per {noun}", EngFormatter()),
    "parameters": ("parameters", EngFormatter()),
    "fit_seconds": ("seconds to fit", PLAIN),
}


@figure
def error_against_width(records: Sequence[Record]) -> Figure | None:
    """Mse of each variant at every width, the range over seeds shaded; None where there is but one width.

    The width of a sparse code is its number of active units.
    """
    shown = without_controls(records)
    widths = sorted({record.width for record in shown if values([record], "mse")})
    if len(widths) < 2:
        return None
    found: dict[str, dict[int, list[float]]] = {}
    for name, group in by_width(shown):
        if errors := values(group, "mse"):
            found.setdefault(name, {})[group[0].width] = errors
    names = sorted(found, key=lambda name: -max(found[name]))
    lines = {name: ([*line], [statistics.fmean(each) for each in line.values()]) for name, line in found.items()}
    title = f"Error against code width on {data_of(records)}"
    several = any(len(errors) > 1 for line in found.values() for errors in line.values())
    shaded = "range over seeds shaded; " if several else ""
    subtitle = f"{shaded}{scope(shown)}{others(names)}{left_out(records)}"
    counted = {"active units" if family_of(record.variant) == "sparse" else "numbers" for record in shown}
    width = " or ".join(sorted(counted, reverse=True))
    drawn, ax = charts(names, title, subtitle)
    for panel, own, left, low in parts(drawn, names):
        draw(panel, lines, own)
        for name in own:
            x, each = [*found[name]], [*found[name].values()]
            area = [*x, *reversed(x)], [*map(min, each), *map(max, reversed(each))]
            panel.fill(*area, color=look(name)[0], alpha=0.2, lw=0)
        panel.set(xscale="log", xlabel=f"code width ({width} per {noun(records)})" if low else "")
        panel.xaxis.set(major_locator=FixedLocator(apart(widths)), minor_locator=NullLocator(), major_formatter=PLAIN)
        error_axis(panel)
        panel.set_ylabel(panel.get_ylabel() if left else "")
        label_right(ax, panel, {name: last(lines[name]) for name in own})
    return drawn


def by_width(records: Sequence[Record]) -> list[tuple[str, list[Record]]]:
    """Rows with the records of one width each, by width."""
    widths = sorted({record.width for record in records})
    return [item for width in widths for item in by_name(r for r in records if r.width == width).items()]


@figure
def explained_variance_against_l0(records: Sequence[Record]) -> Figure | None:
    """Explained variance against active units, a line over budgets; None unless two variants have sparse codes.

    A code with more than half of its units active, such as that of a quantiser with a level of 0, is not sparse.
    """
    shown = without_controls(records)
    found: dict[str, list[tuple[float, float]]] = {}
    for name, group in by_width(shown):
        active, explained = values(group, "l0"), values(group, "explained_variance")
        dense = statistics.mean(values(group, "firing_frequency") or [0.0]) > 0.5
        if active and explained and not dense:
            found.setdefault(name, []).append((statistics.mean(active), statistics.mean(explained)))
    if len(found) < 2:
        return None
    lines: dict[str, Points] = {name: tuple(zip(*line, strict=True)) for name, line in found.items()}  # type: ignore[misc]
    names = sorted(lines, key=lambda name: -lines[name][1][-1])
    title = f"Explained variance against active units on {data_of(records)}"
    drawn, ax = charts(names, title, f"{scope(shown)}{others(names)}")
    for panel, own, left, low in parts(drawn, names):
        draw(panel, lines, own)
        panel.set(xscale="log", ylabel="explained variance" if left else "")
        panel.set_xlabel(f"active units per {noun(records)} (L0, log scale)" if low else "")
        log_axis(panel.xaxis, panel.get_xlim(), PLAIN)
        panel.grid(True)
        label_right(ax, panel, {name: last(lines[name]) for name in own})
    return drawn


@figure
def error_against_cost(records: Sequence[Record]) -> Figure | None:
    """Mse against costs, and the variants that no other variant beats in both (Pareto front); None without costs.

    A cost that is known of fewer than half of the rows, such as seconds on a machine that did other work, is left out.

    An error below a tenth of the median is drawn at the bottom with its value beside it, to leave room for the others.
    Of more than a dozen rows, a dozen are labelled: those on the fronts, the best of each family, and so on.
    """
    shown = without_controls(records)
    groups = by_name(shown)
    error = {name: cell.mean for name, cell in cells(groups, "mse").items()}
    costs = {
        metric: {name: c.mean for name, c in cells(groups, metric).items() if name in error and c.mean > 0}
        for metric in COSTS
    }
    costs = {metric: cost for metric, cost in costs.items() if len(cost) >= max(2, len(error) / 2)}
    if not costs:
        return None
    foot = statistics.median(error.values()) / TINY
    foot = min((0.9 * value for value in error.values() if value >= foot), default=foot)
    height = {name: max(value, foot) for name, value in error.items()}
    labels = {name: terse(name) if value >= foot else f"{terse(name)}: {value:.1e}" for name, value in error.items()}
    fronts = {metric: pareto({name: (cost[name], error[name]) for name in cost}) for metric, cost in costs.items()}
    own = foremost([*error], {name for front in fronts.values() for name in front})
    wide, high = 2.5, max(ALONE[1], LINE * (len(own) + 2))
    title = f"Error against cost on {data_of(records)}"
    subtitle = f"ringed: the Pareto front{others([*error])}; {scope(shown)}{left_out(records)}"
    size = AXIS + len(costs) * (wide + 0.2) - 0.2 + label_room(labels[name] for name in own), HEAD + high + FOOT
    drawn, ax = sheet(*size, title, subtitle)
    panel = None
    for number, (metric, cost) in enumerate(costs.items()):
        panel = place(drawn, AXIS + number * (wide + 0.2), HEAD, wide, high, sharey=panel)
        x, y = [cost[name] for name in fronts[metric]], [height[name] for name in fronts[metric]]
        panel.step(x, y, where="post", color=MUTED, lw=0.8, zorder=1)
        panel.plot(x, y, "o", ms=8, mfc="none", mec=INK, mew=0.7)
        draw(panel, {name: ([cost[name]], [height[name]]) for name in cost}, own)
        label, formatter = COSTS[metric]
        panel.set(xscale="log", xlabel=label.format(noun=noun(records)))
        log_axis(panel.xaxis, panel.get_xlim(), formatter, most=5)
        error_axis(panel)
        if number:
            panel.set_ylabel("")
            panel.tick_params(labelleft=False)
    assert panel is not None
    label_right(ax, panel, {name: (min(cost.values()), height[name]) for name in own}, labels)
    return drawn


@figure
def training_curves(records: Sequence[Record]) -> Figure | None:
    """Train and validation objective after each epoch, a panel per variant; None where none has epochs.

    Of more than a dozen rows, a dozen are shown, the best of each family first. Controls are left out.
    """
    methods = without_controls(records)
    every = by_name(record for record in methods if len(record.fit.get("history", {}).get("epoch", [])) > 1)
    if not every:
        return None
    groups = {name: every[name] for name in foremost([*every])}
    columns = min(len(groups), max(3, math.ceil(math.sqrt(len(groups)))), 6)
    rows = math.ceil(len(groups) / columns)
    titles = {name: textwrap.wrap(terse(name), 28) for name in groups}
    above = 0.3 + LINE * max(0, max(map(len, titles.values())) - 2)
    wide, high, pitch = 1.3, 0.95, (1.85, 1.25 + above)
    title = f"Training on {data_of(records)}"
    lines = "each panel has its own scale, a line per seed; solid: validation, dotted: training, dot: the epoch kept"
    subtitle = selection(len(groups), len(every)) + lines
    drawn, ax = sheet(
        AXIS + (columns - 1) * pitch[0] + wide + 2 * MARGIN, HEAD + rows * pitch[1] + 0.35, title, subtitle
    )
    for k, (name, group) in enumerate(groups.items()):
        x, y = AXIS + k % columns * pitch[0], HEAD + k // columns * pitch[1] + above
        panel = place(drawn, x, y, wide, high)
        draw_training(panel, group)
        panel.set_title("\n".join(titles[name]), loc="left", size=SMALL, pad=3)
    ax.text(AXIS + (columns - 1) * pitch[0] / 2 + wide / 2, HEAD + rows * pitch[1] + 0.2, "epoch", ha="center")
    middle = HEAD + rows * pitch[1] / 2
    pairs = " or pair of words" if any(is_of_pairs(group[0]) for group in groups.values()) else ""
    ax.text(MARGIN, middle, f"objective (nats per {noun(records)}{pairs})", rotation=90, ha="center", va="center")
    return drawn


def is_of_pairs(record: Record) -> bool:
    """Whether a model is fitted to pairs of words and contexts, so that its objective is one of pairs."""
    source: dict[str, Any] = record.config.get("data", {}).get("source", {})
    return source.get("vectors") == "one_hot"


def draw_training(panel: Axes, group: Sequence[Record]) -> None:
    """Draw the objective of every seed; the first tenth of the epochs, and a loss that jumps, may leave the panel."""
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
    low, most = min(late), statistics.quantiles(late, n=10)[-1] if len(late) > 1 else max(late)
    high = min(max(late), low + JUMP * (most - low)) if most > low else max(late)
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
