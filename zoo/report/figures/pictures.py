"""Figures made of images: reconstructions of test images, and samples from priors."""

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
from zoo.report.figures.panels import ERROR, foremost, left_out, selection, terse, without_controls
from zoo.report.figures.register import figure
from zoo.report.figures.style import (
    DPI,
    HEAD,
    INK,
    MARGIN,
    MUTED,
    NORMAL,
    SMALL,
    broken,
    look,
    on_pixels,
    sheet,
    text_width,
)
from zoo.report.statistics import Cell, by_name, cells, data_of, listing, models, scope
from zoo.runs.records import Record
from zoo.runs.strips import STEPS, decode_strip

CELL = 0.42  # inches of an image
GAP = 0.04  # inches between images
LEAST_WIDTH = 6.0  # inches of a figure that a line of its subtitle may take
APART = 0.1  # inches above a group of several rows
LINE = 0.135  # inches of a line of label
WRAP = 30  # characters in a line of label
TALL = 24  # rows in one column of a figure
IMAGES = 12  # images in a row of a figure of one column
SAMPLES, FEW = 10, 8  # samples in a row; variants, at most, that may show several rows of them
SIGNED = "RdBu_r"
BAR, BAR_TEXT = 1.5, 1.0  # inches of the longest bar, and of the number at its end


@dataclass(frozen=True)
class Row:
    """Images (N, C, H, W) under a name, with a remark below it."""

    name: str
    remark: str
    images: Tensor

    @property
    def label(self) -> list[tuple[str, float, str]]:
        """Lines beside the images, as text, size and colour: the variant, its changes, the remark."""
        variant, _, changes = terse(self.name).partition(" ")
        return [
            *((text, NORMAL, INK) for text in [variant] if text),
            *((text, SMALL, MUTED) for text in textwrap.wrap(changes, WRAP, break_long_words=False)),
            *((text, SMALL, INK) for text in [self.remark] if text),
        ]


@figure
def overview(records: Sequence[Record]) -> Figure | None:
    """Reconstructions of test images by each variant, with its error as a bar; None without images.

    Controls are left out.
    """
    shown, some = with_images(without_controls(records), "original", "reconstruction")
    if not shown:
        return None
    groups = [[Row(r.name, "", decode_strip(r.images["reconstruction"]))] for r in shown]
    title = f"Bottlenecks side by side on {data_of(records)}"
    names = {record.name for record in shown}
    mse = {name: cell for name, cell in cells(by_name(records), "mse").items() if name in names}
    return picture([original(shown)], groups, title, some + caption(shown, records) + left_out(records), mse)


@figure
def restorations(records: Sequence[Record]) -> Figure | None:
    """Inputs and outputs of variants that are trained on corrupted images; None where there are none."""
    shown, some = with_images(records, "original", "corrupted", "restored")
    if not shown:
        return None
    groups = [
        [
            Row(r.name, "input", decode_strip(r.images["corrupted"])),
            Row("", "output", decode_strip(r.images["restored"])),
        ]
        for r in shown
    ]
    title = f"Corrupted test images of {data_of(records)} and their reconstructions"
    return picture([original(shown)], groups, title, some + caption(shown, shown))


@figure
def samples(records: Sequence[Record]) -> Figure | None:
    """Images decoded from draws of each variant's prior; None where none has a prior."""
    shown, some = with_images(records, "samples")
    if not shown:
        return None
    groups = []
    for record in shown:
        first, *more = torch.split(decode_strip(record.images["samples"]), SAMPLES)
        more = [images for images in more if len(images) == len(first) and len(shown) <= FEW]
        groups.append([Row(record.name, "", first), *(Row("", "", images) for images in more)])
    title = f"Samples from the priors of models of {data_of(records)}"
    return picture([], groups, title, some + models(shown))


