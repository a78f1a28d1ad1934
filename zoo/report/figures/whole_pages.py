"""Whole pages side by side, and a detail of each below."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from torch import Tensor

from zoo.report.figures.style import DPI, HEAD, MARGIN, NORMAL, place, sheet, styled

GAP = 0.12  # inches
ZOOM = 3  # pixels of the figure to a pixel of a detail


@styled
def pages(columns: Mapping[str, Tensor], corner: tuple[int, int], title: str, subtitle: str) -> Figure:
    """Pages pixel by pixel under their names, and below each a detail three times as large.

    Args:
        columns: {name: (C, H, W) in [0, 1], clipped}, grey or RGB, of one size.
        corner: row and column of the detail's upper left pixel.
        title: of the figure.
        subtitle: of the figure.
    """
    *_, tall, wide = next(iter(columns.values())).shape
    width, height = wide / DPI, tall / DPI
    rows, across = round(0.4 * wide / ZOOM), wide // ZOOM
    low = height + GAP + ZOOM * rows / DPI
    figure, ax = sheet(MARGIN + len(columns) * (width + GAP), HEAD + 0.2 + low + MARGIN, title, subtitle)
    for i, (name, page) in enumerate(columns.items()):
        x, y = MARGIN + i * (width + GAP), HEAD + 0.2
        shown = page.clamp(0, 1).movedim(0, -1).expand(-1, -1, 3).numpy()
        detail = shown[corner[0] : corner[0] + rows, corner[1] : corner[1] + across]
        ax.text(x, y - 0.08, name, size=NORMAL)
        for part, top, size in ((shown, y, height), (detail, y + height + GAP, ZOOM * rows / DPI)):
            box = place(figure, x, top, width, size)
            box.imshow(part, interpolation="nearest", aspect="auto")
            box.set(xticks=[], yticks=[])
            for spine in box.spines.values():
                spine.set(visible=True, linewidth=0.4)
    return figure
