"""Figures made of images: test images as each variant returns them, and images drawn from its prior."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from zoo.errors import ZooError
from zoo.figures.seeds import Estimate, by_name, estimate, scope, values
from zoo.figures.strips import decode_strip
from zoo.figures.style import (
    DPI,
    HEAD,
    INK,
    LARGE,
    MARGIN,
    MUTED,
    NORMAL,
    SMALL,
    look,
    sheet,
    significant,
    styled,
    text_width,
)
from zoo.records import Record

CELL = 0.42  # inches of an image
GAP = 0.04  # inches between images
LINE = 0.125  # inches of a line of label
WRAP = 24  # characters in a line of label
TALL = 24  # rows in one column of a figure
IMAGES = 12  # images in a row of a figure of one column
APART = 0.08  # inches above a row that stands apart
BAR, BAR_TEXT = 1.5, 1.0  # inches of the longest bar, and of the number at its end


@dataclass(frozen=True)
class Row:
    """Images (N, C, H, W) under a name, with a remark in a smaller type; `apart` leaves room above."""

    name: str
    remark: str
    images: Tensor
    apart: bool = False

    @property
    def label(self) -> list[tuple[str, float, str]]:
        """Lines beside the images, as text, size and colour: the name, broken at spaces, and the remark."""
        name = textwrap.wrap(self.name, WRAP, break_long_words=False, break_on_hyphens=False)
        remark = [(self.remark, SMALL, MUTED)] if self.remark else []
        return [(line, NORMAL, INK) for line in name] + remark


@styled
def reconstructions(records: Sequence[Record]) -> Figure | None:
    """The test images, and below them what each variant makes of them, best first; None without images."""
    shown = with_images(records, "original", "reconstruction")
    if not shown:
        return None
    original = Row("original", "", common_original(shown))
    rows = [Row(r.name, mse_text(records, r.name), decode_strip(r.images["reconstruction"])) for r in shown]
    return picture(original, rows, f"Test images of {data(shown)}, reconstructed", scope(records))


@styled
def damage(records: Sequence[Record]) -> Figure | None:
    """What variants that learn from damaged images are shown and return; None where there are none."""
    shown = with_images(records, "original", "corrupted", "restored")
    if not shown:
        return None
    original = Row("original", "", common_original(shown))
    rows = []
    for record in shown:
        rows.append(Row(record.name, "is shown", decode_strip(record.images["corrupted"]), apart=True))
        rows.append(Row("", "returns", decode_strip(record.images["restored"])))
    return picture(original, rows, f"Damaged test images of {data(shown)}, restored", scope(shown))


@styled
def samples(records: Sequence[Record]) -> Figure | None:
    """Images that each variant decodes from codes drawn from its prior; None where none has a prior."""
    shown = with_images(records, "samples")
    if not shown:
        return None
    rows = [Row(r.name, "", decode_strip(r.images["samples"])) for r in shown]
    subtitle = f"decoded from random codes, each from the variant's own prior; {scope(shown)}"
    return picture(None, rows, f"Images drawn from models of {data(shown)}", subtitle)


@styled
def overview(records: Sequence[Record]) -> Figure | None:
    """What each variant makes of the test images, beside its error as a bar; None without images."""
    shown = with_images(records, "original", "reconstruction")
    if not shown:
        return None
    original = Row("original", "", common_original(shown))
    rows = [Row(r.name, "", decode_strip(r.images["reconstruction"])) for r in shown]
    title = f"Bottlenecks side by side on {data(shown)}"
    return picture(
        original, rows, title, scope(records), bars={r.name: errors(records, r.name) for r in shown}
    )


def with_images(records: Iterable[Record], *strips: str) -> list[Record]:
    """The first seed of every row that has all of `strips`, best row first."""
    first = (group[0] for group in by_name(records).values())
    return [record for record in first if all(strip in record.images for strip in strips)]


def common_original(records: Sequence[Record]) -> Tensor:
    """The test images that all `records` show.

    Raises:
        ZooError: they do not show the same ones.
    """
    first, *others = records
    original = decode_strip(first.images["original"])
    for other in others:
        if not torch.equal(original, decode_strip(other.images["original"])):
            raise ZooError(
                f"the records of {first.name!r} ({first.hash}) and {other.name!r} ({other.hash}) show "
                "different test images; run the older one again with force=true"
            )
    return original


def data(records: Sequence[Record]) -> str:
    """Name of the data set, for a title."""
    return records[0].data


def errors(records: Iterable[Record], name: str) -> Estimate | None:
    """The mse of the row `name` over its seeds."""
    return estimate(values((record for record in records if record.name == name), "mse"))


def mse_text(records: Iterable[Record], name: str) -> str:
    """The remark "mse 0.0123" on the row `name`; empty where it has none."""
    mse = errors(records, name)
    return "" if mse is None else f"mse {significant(mse.mean)}"


def picture(
    original: Row | None,
    rows: Sequence[Row],
    title: str,
    subtitle: str,
    bars: Mapping[str, Estimate | None] | None = None,
) -> Figure:
    """Rows of images in as many columns as they need.

    Args:
        original: stands at the head of each column.
        rows: from top to bottom.
        title: of the figure.
        subtitle: in smaller type below it.
        bars: errors by the rows' names, drawn to the right of the images.
    """
    head = [original] if original else []
    columns = math.ceil(len(rows) / TALL)
    parts = [[*head, *(rows[i] for i in part)] for part in np.array_split(np.arange(len(rows)), columns)]
    most = max(IMAGES // columns, 5) if bars is None else max(IMAGES // columns - 2, 4)
    count = min(most, *(len(row.images) for row in [*head, *rows]))
    side = image_side(rows[0].images.shape[-2])
    lines = [line for row in [*head, *rows] for line in row.label]
    label = max(text_width(text, size) for text, size, _ in lines) + 0.1
    pitch = on_pixels(max(side, LINE * max(len(row.label) for row in rows)) + GAP)
    strip = count * (side + GAP)
    column = label + strip + (0.0 if bars is None else 0.1 + BAR + BAR_TEXT)
    width = max(columns * (column + 2 * MARGIN), text_width(title, LARGE, "bold") + 2 * MARGIN)
    height = max(len(part) * pitch + sum(row.apart for row in part) * APART for part in parts)
    figure, ax = sheet(width, HEAD + height + MARGIN, title, subtitle)
    for number, part in enumerate(parts):
        left, y = on_pixels(MARGIN + number * (column + 2 * MARGIN) + label), HEAD
        for row in part:
            y = on_pixels(y + row.apart * APART)
            centre = y + (pitch - GAP) / 2
            draw_label(ax, row, left - 0.1, centre)
            draw_strip(ax, row.images[:count], left, on_pixels(centre - side / 2), side)
            if bars is not None:
                draw_bar(ax, row, bars, left + strip + 0.1, centre)
            y += pitch
    return figure


def on_pixels(inches: float) -> float:
    """The nearest whole number of pixels, in inches: images placed there stay sharp."""
    return round(inches * DPI) / DPI


def image_side(pixels: int) -> float:
    """Inches of an image of so many pixels a side: a whole multiple of its pixels where that fits a cell."""
    return on_pixels(CELL) if pixels > CELL * DPI else round(CELL * DPI / pixels) * pixels / DPI


def draw_label(ax: Axes, row: Row, right: float, centre: float) -> None:
    """Write the lines of a row's label, ending at `right`."""
    for k, (text, size, colour) in enumerate(row.label):
        y = centre + (k - (len(row.label) - 1) / 2) * LINE
        ax.text(right, y, text, size=size, color=colour, ha="right", va="center_baseline")