@figure
def atoms(records: Sequence[Record]) -> Figure | None:
    """Atoms of each variant whose decoder is linear, by error; None where there are none. Controls are left out."""
    shown, some = with_images(without_controls(records), "atoms")
    if not shown:
        return None
    strips = {record.name: decode_strip(record.images["atoms"]) for record in shown}
    grey = all(strip.shape[1] == 1 for strip in strips.values())
    title = f"Atoms of linear decoders of models of {data_of(records)}"
    scale = f"each to its own scale, {'blue below 0, red above' if grey else 'grey at 0'}"
    planted = next((r.images["planted"] for r in shown if "planted" in r.images), None)
    which = "units that carry most variance" if planted is None else "those most similar to the planted ones"
    subtitle = f"{some}{which}, {scale}; lowest error first; {models(shown)}"
    subtitle += left_out(record for record in records if "atoms" in record.images)
    head = [] if planted is None else atom_rows("planted", decode_strip(planted))
    return picture(head, [atom_rows(name, strip) for name, strip in strips.items()], title, subtitle)


def atom_rows(name: str, strip: Tensor) -> list[Row]:
    """Atoms of a strip (see `zoo.runs.single.as_strip`) in one or two rows, filled up with empty places.

    Of two rows, the variant is written beside the first, and what was changed of it beside the second.
    """
    images = signed(2 * strip - 1)[: 2 * SAMPLES]
    empty = images.new_ones(-len(images) % SAMPLES, *images.shape[1:])
    parts = torch.split(torch.cat([images, empty]), SAMPLES)
    variant, _, changes = name.partition(" ")
    names = [name] if len(parts) == 1 else [variant, f" {changes}"]
    return [Row(each, "", part) for each, part in zip(names, parts, strict=True)]


def signed(images: Tensor) -> Tensor:
    """Images of any sign (N, C, H, W) as colours (N, 3, H, W): blue below 0, white at 0, red above; RGB around grey."""
    from matplotlib import colormaps

    largest = images.abs().flatten(1).amax(1).clamp(min=1e-12)[:, None, None, None]
    scaled = 0.5 + 0.5 * images / largest
    if images.shape[1] in (3, 4):
        return scaled[:, :3]
    colours = colormaps[SIGNED](scaled.mean(1).numpy())[..., :3]
    return torch.from_numpy(colours).permute(0, 3, 1, 2).float()


@figure
def traversals(records: Sequence[Record]) -> Figure | None:
    """One test image as one unit of its code moves, a row for each of the units that change it most; None without."""
    shown, some = with_images(records, "traversals")
    if not shown:
        return None
    groups = []
    for record in shown:
        rows = torch.split(decode_strip(record.images["traversals"]), STEPS)
        groups.append([Row("" if k else record.name, "", images) for k, images in enumerate(rows)])
    title = f"Traversals of the code on {data_of(records)}"
    return picture(
        [], groups, title, f"{some}a row for each unit that changes the image most; {caption(shown, records)}"
    )


def caption(shown: Sequence[Record], records: Sequence[Record]) -> str:
    """The test images, widths and seeds that numbers and images of a figure rest on."""
    seeds = {record.seed for record in records}
    return scope(records) + (f"; pictures of seed {listing(r.seed for r in shown)}" if len(seeds) > 1 else "")


def with_images(records: Iterable[Record], *strips: str) -> tuple[list[Record], str]:
    """The first seed of rows that have all of `strips`, best row first; and for a subtitle, which rows these are.

    Of more than a dozen rows, a dozen are shown, the best of each family first.
    """
    first = (group[0] for group in by_name(records).values())
    every = [record for record in first if all(strip in record.images for strip in strips)]
    chosen = foremost([record.name for record in every])
    return [record for record in every if record.name in chosen], selection(len(chosen), len(every))


def original(records: Sequence[Record]) -> Row:
    """The test images that all `records` show.

    Raises:
        ZooError: they do not show the same ones.
    """
    first, *others = records
    images = decode_strip(first.images["original"])
    for other in others:
        if not torch.equal(images, decode_strip(other.images["original"])):
            raise ZooError(
                f"the records of {first.name!r} ({first.hash}) and {other.name!r} ({other.hash}) show different "
                "test images; run the older one again with force=true"
            )
    return Row("original", "", images)


