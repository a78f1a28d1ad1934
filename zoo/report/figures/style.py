"""The style of all figures: fonts, sizes, colours, places of labels, and how a figure becomes a file."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from numpy.typing import ArrayLike
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sklearn.isotonic import isotonic_regression

from zoo.catalogue import OTHER, family_of, members
from zoo.files import write_atomically

DPI = 160
SMALL, NORMAL, LARGE = 7.0, 8.0, 11.0  # points
FONT = "DejaVu Sans"  # matplotlib brings it along, so figures look alike everywhere
INK, MUTED, FAINT = "#222222", "#6b6b6b", "#dddddd"
LIMIT = 300_000  # bytes of a picture in the repository
Marker = str | tuple[int, int, int]  # matplotlib's: a letter, or corners, 1 for a star, and degrees
MARKERS = "os^Dv<>ph"  # of methods
CHANGED: tuple[Marker, ...] = (*"PX*d8H", (4, 1, 0), (4, 1, 45), (3, 1, 0), (3, 1, 180), (6, 1, 0))  # of changed ones
HEAD, MARGIN = 0.66, 0.15  # inches of headline, and around a figure
REST = "#bdbdbd"  # rows without a label
SHADES = ((0.42, 0.13), (0.53, 0.15), (0.62, 0.15))  # lightness, chroma: dark enough to be read on white
HUES = {  # in turns; neighbours on the circle seldom meet in one study
    **{"linear": 0.71, "deterministic": 0.055, "denoising": 0.43, "masked": 0.545, "sparse": 0.17},
    **{"variational": 0.83, "discrete": 0.33, "adversarial": 0.95, OTHER: 0.62},
}
FIRST = {  # marker of each family's first method; so that methods that meet in one study seldom share one
    **{"linear": 0, "deterministic": 1, "denoising": 5, "masked": 8, "sparse": 2},
    **{"variational": 8, "discrete": 3, "adversarial": 0, OTHER: 2},
}
WITHIN = 0.05  # turns of the circle that the methods of a family share
SHEET = "sheet"  # the label of an axes that counts inches
CONTENT = "Content"  # the text of a PNG that holds the digest of what its figure shows

styled = matplotlib.rc_context(
    {
        "font.family": FONT,
        "font.size": NORMAL,
        "text.color": INK,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.labelsize": NORMAL,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": NORMAL,
        "axes.axisbelow": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.5,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "lines.linewidth": 1.3,
        "lines.markersize": 4.0,
        "savefig.dpi": DPI,
        "figure.dpi": DPI,
    }
)
"""Decorator: every artist that a function makes follows this style; nothing global stays changed."""


def oklch(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """The sRGB of a perceived lightness, chroma and hue (in turns), clipped to what a screen can show.

    Björn Ottosson, "A perceptual color space for image processing", 2020.
    """
    a, b = chroma * math.cos(2 * math.pi * hue), chroma * math.sin(2 * math.pi * hue)
    long, medium, short = (
        (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3,
        (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3,
        (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3,
    )
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    red, green, blue = (
        min(max(12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055, 0.0), 1.0) for c in linear
    )
    return red, green, blue


def look(name: str) -> tuple[tuple[float, float, float], Marker]:
    """Colour and marker of a row, from its name alone: the same in every figure.

    The methods of a family share a hue, and differ in shade and marker; `FIRST` keeps apart the markers of methods of
    different families; a control is grey. A changed method, such as "vae network=conv", has a shade and a marker that
    follow from the method and the changes.
    """
    variant, _, changes = name.partition(" ")
    family = family_of(variant)
    names = members().get(family, ())
    place = names.index(variant) if variant in names else number_of(variant)
    shift = number_of(changes) if changes else 0
    lightness, chroma = SHADES[(place + place // len(MARKERS) + shift) % len(SHADES)]
    hue = HUES.get(family, 0.0) + WITHIN * (place / max(len(names), 256 * (not names)) - 0.5)
    markers: Sequence[Marker] = CHANGED if changes else MARKERS
    marker = markers[(FIRST.get(family, 0) + place + shift) % len(markers)]
    return oklch(lightness, chroma if family in HUES else 0.0, hue), marker


def number_of(text: str) -> int:
    """A number from 0 to 255 that follows from a text alone: one byte of its digest.

    With this byte, no two changed methods of a family share a marker in a table of this repository.
    """
    return hashlib.sha256(text.encode()).digest()[15]


def text_width(text: str, size: float = NORMAL, weight: str = "normal") -> float:
    """Width of one line of text, in inches."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    renderer = RendererAgg(1, 1, DPI)  # type: ignore[no-untyped-call]
    width, _, _ = renderer.get_text_width_height_descent(text, font, False)  # type: ignore[no-untyped-call]
    return float(width) / DPI