def draw_strip(ax: Axes, images: Tensor, x: float, y: float, side: float) -> None:
    """Draw images (N, C, H, W) side by side, the first one's upper left corner at (x, y)."""
    interpolation = "nearest" if images.shape[-1] <= side * DPI else "antialiased"
    for k, image in enumerate(images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()):
        left = on_pixels(x + k * (side + GAP))
        extent = (left, left + side, y + side, y)
        ax.imshow(image, extent=extent, aspect="auto", interpolation=interpolation)


def draw_bar(ax: Axes, row: Row, bars: Mapping[str, Estimate | None], x: float, centre: float) -> None:
    """Draw the error of `row` with its interval and number; above the first row, say what the bars are."""
    if row.name not in bars:
        ax.text(x, centre, "mean squared error per pixel", size=SMALL, color=MUTED, va="center_baseline")
        return
    error = bars[row.name]
    if error is None:
        return
    scale = BAR / max(e.mean + (e.half_width or 0.0) for e in bars.values() if e)
    ax.add_patch(
        Rectangle((x, centre - 0.09), scale * error.mean, 0.18, color=look(row.name)[0], linewidth=0)
    )
    end, text = scale * error.mean, significant(error.mean)
    if error.half_width is not None:
        low, high = scale * (error.mean - error.half_width), scale * (error.mean + error.half_width)
        ax.plot((x + max(low, 0.0), x + high), (centre, centre), color=INK, linewidth=1)
        end, text = high, f"{text} ± {error.half_width:.1g}"
    ax.text(x + end + 0.06, centre, text, size=SMALL, va="center_baseline")