def picture(
    head: Sequence[Row],
    groups: Sequence[Sequence[Row]],
    title: str,
    subtitle: str,
    bars: Mapping[str, Cell] | None = None,
) -> Figure:
    """Rows of images in as many columns as they need.

    Args:
        head: rows above each column.
        groups: rows that stay together, from top to bottom.
        title: of the figure.
        subtitle: in smaller type below it.
        bars: errors by the rows' names, drawn to the right of the images.
    """
    rows = [row for group in groups for row in group]
    count = math.ceil(len(rows) / TALL)
    columns = [[groups[i] for i in part] for part in np.array_split(np.arange(len(groups)), count)]
    most = max(IMAGES // count, 5) if bars is None else max(IMAGES // count - 2, 5)
    images = min(most, *(len(row.images) for row in (*head, *rows)))
    high, wide = image_sides(rows[0].images)
    labels = [line for row in (*head, *rows) for line in row.label]
    label = max(text_width(text, size) for text, size, _ in labels) + 0.1
    pitch = on_pixels(max(high, LINE * max(len(row.label) for row in rows)) + GAP)
    strip = images * (wide + GAP)
    across = label + strip + (0.1 + BAR + BAR_TEXT if bars else 0.0) + 2 * MARGIN
    down = max(
        pitch * (len(head) + sum(map(len, column))) + APART * sum(len(group) > 1 for group in column)
        for column in columns
    )
    width = len(columns) * across
    subtitle = broken(subtitle, max(width, LEAST_WIDTH) - 2 * MARGIN)
    top = HEAD + LINE * subtitle.count("\n")
    figure, ax = sheet(width, top + down + MARGIN, title, subtitle)
    for number, column in enumerate(columns):
        left, y = on_pixels(MARGIN + number * across + label), top
        for group in (head, *column):
            y += APART * (len(group) > 1)
            for row in group:
                centre = y + (pitch - GAP) / 2
                draw_label(ax, row, left - 0.1, centre)
                draw_strip(ax, row.images[:images], left, on_pixels(centre - high / 2), high, wide)
                if bars:
                    draw_bar(ax, row, bars, left + strip + 0.1, centre)
                y += pitch
    return figure


def image_side(pixels: int) -> float:
    """Inches of an image of so many pixels a side: a whole multiple of its pixels where that fits a cell."""
    return on_pixels(CELL) if pixels > CELL * DPI else round(CELL * DPI / pixels) * pixels / DPI


def image_sides(images: Tensor) -> tuple[float, float]:
    """Inches of the height and the width of images (N, C, H, W), the longer of which fits a cell."""
    h, w = images.shape[-2:]
    side = image_side(max(h, w))
    high, wide = (max(on_pixels(side * (pixels / max(h, w))), 1 / DPI) for pixels in (h, w))
    return high, wide


def draw_label(ax: Axes, row: Row, right: float, centre: float) -> None:
    """Write the lines of a row's label, ending at `right`."""
    for k, (text, size, colour) in enumerate(row.label):
        y = centre + (k - (len(row.label) - 1) / 2) * LINE
        ax.text(right, y, text, size=size, color=colour, ha="right", va="center_baseline")


def draw_strip(ax: Axes, images: Tensor, x: float, y: float, high: float, wide: float) -> None:
    """Draw images (N, C, H, W) side by side, the first one's upper left corner at (x, y)."""
    interpolation = "nearest" if images.shape[-1] <= wide * DPI else "antialiased"
    for k, image in enumerate(images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()):
        left = on_pixels(x + k * (wide + GAP))
        extent = (left, left + wide, y + high, y)
        ax.imshow(image, extent=extent, aspect="auto", interpolation=interpolation)


def draw_bar(ax: Axes, row: Row, bars: Mapping[str, Cell], x: float, centre: float) -> None:
    """Draw the error of `row` with its interval and number; beside the originals, the quantity."""
    if row.name not in bars:
        text = ERROR if row.name == "original" else ""
        ax.text(x, centre, text, size=SMALL, color=MUTED, va="center_baseline")
        return
    scale = BAR / max(cell.mean + cell.half_width for cell in bars.values())
    cell = bars[row.name]
    low, end, high = (scale * (cell.mean + sign * cell.half_width) for sign in (-1, 0, 1))
    ax.add_patch(Rectangle((x, centre - 0.09), end, 0.18, color=look(row.name)[0], lw=0))
    ax.plot((x + max(low, 0.0), x + high), (centre, centre), color=INK, lw=1)
    ax.text(x + high + 0.06, centre, str(cell), size=SMALL, va="center_baseline")
