"""The figure of mean ranks: a panel per group of metrics, with bars that join rows that cannot be distinguished."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zoo.report.figures.panels import COLUMNS, LINE, foremost, left_out, others, terse, without_controls
from zoo.report.figures.register import figure
from zoo.report.figures.style import HEAD, INK, MARGIN, MUTED, NORMAL, REST, SMALL, look, place, sheet, text_width
from zoo.report.ranks import Ranking, rankings
from zoo.report.statistics import data_of, models
from zoo.runs.records import Record

WIDE, GAP = 2.2, 0.12  # inches of a panel, and beside it
ABOVE, BELOW = 0.45, 0.6  # inches of a panel's heading, and of its axis
BAR = 0.08  # inches between bars
UNTESTED = "differences cannot be tested"
UNKNOWN = f"one seed and no resamples: {UNTESTED}"
BARS = 5 * BAR + MARGIN  # inches to the right of a panel
NAME, FOOTER = 40, 62  # characters in a line of a row's name, and of a footer


@dataclass(frozen=True)
class Ranked:
    """What a panel shows of a ranking, and how tall it is."""

    ranking: Ranking

    @cached_property
    def rows(self) -> list[str]:
        """The labelled rows, best first."""
        return foremost(self.ranking.rows)

    @cached_property
    def labels(self) -> list[list[str]]:
        """The lines of each row's name."""
        return [textwrap.wrap(terse(name), NAME) for name in self.rows]

    @cached_property
    def footer(self) -> list[str]:
        """The metrics, and which rows are not ranked, in lines."""
        lines = textwrap.wrap(f"ranked by {', '.join(self.ranking.metrics)}", FOOTER)
        untested = [name for name in self.ranking.rows if name in self.ranking.untested]
        if untested and len(untested) < len(self.ranking.rows):
            lines += textwrap.wrap(f"not tested, it is not known how values vary: {', '.join(untested)}", FOOTER)
        if names := ", ".join(self.ranking.left_out):
            lines += textwrap.wrap(f"not ranked, values are missing: {names}", FOOTER)
        return lines

    @property
    def tested(self) -> bool:
        """Whether any rows are known to differ or not."""
        return len(self.ranking.untested) < len(self.ranking.rows)

    @property
    def pitch(self) -> float:
        """Inches of a row."""
        return LINE * max(map(len, self.labels)) + 0.015

    @property
    def high(self) -> float:
        """Inches of the panel: its rows, and a line for all others."""
        return self.pitch * len(self.rows) + LINE * (len(self.rows) < len(self.ranking.rows))

    @property
    def whole(self) -> float:
        """Inches of the panel with its heading, axis and footer."""
        return ABOVE + self.high + BELOW + LINE * len(self.footer)


@figure
def average_ranks(records: Sequence[Record]) -> Figure | None:
    """Mean rank of each variant over the metrics of each group; None if no group ranks anything.

    Lines are 95 % intervals. Bars at the right join rows that do not differ, and those between them: see
    `zoo.report.ranks.rankings` for what this means, and why it is not the critical-difference diagram of Friedman's and
    Nemenyi's tests. Of more than a dozen rows, a dozen are labelled, the best of each family first; ranks are among all
    rows.
    """
    shown = without_controls(records)
    found = [Ranked(ranking) for ranking in rankings(shown)]
    if not found:
        return None
    room = max(text_width(line, SMALL) for each in found for label in each.labels for line in label) + GAP
    pitch = MARGIN + room + WIDE + BARS
    tall = [max(each.whole for each in found[k : k + COLUMNS]) for k in range(0, len(found), COLUMNS)]
    known = any(each.tested for each in found)
    bars = "rows that no bar joins differ" if known else UNKNOWN
    most = max((each.ranking.rows for each in found), key=len)
    title = f"Average ranks on {data_of(records)}"
    subtitle = f"1 is best in all metrics; {bars}{others(most)}; {models(shown)}{left_out(records)}"
    drawn, ax = sheet(min(len(found), COLUMNS) * pitch, HEAD + sum(tall), title, subtitle)
    for number, each in enumerate(found):
        x = number % COLUMNS * pitch + MARGIN + room
        y = HEAD + sum(tall[: number // COLUMNS]) + ABOVE
        draw_ranking(place(drawn, x, y, WIDE, each.high), each)
        write_around(ax, each, x, y, room)
        if each.tested:
            draw_bars(ax, each.ranking.joined(each.rows), x + WIDE + GAP, y, each.pitch)
    return drawn


def draw_ranking(panel: Axes, ranked: Ranked) -> None:
    """Draw the mean ranks of the labelled rows with their intervals, and those of all others in grey at the bottom."""
    ranking, pitch = ranked.ranking, ranked.pitch
    low, high = ranking.interval
    for k, name in enumerate(ranked.rows):
        at, y = ranking.rows.index(name), pitch * (k + 0.5)
        colour, marker = look(name)
        if ranking.over:
            panel.plot((low[at], high[at]), (y, y), color=colour, lw=1)
        panel.plot(ranking.mean[at], y, marker=marker, color=colour, ms=4.5, mec="white", mew=0.3)
    rest = [mean for mean, name in zip(ranking.mean, ranking.rows, strict=True) if name not in ranked.rows]
    panel.plot(rest, [ranked.high - LINE / 2] * len(rest), "|", color=REST, ms=4)
    count, room = len(ranking.rows), 0.03 * len(ranking.rows)
    ticks = [1, *(tick for tick in MaxNLocator(5, integer=True).tick_values(1, count) if 1 < tick <= count)]
    panel.set(xlim=(1 - room, count + room), xticks=ticks, xlabel="mean rank", ylim=(ranked.high, 0), yticks=[])
    panel.spines["left"].set_visible(False)
    panel.grid(True, axis="x")


def write_around(ax: Axes, ranked: Ranked, x: float, y: float, room: float) -> None:
    """Write around a panel at (x, y): the group, the basis of its ranks, the rows, and which rows are not ranked."""
    ranking = ranked.ranking
    over = f"; 95 % over {ranking.over}" if ranking.over else "" if ranked.tested else f"; {UNTESTED}"
    ax.text(x, y - 0.24, ranking.group, size=NORMAL)
    ax.text(x, y - 0.1, f"{len(ranking.rows)} rows{over}", size=SMALL, color=MUTED)
    for k, (name, lines) in enumerate(zip(ranked.rows, ranked.labels, strict=True)):
        for j, line in enumerate(lines):
            at = y + ranked.pitch * (k + 0.5) + LINE * (j - (len(lines) - 1) / 2)
            ax.text(x - GAP, at, line, size=SMALL, color=look(name)[0], ha="right", va="center_baseline")
    for k, line in enumerate(ranked.footer):
        ax.text(x - room, y + ranked.high + BELOW + k * LINE, line, size=SMALL, color=MUTED)


def draw_bars(ax: Axes, bars: Sequence[tuple[int, int]], x: float, y: float, pitch: float) -> None:
    """Draw vertical bars between rows, side by side where they overlap."""
    ends: list[int] = []
    for first, last in bars:
        column = next((k for k, end in enumerate(ends) if end < first), len(ends))
        ends[column : column + 1] = [last]
        at = x + column * BAR
        ax.plot((at, at), (y + pitch * (first + 0.2), y + pitch * (last + 0.8)), color=INK, lw=2, solid_capstyle="butt")
