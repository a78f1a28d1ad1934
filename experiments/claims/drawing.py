"""What the figures of claims are made of: panels of lines and of dots with intervals, and rows of images.

The style of all figures is in force while `Claim.draw` is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from experiments.claims.claim import Number, plain
from zoo.catalogue import title_of
from zoo.report.figures.panels import PLAIN, log_axis
from zoo.report.figures.style import HEAD, INK, MARGIN, MUTED, SMALL, oklch, place, sheet

COLOURS = tuple(oklch(0.45 + 0.15 * (k % 2), 0.14, 0.71 + 0.381966 * k) for k in range(12))
MARKERS = "os^Dv<>phPX*"
FOOT = 0.5  # inches below the lowest panel: its ticks and its label
TICKS = 5  # labelled, of a logarithmic axis
CELL = 0.5  # inches of an image

Box = tuple[float, float, float, float]


def look(k: int) -> dict[str, Any]:
    """Colour and marker of the k-th series of a figure."""
    return {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)]}


def canvas(
    found: Iterable[str], title: str, subtitle: str, boxes: Sequence[Box], right: float = 0.0
) -> tuple[Figure, list[Axes]]:
    """A figure under a headline, and an axes for each box: left, top, width, height, in inches below the headline.

    Args:
        found: the data sets, which the subtitle names.
        title: of the figure.
        subtitle: what it shows.
        boxes: one per axes.
        right: inches that are kept free to the right of all boxes, for a legend.
    """
    width = max(left + wide for left, _, wide, _ in boxes) + MARGIN + right
    height = max(top + high for _, top, _, high in boxes) + HEAD + FOOT
    figure, _ = sheet(width, height, title, f"{', '.join(map(title_of, found))}: {subtitle}")
    return figure, [place(figure, left, HEAD + top, wide, high) for left, top, wide, high in boxes]


def draw_lines(ax: Axes, series: Mapping[str, tuple[Sequence[float], Sequence[Number]]], legend: bool = True) -> None:
    """Numbers over x, a line with its intervals for each series; the legend stands to the right of the panel."""
    for k, (name, (x, numbers)) in enumerate(series.items()):
        y, bars = [one.value for one in numbers], errors(numbers)
        ax.errorbar(x, y, bars, label=name, ms=3.5, mec="white", mew=0.3, elinewidth=0.8, **look(k))
    ax.grid(True)
    if legend:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03), fontsize=SMALL, frameon=False)


def draw_dots(ax: Axes, numbers: Mapping[str, Number], bound: float | None = None, first: int = 0) -> None:
    """Numbers from top to bottom, each with its interval and its value.

    Args:
        ax: the panel.
        numbers: by name.
        bound: is marked by a line.
        first: the colour of the first number; that of a series keeps its place in panels that lack the ones before it.
    """
    places = range(len(numbers))
    if bound is not None:
        ax.axvline(bound, color=MUTED, lw=0.8, ls="--")
    for k, one in enumerate(numbers.values()):
        ax.errorbar(
            [one.value], [k], xerr=errors([one]), ms=4, capsize=2, elinewidth=0.9, **look(first + k) | {"marker": "o"}
        )
        ax.annotate(
            plain(one.value), (one.value, k), (0, 5), textcoords="offset points", ha="center", size=SMALL, color=INK
        )
    ax.set_yticks(list(places), list(numbers))
    ax.set_ylim(len(numbers) - 0.5, -0.6)
    ax.grid(True, axis="x")


def log_scale(ax: Axes) -> None:
    """Make the x axis of a panel with dots logarithmic, with plain numbers."""
    ax.set_xscale("log")
    log_axis(ax.xaxis, ax.get_xlim(), PLAIN, most=TICKS)


def errors(numbers: Sequence[Number]) -> list[list[float]]:
    """Lengths of the intervals below and above the numbers, as matplotlib takes them."""
    below = [one.value - (one.value if one.low is None else one.low) for one in numbers]
    above = [(one.value if one.high is None else one.high) - one.value for one in numbers]
    return [below, above]


def rows_box(left: float, top: float, count: int, rows: int, cell: float = CELL) -> Box:
    """The box that `rows` rows of `count` images take."""
    return left, top, count * cell, rows * cell


def draw_rows(ax: Axes, rows: Mapping[str, Tensor]) -> None:
    """Rows of images: {name: (N, C, H, W) in [0, 1], clipped}; shorter ones end in white."""
    height = next(iter(rows.values())).shape[2] + 2
    most = max(map(len, rows.values()))
    strips = []
    for images in rows.values():
        framed = F.pad(images.clamp(0, 1), (1, 1, 1, 1), value=1.0)
        filled = torch.cat([framed, torch.ones(most - len(images), *framed.shape[1:])])
        strips.append(filled.permute(1, 2, 0, 3).flatten(2))
    whole = torch.cat(strips, 1).movedim(0, -1).expand(-1, -1, 3)
    ax.imshow(whole.numpy(), interpolation="nearest", aspect="auto")
    ax.set_yticks([(k + 0.5) * height - 0.5 for k in range(len(rows))], list(rows))
    ax.set_xticks([])
    ax.tick_params(length=0, labelcolor=INK)
    for spine in ax.spines.values():
        spine.set_visible(False)
