"""Panels of lines and points: which rows are drawn, coloured and labelled, and logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, NullLocator

from zoo.catalogue import CONTROL, FAMILIES, OTHER, family_of
from zoo.report.figures.style import (
    HEAD,
    INK,
    MARGIN,
    REST,
    SMALL,
    look,
    place,
    sheet,
    spread,
    text_width,
)
from zoo.report.table import words
from zoo.runs.records import Record

ERROR = "mean squared error per value"
MOST = 12  # labelled rows of a panel
COLUMNS = 2  # of panels, one per family
ALONE, BESIDE = (4.6, 3.0), (2.7, 1.9)  # inches of a panel, and of one of several
FOOT, AXIS = 0.5, 0.65  # inches below and to the left of a panel
ROOM, MARK = 0.3, 0.12  # inches between a panel and the marks at its right, and between these and their names
LINE = 0.125  # inches between labels
NEAR = 0.3  # inches from the right of a panel up to which the end of a line is joined to its label
HALVES = [1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8]
LABELLED: tuple[list[float], ...] = (HALVES, [1, 1.5, 2, 3, 4, 5, 7], [1, 2, 3, 5], [1, 2, 5], [1])  # of a decade
LABELS = 6  # that an axis has room for
PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
DASHES = ("--", ":", "-.")  # of references
UNNAMED = ("true", "false", "null")  # values that say nothing without their setting

Points = tuple[Sequence[float], Sequence[float]]


def without_controls(records: Iterable[Record]) -> list[Record]:
    """The records of methods: a control, which no method competes with, would stretch every axis."""
    return [record for record in records if family_of(record.variant) != CONTROL]


def left_out(records: Iterable[Record]) -> str:
    """Which controls `without_controls` leaves out, for a subtitle; empty where there are none."""
    names = dict.fromkeys(record.name for record in records if family_of(record.variant) == CONTROL)
    return f"; without {', '.join(names)} (control)" if names else ""


def others(names: Sequence[str], most: int = MOST) -> str:
    """The meaning of grey in a figure with more rows than labels, for a subtitle."""
    return "; grey: other methods" if len(names) > most else ""


def selection(shown: int, every: int) -> str:
    """How many of the methods a figure shows, for the beginning of a subtitle; empty where it shows all."""
    return f"{shown} of {every} methods, the best of each family; " if shown < every else ""


def families(names: Iterable[str]) -> dict[str, list[str]]:
    """Rows by the family of their variant, families in the catalogue's order, rows in the order given."""
    found: dict[str, list[str]] = {family: [] for family in (*FAMILIES, OTHER)}
    for name in names:
        found[family_of(name.partition(" ")[0])].append(name)
    return {family: rows for family, rows in found.items() if rows}


def foremost(names: Sequence[str], always: Collection[str] = (), most: int = MOST) -> list[str]:
    """The rows that a figure labels, at most a dozen, in the order given.

    Of more, these are those of `always`, then the first of each family, then the second of each, and so on.
    """
    place = {name: k for rows in families(names).values() for k, name in enumerate(rows)}
    chosen = sorted(names, key=lambda name: -1 if name in always else place[name])[:most]
    return [name for name in names if name in chosen]


def terse(name: str) -> str:
    """A row's name as a label: of changes, the value alone where it is a word, else the last part of the setting.

    "deep_ae data.source.weights=counts fit.power=0.5" is "deep_ae counts power=0.5".
    """
    variant, *changes = words(name)
    split = [change.partition("=") for change in changes]
    texts = [
        value if value.isidentifier() and value not in UNNAMED else f"{key.rpartition('.')[2]}={value}"
        for key, _, value in split
    ]
    return " ".join([variant, *texts])


def charts(names: Sequence[str], title: str, subtitle: str, references: Sequence[str] = ()) -> tuple[Figure, Axes]:
    """A sheet with room for `parts(names)`: one panel of up to a dozen lines, else a panel for each family."""
    rooms = [*names, *references]
    columns, rows, (wide, high) = layout(names, references)
    pitch = across(wide, rooms), high + FOOT + 0.25
    return sheet(columns * pitch[0], HEAD + rows * pitch[1] - 0.25 * (rows == 1), title, subtitle)


def parts(
    figure: Figure, names: Sequence[str], references: Sequence[str] = ()
) -> Iterator[tuple[Axes, list[str], bool, bool]]:
    """The panels of `charts`: each with the rows to colour and label, and whether it is the leftmost and the lowest."""
    columns, rows, (wide, high) = layout(names, references)
    groups = {"": [*names]} if rows * columns == 1 else families(names)
    first: Axes | None = None
    for number, (family, own) in enumerate(groups.items()):
        x = AXIS + number % columns * across(wide, [*names, *references])
        y = HEAD + number // columns * (high + FOOT + 0.25) + 0.2 * bool(family)
        panel = place(figure, x, y, wide, high, sharey=first)
        first = first or panel
        panel.set_title(family, loc="left", pad=4)
        yield panel, own[: MOST - len(references)], number % columns == 0, number >= len(groups) - columns


