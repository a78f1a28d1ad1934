"""Figures of the curves that the evaluator measures: error against bits, and against the level of corruption."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from zoo.report.figures.panels import (
    AXIS,
    ERROR,
    LINE,
    MOST,
    PLAIN,
    Points,
    charts,
    draw,
    draw_references,
    error_axis,
    foremost,
    key,
    label_right,
    label_room,
    last,
    left_out,
    log_axis,
    others,
    parts,
    without_controls,
)
from zoo.report.figures.register import figure
from zoo.report.figures.style import HEAD, INK, look, place, sheet
from zoo.report.statistics import by_name, data_of, listing, noun
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
BEYOND = 1.1  # factor by which an axis of errors reaches beyond its lines
KEY = 0.15  # inches of a line that names the references
ROOM_BELOW = 0.5  # share of the least error of a variant down to which the outside references are drawn


@figure
def rate_distortion(records: Sequence[Record]) -> Figure | None:
    """Error of decoded quantised codes against their bits, with JPEG and WebP; None without rates.

    A star is a variational method at the rate of bits-back coding: the error of images decoded from sampled codes.
    """
    groups = by_name(without_controls(records))
    lines = {name: line for name, group in groups.items() if (line := rate_line(group[0], "code_bits"))}
    if not lines:
        return None
    (first, *_) = (group[0] for name, group in groups.items() if name in lines)
    least = ROOM_BELOW * min(min(mse) for _, mse in lines.values())
    outside = {label: line for metric, label in OUTSIDE.items() if (line := rate_line(first, metric, least))}
    controls = left_out(record for record in records if curve_of(record, "code_bits"))
    title = f"Rate and distortion on {data_of(records)}"
    stars = {name: point for name in lines if (point := rate_line(groups[name][0], "bits_back"))}
    star = "; star: sampled codes, bits-back" if stars else ""
    grey = others([*lines], MOST - len(outside))
    seeds = f"seed {listing(groups[name][0].seed for name in lines)}"
    subtitle = f"codes quantised on a grid of steps, entropy-coded{star}{grey}; {seeds}{controls}"
    drawn, ax = charts([*lines], title, subtitle, [*outside])
    for panel, own, left, low in parts(drawn, [*lines], [*outside]):
        draw(panel, lines, own, ms=3.5, lw=0.9)
        for name in own:
            if name in stars:
                panel.plot(*stars[name], marker="*", ms=9, color=look(name)[0], mec=INK, mew=0.5, ls="none")
        draw_references(panel, outside, [*outside])
        panel.set(xscale="log", xlabel=f"bits per {noun(records)} (log scale)" if low else "")
        log_axis(panel.xaxis, panel.get_xlim(), PLAIN)
        error_axis(panel)
        panel.set_ylabel(panel.get_ylabel() if left else "")
        ends = {name: last(line) for name, line in {**lines, **outside}.items() if name in own or name in outside}
        label_right(ax, panel, ends, references=[*outside])
    return drawn


@figure
def robustness_curves(records: Sequence[Record]) -> Figure | None:
    """Error of each variant against the level of a corruption, a panel per corruption; None without any.

    A dozen lines are labelled: what is achieved without a model, and the best of each family first. The range of
    each axis is that of these lines.
    """
    firsts = {name: group[0] for name, group in by_name(without_controls(records)).items()}
    panels = {}
    for metric in CORRUPTIONS:
        curves = {name: curve for name, record in firsts.items() if (curve := curve_of(record, metric))}
        if curves:
            panels[metric] = curves
    if not panels:
        return None
    names = [name for name in firsts if any(name in curves for curves in panels.values())]
    every = [*dict.fromkeys(k for curves in panels.values() for k in rivals_of(next(iter(curves.values()))))]
    own = foremost(names, most=MOST - len(every))
    columns, wide, high = 3, 2.2, max(1.7, LINE * (len(own) + 1))
    rows = -(-len(panels) // columns)
    pitch = wide + 0.55, high + 0.85
    title = f"Robustness to corruption on {data_of(records)}"
    seeds = f"seed {listing(firsts[name].seed for name in names)}"
    against = f"{ERROR} against the clean {noun(records)} (log scale)"
    controls = left_out(record for record in records if any(curve_of(record, metric) for metric in panels))
    subtitle = f"{against}; black: without a model{others(names, len(own))}; {seeds}{controls}"
    size = AXIS + columns * pitch[0] - 0.55 + label_room(own), HEAD + KEY + rows * pitch[1]
    drawn, ax = sheet(*size, title, subtitle)
    key(ax, every, AXIS, HEAD)
    for number, (metric, curves) in enumerate(panels.items()):
        x, y = AXIS + number % columns * pitch[0], HEAD + KEY + number // columns * pitch[1] + 0.2
        panel = place(drawn, x, y, wide, high)
        reference = next(iter(curves.values()))
        axis = next(iter(reference))
        curves = {name: curve for name, curve in curves.items() if curve.keys() == reference.keys()}
        lines: dict[str, Points] = {name: (curve[axis], curve["model"]) for name, curve in curves.items()}
        draw(panel, lines, own, ms=3.5, lw=0.9)
        draw_references(panel, {name: (reference[axis], reference[name]) for name in rivals_of(reference)}, every)
        labelled = [
            *(lines[name][1] for name in own if name in lines),
            *(reference[name] for name in rivals_of(reference)),
        ]
        # a logarithmic axis has no 0, which images of coarse blocks have when they are pixelated
        errors = [error for line in labelled for error in line if error > 0] or [1.0]
        panel.set_ylim(min(errors) / BEYOND, max(errors) * BEYOND)
        panel.set_title(CORRUPTIONS[metric], loc="left", size=8)
        panel.set(xlabel=axis, xticks=reference[axis])
        panel.xaxis.set_major_formatter(PLAIN)
        error_axis(panel)
        panel.set_ylabel("")
        if number % columns == columns - 1 or number == len(panels) - 1:
            label_right(ax, panel, {name: last(line) for name, line in lines.items() if name in own})
    return drawn


def rivals_of(curve: Mapping[str, Any]) -> list[str]:
    """The columns of a curve that are errors without a model."""
    return [name for name in [*curve][1:] if name != "model"]


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
