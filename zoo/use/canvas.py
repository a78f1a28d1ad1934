"""How pictures of models are laid out: strips and tiles of images, and maps of the features of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from zoo.report.figures.pictures import GAP, SIGNED, draw_strip
from zoo.report.figures.style import (
    DPI,
    HEAD,
    INK,
    MARGIN,
    MUTED,
    NORMAL,
    SMALL,
    on_pixels,
    place,
    sheet,
    styled,
    text_width,
)
from zoo.samples import Form

SIDE, LARGER = 0.55, 0.9  # inches of the longer side of a picture; of one with more than 64 pixels a side
APART, LINE = 0.16, 0.13  # inches between groups of rows, and of a line of text
ROW, COLUMN = 0.15, 0.13  # inches of a feature and of a sample in a map
FEATURES = 24  # rows of a map
WIDE = 11.0  # inches, beyond which panels go to the next row


@dataclass(frozen=True)
class Strip:
    """Images (N, C, H, W) side by side, with a label at their left; `apart` leaves room above."""

    label: str
    images: Tensor
    apart: bool = False


@dataclass(frozen=True)
class Panel:
    """A map of values (features, samples) under a name, with a mark on each sample's column below it."""

    name: str
    values: NDArray[np.float64]
    marks: Sequence[str] = ()


def shades(form: Form, x: NDArray[np.float32]) -> Tensor:
    """Images in their original units as pictures: (N, 1 or 3, H, W) in [0, 1].

    Of four channels the first three are taken for red, green and blue; of other numbers, the mean is shown.
    """
    arranged = torch.from_numpy(np.ascontiguousarray(x)).reshape(-1, *form.shape)
    if form.channels == "last":
        arranged = arranged.permute(0, 3, 1, 2)
    arranged = arranged.reshape(-1, *form.inner_shape)
    inner = ((arranged - form.shift[0]) / form.scale[0]).clamp(0, 1)
    return coloured(inner)


def coloured(inner: Tensor) -> Tensor:
    """(N, C, H, W) as grey or red, green and blue."""
    channels = inner.shape[1]
    if channels in (1, 3):
        return inner
    return inner[:, :3] if channels == 4 else inner.mean(1, keepdim=True)


def sides(images: Tensor, side: float | None = None) -> tuple[float, float]:
    """Inches of the height and the width of images (N, C, H, W): whole multiples of a pixel where they are small."""
    h, w = images.shape[-2:]
    longer = max(h, w)
    target = side or (SIDE if longer <= 64 else LARGER)
    inches = round(target * DPI / longer) * longer / DPI if longer <= target * DPI else target
    return max(on_pixels(inches * h / longer), 2 / DPI), max(on_pixels(inches * w / longer), 2 / DPI)


@styled
def strips(rows: Sequence[Strip], title: str, subtitle: str, most: int = 12) -> Figure:
    """Rows of images under one another, at most `most` in a row."""
    high, wide = sides(rows[0].images)
    count = min(most, max(len(row.images) for row in rows))
    left = on_pixels(MARGIN + max(text_width(row.label) for row in rows) + 0.1)
    pitch = on_pixels(max(high + GAP, LINE + 0.02))
    height = HEAD + len(rows) * pitch + APART * sum(row.apart for row in rows) + MARGIN
    figure, ax = sheet(left + count * (wide + GAP) + MARGIN, height, title, subtitle)
    y = HEAD
    for row in rows:
        y = on_pixels(y + APART * row.apart)
        ax.text(left - 0.1, y + high / 2, row.label, ha="right", va="center_baseline")
        draw_strip(ax, row.images[:count], left, y, high, wide)
        y += pitch
    return figure