def broken(text: str, width: float) -> str:
    """A text in lines of at most `width` inches each, broken between words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if text_width(longer) <= width else [*lines, word]
    return "\n".join(lines)


def on_pixels(inches: float) -> float:
    """The nearest whole number of pixels, in inches: images placed there stay sharp."""
    return round(inches * DPI) / DPI


def sheet(width: float, height: float, title: str, subtitle: str) -> tuple[Figure, Axes]:
    """A figure under a headline, and an axes over all of it that counts inches from the upper left corner.

    It is as wide as its headline where that is wider; the subtitle may have several lines.
    """
    widths = [text_width(title, LARGE, "bold"), *map(text_width, subtitle.splitlines())]
    width = max(width, MARGIN + max(widths) + MARGIN)
    width, height = on_pixels(width), on_pixels(height)
    figure = Figure(figsize=(width, height), dpi=DPI)
    ax = figure.add_axes((0, 0, 1, 1), label=SHEET)
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    ax.text(MARGIN, 0.16, title, size=LARGE, weight="bold", va="top")
    ax.text(MARGIN, 0.38, subtitle, size=NORMAL, color=MUTED, va="top")
    return figure, ax


def place(figure: Figure, x: float, y: float, width: float, height: float, sharey: Axes | None = None) -> Axes:
    """Add an axes at inches from the upper left corner."""
    total_width, total_height = figure.get_size_inches()
    box = (x / total_width, 1 - (y + height) / total_height, width / total_width, height / total_height)
    ax = figure.add_axes(box, sharey=sharey)
    ax.patch.set_visible(False)
    return ax


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions at least `gap` apart between `low` and `high`, nearest to the wanted ones in least squares.

    With p_k the k-th smallest position, p_k - k gap must not decrease: an isotonic regression. Without room for
    all, they share it evenly.
    """
    order = np.argsort(wanted, kind="stable")
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    steps = gap * np.arange(len(wanted))
    fitted = isotonic_regression(np.asarray(wanted, float)[order] - steps, y_min=low, y_max=high - steps[-1]) + steps
    positions = np.empty(len(wanted))
    positions[order] = fitted
    return [float(position) for position in positions]


@styled
def save(figure: Figure, path: Path) -> None:
    """Write a figure as a small PNG, whole or not at all: the same figure gives the same bytes.

    The file says in its metadata which numbers, texts and images it shows; see `content`.
    """
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    write_atomically(path, png(Image.fromarray(pixels).convert("RGB"), content(figure)))


def content(figure: Figure) -> str:
    """A digest of what a figure shows: all texts, the points of all lines and areas, and all images.

    Positions and drawing details are left out: they differ between versions of matplotlib and of fonts, and so do the
    bytes of a PNG. Two figures of one digest show the same numbers. Numbers count to six digits.
    """
    found = hashlib.sha256()

    def add(*texts: str) -> None:
        found.update("".join(f"{text}\n" for text in texts).encode())

    def add_numbers(values: ArrayLike) -> None:
        add(" ".join(f"{number:.6g}" for number in np.asarray(values, float).ravel()))

    for ax in figure.axes:
        add(*(text.get_text() for text in ax.texts), *(ax.get_title(loc) for loc in ("left", "center", "right")))
        for image in ax.images:
            found.update(np.rint(255 * np.asarray(image.get_array(), float)).astype(np.uint8).tobytes())
        if ax.get_label() == SHEET:
            continue  # its lines and bars are measured in inches, and their numbers stand beside them
        add(ax.get_xlabel(), ax.get_ylabel())
        for line in ax.lines:
            add(str(line.get_label()))
            add_numbers(line.get_xydata())
        for collection in ax.collections:
            add_numbers(collection.get_offsets())
            for path in collection.get_paths():
                add_numbers(path.vertices)
        for patch in ax.patches:
            add_numbers(patch.get_patch_transform().transform(patch.get_path().vertices))
    return found.hexdigest()[:16]


def content_of(path: Path) -> str:
    """The digest that a PNG was written with; empty without one."""
    with Image.open(path) as file:
        return str(file.info.get(CONTENT, ""))


def png(image: Image.Image, about: str = "") -> bytes:
    """An image as PNG, in as many colours as stay below 300 kB, with the digest of its content."""
    text = PngInfo()
    if about:
        text.add_text(CONTENT, about)
    for colours in (None, 256, 64):
        # colours as far apart as possible: the most frequent ones may all be grey where only a few dots are coloured
        reduced = image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE) if colours else image
        file = io.BytesIO()
        reduced.save(file, "PNG", optimize=True, pnginfo=text)
        if len(file.getvalue()) < LIMIT:
            break
    return file.getvalue()
