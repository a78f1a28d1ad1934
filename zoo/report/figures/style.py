"""The one look of all figures: fonts, sizes, colours, places of labels, and how a figure becomes a file."""

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
from PIL import Image
from sklearn.isotonic import isotonic_regression

from zoo.files import write_atomically

DPI = 160
SMALL, NORMAL, LARGE = 7.0, 8.0, 11.0  # points
FONT = "DejaVu Sans"  # matplotlib brings it along, so figures look alike everywhere
INK, MUTED, FAINT = "#222222", "#6b6b6b", "#dddddd"
LIMIT = 300_000  # bytes of a picture in the repository
MARKERS = "os^Dv<>ph"
HEAD, MARGIN = 0.66, 0.15  # inches of headline, and around a figure
SHADES = ((0.40, 0.12), (0.51, 0.15), (0.62, 0.15))  # lightness, chroma: dark enough to be read on white
SALT = 47782  # among many tried, one that keeps the first eleven variants, and those of the studies, well apart

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


def look(name: str) -> tuple[tuple[float, float, float], str]:
    """Colour and marker of a row, drawn from its name alone: the same in every figure."""
    digest = hashlib.sha256(f"{SALT}{name}".encode()).digest()
    lightness, chroma = SHADES[digest[1] % len(SHADES)]
    return oklch(lightness, chroma, digest[0] / 256), MARKERS[digest[2] % len(MARKERS)]


def text_width(text: str, size: float = NORMAL, weight: str = "normal") -> float:
    """Width of one line of text, in inches."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    renderer = RendererAgg(1, 1, DPI)  # type: ignore[no-untyped-call]
    width, _, _ = renderer.get_text_width_height_descent(text, font, False)  # type: ignore[no-untyped-call]
    return float(width) / DPI


def on_pixels(inches: float) -> float:
    """The nearest whole number of pixels, in inches: images placed there stay sharp."""
    return round(inches * DPI) / DPI


def sheet(width: float, height: float, title: str, subtitle: str) -> tuple[Figure, Axes]:
    """A figure under a headline, and an axes over all of it that counts inches from the upper left corner."""
    width = max(width, *(MARGIN + text_width(*line) + MARGIN for line in ((title, LARGE, "bold"), (subtitle,))))
    width, height = on_pixels(width), on_pixels(height)
    figure = Figure(figsize=(width, height), dpi=DPI)
    ax = figure.add_axes((0, 0, 1, 1))
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
    """Write a figure as a small PNG, whole or not at all: the same figure gives the same bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    write_atomically(path, png(Image.fromarray(pixels).convert("RGB")))


def png(image: Image.Image) -> bytes:
    """An image as PNG, in as many colours as stay below 300 kB."""
    for colours in (None, 256, 64):
        reduced = image.quantize(colours, dither=Image.Dither.NONE) if colours else image
        file = io.BytesIO()
        reduced.save(file, "PNG", optimize=True)
        if len(file.getvalue()) < LIMIT:
            break
    return file.getvalue()