def layout(names: Sequence[str], references: Sequence[str]) -> tuple[int, int, tuple[float, float]]:
    """Columns and rows of panels, and the inches of each."""
    if len(names) + len(references) <= MOST:
        return 1, 1, (ALONE[0], max(ALONE[1], LINE * (len(names) + len(references) + 2)))
    return COLUMNS, math.ceil(len(families(names)) / COLUMNS), BESIDE


def across(wide: float, names: Iterable[str]) -> float:
    """Inches of a panel with its axis and its labels."""
    return AXIS + wide + label_room(names)


def draw(panel: Axes, lines: Mapping[str, Points], own: Sequence[str], ms: float = 4.0, lw: float = 1.1) -> None:
    """Draw a line for each row: `own` in their colours, the others in grey behind them."""
    for name, (x, y) in lines.items():
        if name not in own:
            panel.plot(x, y, color=REST, marker="." if len(x) == 1 else "", ms=ms, mec="none", lw=0.5 * lw, zorder=1)
    for name in reversed(own):  # the best on top
        if name in lines:
            colour, marker = look(name)
            panel.plot(*lines[name], color=colour, marker=marker, ms=ms, mec="white", mew=0.3, lw=lw)


def draw_references(panel: Axes, lines: Mapping[str, Points], references: Sequence[str]) -> None:
    """Draw those of the figure's references, such as JPEG, that have a line in this panel, in dashes."""
    for name, (x, y) in lines.items():
        panel.plot(x, y, dashes(name, references), color=INK, lw=0.9, marker="+" if len(x) == 1 else "")


def dashes(name: str, references: Sequence[str]) -> str:
    """How a reference is drawn in all panels of a figure."""
    return DASHES[list(references).index(name) % len(DASHES)]


def key(ax: Axes, references: Sequence[str], x: float, y: float) -> None:
    """Write the references after their dashes in one line, from the left."""
    for name in references:
        ax.plot((x, x + 0.25), (y, y), dashes(name, references), color=INK, lw=0.9)
        ax.text(x + 0.32, y, name, size=SMALL, va="center_baseline")
        x += 0.5 + text_width(name, SMALL)


def last(line: Points) -> tuple[float, float]:
    """The end of a line."""
    return line[0][-1], line[1][-1]


def label_room(names: Iterable[str]) -> float:
    """Inches to the right of a panel that its labels take."""
    return ROOM + MARK + max(text_width(terse(name), SMALL) for name in names) + MARGIN


def apart(widths: Sequence[int]) -> list[int]:
    """Those widths that lie far enough from the one before, on a logarithmic axis, to be labelled too."""
    span, kept = math.log(widths[-1] / widths[0]), [widths[0]]
    for width in widths[1:]:
        if math.log(width / kept[-1]) > 0.03 * span * len(str(width)):
            kept.append(width)
    return kept


def error_axis(panel: Axes) -> None:
    """A logarithmic axis of mse with plain numbers, and a grid."""
    panel.set(yscale="log", ylabel=f"{ERROR} (log scale)")
    log_axis(panel.yaxis, panel.get_ylim(), PLAIN)
    panel.grid(True)


def log_axis(axis: Axis, limits: tuple[float, float], formatter: Formatter, most: int = LABELS) -> None:
    """Label as many values of a logarithmic axis as there is room for."""
    decades = range(math.floor(math.log10(limits[0])), math.ceil(math.log10(limits[1])) + 1)

    def labels(subs: Sequence[float]) -> int:
        return sum(limits[0] <= sub * 10.0**k <= limits[1] for sub in subs for k in decades)

    subs = next((subs for subs in LABELLED if labels(subs) <= most), LABELLED[-1])
    axis.set(major_locator=LogLocator(subs=subs, numticks=8), minor_locator=NullLocator(), major_formatter=formatter)


def label_right(
    ax: Axes,
    panel: Axes,
    ends: Mapping[str, tuple[float, float]],
    labels: Mapping[str, str] = MappingProxyType({}),
    references: Sequence[str] = (),
) -> None:
    """Write names to the right of `panel`, each after its mark and as close as possible to the end of its line.

    If that end is at the right of the panel, a thin line joins both. `labels` replaces the text of names; `references`
    are marked as `draw_references` draws them.
    """
    panel.get_xlim(), panel.get_ylim()  # settles the limits that the transform below needs
    to_inches = panel.transData + ax.transData.inverted()
    points = [to_inches.transform(point) for point in ends.values()]
    box = panel.get_window_extent().transformed(ax.transData.inverted())
    top, bottom, right = min(box.y0, box.y1), max(box.y0, box.y1), max(box.x0, box.x1)
    at = right + ROOM
    for name, (x, y), height in zip(ends, points, spread([y for _, y in points], LINE, top, bottom), strict=True):
        colour: tuple[float, float, float] | str
        if name in references:
            colour = INK
            ax.plot((at - 0.07, at + 0.07), (height, height), dashes(name, references), color=colour, lw=0.9)
        else:
            colour, marker = look(name)
            ax.plot(at, height, marker=marker, color=colour, ms=4, mec="white", mew=0.3)
        if right - x < NEAR:
            ax.plot((x, right, at - 0.08), (y, y, height), color=colour, lw=0.4, alpha=0.6)
        ax.text(at + MARK, height, labels.get(name, terse(name)), size=SMALL, color=colour, va="center_baseline")