@styled
def tiles(images: Tensor, labels: Sequence[str], title: str, subtitle: str, across: int = 10) -> Figure:
    """Images in rows of `across`, each with a small label below it; no labels are drawn where there are none."""
    high, wide = sides(images)
    wide_pitch = max(wide + GAP, max((text_width(label, SMALL) for label in labels), default=0.0) + 0.06)
    pitch = on_pixels(high + GAP + (LINE + 0.06 if labels else 0))
    down = math.ceil(len(images) / across)
    figure, ax = sheet(
        2 * MARGIN + min(across, len(images)) * wide_pitch, HEAD + down * pitch + MARGIN, title, subtitle
    )
    for number, image in enumerate(images):
        x = on_pixels(MARGIN + (number % across) * wide_pitch)
        y = on_pixels(HEAD + (number // across) * pitch)
        draw_strip(ax, image[None], x, y, high, wide)
        if labels:
            ax.text(x + wide / 2, y + high + 0.02, labels[number], size=SMALL, color=MUTED, ha="center", va="top")
    return figure


@styled
def maps(panels: Sequence[Panel], features: Sequence[str], title: str, subtitle: str, bar: str, end: float) -> Figure:
    """Maps side by side of at most 24 features, those that vary most in them.

    Args:
        panels: the maps.
        features: names of the rows.
        title: of the figure.
        subtitle: in smaller type below it.
        bar: what the colours mean.
        end: the value of the strongest colour.
    """
    spread = np.concatenate([panel.values for panel in panels], 1).std(1)
    rows = np.sort(np.argsort(-spread, kind="stable")[:FEATURES])
    if len(rows) < len(spread):
        subtitle += f"; the {len(rows)} of {len(spread)} features that vary most"
    names = [shortened(features[row]) for row in rows]
    label = MARGIN + max(map(text_width, names)) + 0.08
    widths = [max(panel.values.shape[1] * COLUMN, text_width(panel.name) + 0.05) + 0.15 for panel in panels]
    lines: list[list[int]] = [[]]
    for number, width in enumerate(widths):
        if lines[-1] and sum(widths[i] for i in lines[-1]) + width > WIDE:
            lines.append([])
        lines[-1].append(number)
    marks = LINE if any(panel.marks for panel in panels) else 0.0
    block = on_pixels(0.2 + len(rows) * ROW + marks + APART)
    across = label + max(sum(widths[i] for i in line) for line in lines)
    figure, ax = sheet(
        max(across, label + 1.4 + text_width(bar, SMALL)) + 0.2, HEAD + len(lines) * block + 0.5, title, subtitle
    )
    for at, line in enumerate(lines):
        top, x = HEAD + at * block + 0.2, label
        for k, name in enumerate(names):
            ax.text(label - 0.06, top + (k + 0.5) * ROW, name, ha="right", va="center_baseline")
        for number in line:
            values = panels[number].values[rows]
            wide = values.shape[1] * COLUMN
            ax.text(x, top - 0.06, panels[number].name, va="bottom")
            extent = (x, x + wide, top + len(rows) * ROW, top)
            ax.imshow(values, cmap=SIGNED, vmin=-end, vmax=end, extent=extent, aspect="auto", interpolation="nearest")
            for k, mark in enumerate(panels[number].marks):
                y = top + len(rows) * ROW + 0.03
                ax.text(x + (k + 0.5) * COLUMN, y, mark, size=SMALL, color=MUTED, ha="center", va="top")
            x += widths[number]
    draw_bar_of_colours(ax, label, HEAD + len(lines) * block + 0.02, bar, end)
    return figure


def draw_bar_of_colours(ax: Axes, x: float, y: float, text: str, end: float) -> None:
    """The scale of a map's colours, from -end to end."""
    ax.imshow(np.linspace(-1, 1, 64)[None], cmap=SIGNED, extent=(x, x + 1.2, y + 0.1, y), aspect="auto")
    for at, value in ((0.0, -end), (0.6, 0.0), (1.2, end)):
        ax.text(x + at, y + 0.13, f"{value:.2g}", size=SMALL, color=MUTED, ha="center", va="top")
    ax.text(x + 1.4, y + 0.06, text, size=SMALL, color=MUTED, va="center_baseline")


@styled
def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    shade: NDArray[np.float64],
    title: str,
    subtitle: str,
) -> Figure:
    """A table of texts, the first column at its left; each cell's background is `shade`, 0 for white to 1 for red."""
    columns = list(zip(head, *rows, strict=True))
    widths = [max(text_width(cell) for cell in column) + 0.16 for column in columns]
    figure, ax = sheet(2 * MARGIN + sum(widths), HEAD + (len(rows) + 1) * 0.19 + MARGIN, title, subtitle)
    for line, row in enumerate([head, *rows]):
        y, x = HEAD + line * 0.19, MARGIN
        for column, cell in enumerate(row):
            right = x + widths[column]
            if line and (strength := min(float(shade[line - 1, column]), 1.0)) > 0:
                ax.fill_between((x, right), y, y + 0.19, color="#d6604d", alpha=0.75 * strength, lw=0)
            at, side = (x, "left") if column == 0 else (right - 0.08, "right")
            ax.text(at, y + 0.1, cell, ha=side, va="center_baseline", color=INK if line else MUTED, size=NORMAL)
            x = right
    return figure


def framed(width: float, height: float, title: str, subtitle: str, legend: float = 0.0) -> tuple[Figure, Axes, Axes]:
    """A figure with one plot, and room of `legend` inches at its right; the plot's axes, and those of the sheet."""
    figure, whole = sheet(0.75 + width + 0.2 + legend, HEAD + height + 0.55, title, subtitle)
    return figure, place(figure, 0.6, HEAD, width, height), whole


def shortened(name: str, most: int = 28) -> str:
    """A name of at most so many characters."""
    return name if len(name) <= most else name[: most - 1] + "…"
