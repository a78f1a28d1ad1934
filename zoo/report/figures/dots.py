"""Panels of dots: a row for each variant, a dot for each of several scores from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zoo.report.figures.style import HEAD, INK, MARGIN, MUTED, SMALL, look, place, sheet, text_width

OF_REFERENCES = "x"  # the mark of scores that need no model
ROW, WIDE, BETWEEN, FOOT, TITLE, COLUMNS = 0.17, 2.0, 0.2, 0.55, 0.25, 3  # inches, and panels side by side
SPACE = 0.02  # at both ends of an axis

Scores = Mapping[str, float]  # by name


@dataclass(frozen=True)
class DotPanel:
    """One panel.

    Attributes:
        title: above it.
        label: of its axis.
        rows: {row: its scores}.
        chance: a score without any meaning, drawn as a grey line.
        references: scores that are the same for every row, each in a row of its own below them.
    """

    title: str
    label: str
    rows: Mapping[str, Scores]
    chance: float
    references: Scores = field(default_factory=dict)


def dots(
    panels: Sequence[DotPanel], marks: Mapping[str, str], title: str, subtitle: str, references: str = ""
) -> Figure:
    """A figure of panels on one scale, whose rows are the same.

    Args:
        panels: at least one.
        marks: {score: its marker}, "o" filled.
        title: of the figure.
        subtitle: of the figure.
        references: what the references are, for the key.
    """
    rows = list(dict.fromkeys(row for panel in panels for row in panel.rows))
    below = list(dict.fromkeys(name for panel in panels for name in panel.references))
    every = [scores for panel in panels for scores in (panel.references, *panel.rows.values())]
    shown = [*(score for scores in every for score in scores.values()), *(panel.chance for panel in panels)]
    left = MARGIN + max(text_width(label, SMALL) for label in (*rows, *below)) + 0.1
    tall, columns = ROW * (len(rows) + len(below)), min(len(panels), COLUMNS)
    down = TITLE + tall + FOOT
    total = HEAD + math.ceil(len(panels) / columns) * down + 0.25
    drawn, ax = sheet(left + columns * (WIDE + BETWEEN), total, title, subtitle)
    for number, panel in enumerate(panels):
        x, y = left + number % columns * (WIDE + BETWEEN), HEAD + number // columns * down + TITLE
        axes = place(drawn, x, y, WIDE, tall)
        draw_panel(axes, panel, rows, below, marks)
        names = [*rows, *below] if number % columns == 0 else []
        axes.set(xlim=(min(shown) - SPACE, max(shown) + SPACE), yticklabels=names)
    x = left + 0.1
    for score, mark in {**marks, **({references: OF_REFERENCES} if below else {})}.items():
        ax.plot(x, total - 0.2, mark, color=INK, mfc=INK if mark == "o" else "none", ms=5)
        ax.text(x + 0.1, total - 0.2, score, size=SMALL, va="center_baseline")
        x += text_width(score, SMALL) + 0.35
    return drawn


def draw_panel(
    axes: Axes, panel: DotPanel, rows: Sequence[str], below: Sequence[str], marks: Mapping[str, str]
) -> None:
    """Mark the scores of each row, joined by a line, and below them the references."""
    for height, row in enumerate(rows):
        scores, colour = panel.rows.get(row, {}), look(row)[0]
        if scores:
            ends = [min(scores.values()), max(scores.values())]
            axes.plot(ends, [height, height], color=colour, lw=0.6, alpha=0.6)
        for score, value in scores.items():
            mark = marks[score]
            filled = colour if mark == "o" else "white"
            axes.plot(value, height, mark, color=colour, mfc=filled, ms=7 if mark in "|_" else 4)
    for height, name in enumerate(below, len(rows)):
        if name in panel.references:
            axes.plot(panel.references[name], height, OF_REFERENCES, color=INK, ms=4)
    axes.axvline(panel.chance, color=MUTED, lw=0.8, zorder=0)
    count = len(rows) + len(below)
    axes.set(ylim=(count - 0.5, -0.5), yticks=range(count), xlabel=panel.label)
    axes.set_title(panel.title, loc="left", size=SMALL)
    axes.tick_params(axis="y", length=0)
    axes.grid(True, axis="x")
