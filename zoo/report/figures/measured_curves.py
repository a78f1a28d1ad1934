"""Figures of the curves that the evaluator measures: error against bits, and against the level of corruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.report.figures.curves import (
    AXIS,
    ERROR,
    FOOT,
    LINE,
    PLAIN,
    error_axis,
    label_right,
    label_room,
    log_axis,
    panel_height,
)
from zoo.report.figures.register import figure
from zoo.report.figures.style import HEAD, INK, look, place, sheet
from zoo.report.statistics import by_name
from zoo.runs.records import Record

OUTSIDE = {"bd_rate_against_jpeg": "JPEG", "bd_rate_against_webp": "WebP"}
CORRUPTIONS = {
    "denoising_gaussian_mse": "Gaussian noise",
    "denoising_salt_and_pepper_mse": "salt and pepper",
    "depixelation_mse": "pixelation",
    "inpainting_block_inside_mse": "inside a masked block",
    "inpainting_pixels_inside_mse": "inside masked pixels",
    "stain_inside_mse": "under blots and creases",
}
LEAST_BITS = 1.0
ROOM_BELOW = 0.5  # share of the least error of a variant down to which the outside references are drawn
DASHES = ("--", ":", "-.")

Points = tuple[list[float], list[float]]


@figure
def rate_distortion(records: Sequence[Record]) -> Figure | None:
    """Error of decoded quantised codes against their bits, with JPEG and WebP; None without rates.

    A star is a variational method at the rate of bits-back coding: the error of images decoded from sampled codes.
    """
    groups = by_name(records)
    lines = {name: line for name, group in groups.items() if (line := rate_line(group[0], "code_bits"))}
    if not lines:
        return None
    (first, *_) = (group[0] for name, group in groups.items() if name in lines)
    least = ROOM_BELOW * min(min(mse) for _, mse in lines.values())
    outside = {label: line for metric, label in OUTSIDE.items() if (line := rate_line(first, metric, least))}
    wide, high = 4.6, panel_height(len(lines) + len(outside))
    title = f"Rate and distortion on {records[0].data}"
    stars = {name: point for name in lines if (point := rate_line(groups[name][0], "bits_back"))}
    marks = f"{'star: sampled codes, bits-back; ' if stars else ''}dashed: outside references"
    subtitle = f"codes quantised on a grid of steps, entropy-coded; {marks}; seed {first.seed}"
    figure, ax = sheet(AXIS + wide + label_room([*lines, *outside]), HEAD + high + FOOT, title, subtitle)
    panel = place(figure, AXIS, HEAD, wide, high)
    drawn(panel, lines, outside)
    for name, point in stars.items():
        panel.plot(*point, marker="*", ms=9, color=look(name)[0], mec=INK, mew=0.5, ls="none")
    panel.set(xscale="log", xlabel="bits per image (log scale)")
    log_axis(panel.xaxis, panel.get_xlim(), PLAIN)
    error_axis(panel)
    label_right(ax, panel, {name: (x[-1], y[-1]) for name, (x, y) in {**lines, **outside}.items()}, plain=outside)
    return figure


@figure
def robustness_curves(records: Sequence[Record]) -> Figure | None:
    """Error of each variant against the level of a corruption, a panel per corruption; None without any."""
    firsts = {name: group[0] for name, group in by_name(records).items()}
    panels = {}
    for metric in CORRUPTIONS:
        curves = {name: curve for name, record in firsts.items() if (curve := curve_of(record, metric))}
        if curves:
            panels[metric] = curves
    if not panels:
        return None
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    columns, wide, high = 3, 2.2, max(1.7, LINE * (len(names) + 1))
    rows = -(-len(panels) // columns)
    pitch = wide + 0.55, high + 0.85
    title = f"Robustness to corruption on {records[0].data}"
    subtitle = f"{ERROR} against the clean image (log scale); black: without a model; seed {firsts[names[0]].seed}"
    size = AXIS + columns * pitch[0] - 0.55 + label_room(names), HEAD + rows * pitch[1]
    figure, ax = sheet(*size, title, subtitle)
    for number, (metric, curves) in enumerate(panels.items()):
        x, y = AXIS + number % columns * pitch[0], HEAD + number // columns * pitch[1] + 0.2
        panel = place(figure, x, y, wide, high)
        axis = next(iter(next(iter(curves.values()))))
        lines = {name: (curve[axis], curve["model"]) for name, curve in curves.items()}
        reference = next(iter(curves.values()))
        rivals = {key: (reference[axis], reference[key]) for key in reference if key not in (axis, "model")}
        drawn(panel, lines, rivals)
        panel.set_title(CORRUPTIONS[metric], loc="left", size=8)
        panel.set(xlabel=axis, xticks=reference[axis])
        panel.xaxis.set_major_formatter(PLAIN)
        error_axis(panel)
        panel.set_ylabel("")
        for dashes, rival in zip(DASHES, rivals, strict=False):
            panel.plot([], [], dashes, color=INK, lw=0.9, label=rival)
        panel.legend(frameon=False, fontsize=6, loc="best", handlelength=2)
        if number % columns == columns - 1 or number == len(panels) - 1:
            label_right(ax, panel, {name: (x[-1], y[-1]) for name, (x, y) in lines.items()})
    return figure


def drawn(panel: Axes, lines: Mapping[str, Points], references: Mapping[str, Points]) -> None:
    """Draw a line per variant in its colour, and the references in dashes."""
    for name, (x, y) in lines.items():
        colour, marker = look(name)
        panel.plot(x, y, color=colour, marker=marker, ms=3.5, mec="white", mew=0.3, lw=0.9)
    for dashes, (x, y) in zip(DASHES, references.values(), strict=False):
        panel.plot(x, y, dashes, color=INK, lw=0.9)


def rate_line(record: Record, metric: str, least: float = 0.0) -> Points | None:
    """Bits per image and mse, by bits; left out: steps too coarse to cost a bit, errors below `least`."""
    curve = curve_of(record, metric)
    if curve is None:
        return None
    points = sorted(p for p in zip(curve["bits"], curve["mse"], strict=True) if p[0] >= LEAST_BITS and p[1] >= least)
    return ([bits for bits, _ in points], [mse for _, mse in points]) if points else None


def curve_of(record: Record, metric: str) -> dict[str, Any] | None:
    """The curve of a metric in a record, if there is one."""
    found: dict[str, Any] | None = record.metrics.get(metric, {}).get("curve")
    return found
