"""Figures of documents and words: retrieval and judgements against width, topics, and codes on a plane."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from zoo.report.figures.curves import by_width
from zoo.report.figures.measured_curves import curve_of
from zoo.report.figures.panels import (
    AXIS,
    LINE,
    MOST,
    PLAIN,
    Points,
    apart,
    draw,
    draw_references,
    foremost,
    label_right,
    label_room,
    last,
    others,
    terse,
)
from zoo.report.figures.register import figure
from zoo.report.figures.style import (
    HEAD,
    INK,
    MARGIN,
    MUTED,
    NORMAL,
    SMALL,
    look,
    oklch,
    place,
    sheet,
    text_width,
)
from zoo.report.statistics import by_name, data_of, listing, models, scope, values
from zoo.runs.records import Record

SCORES = {
    "retrieval_precision": "precision of ten retrieved documents",
    "perplexity": "perplexity of held-out words",
    "wordsim353": "rank correlation with WordSim-353",
    "simlex999": "rank correlation with SimLex-999",
    "analogy_accuracy": "right analogies (fraction)",
}
REFERENCES = {"retrieval_precision": "retrieval_precision_of_terms"}  # without a model
PANEL = (2.6, 2.2)  # inches
BETWEEN, FOOT, TITLE = 0.55, 0.5, 0.2
MAPS, SIDE, COLUMNS = 6, 2.7, 3  # panels of a map, inches of one, and panels in a row
LETTERS = 16  # of a title, for each inch
TINY, LETTER = 5.5, 0.046  # points of a word on a map, and inches of its letters
LISTED, TERMS = 8, 8  # topics of a list, and terms of a topic
METHODS = 4  # lists
INNER = (0.015, 0.985)  # quantiles of the places that a map shows


@figure
def scores_against_width(records: Sequence[Record]) -> Figure | None:
    """Scores of documents and words at every width, a panel per score; None where there is but one width.

    The range over seeds is shaded; black lines are the scores of the terms themselves, by their weights.
    """
    found: dict[str, dict[str, dict[int, list[float]]]] = {}
    for metric in SCORES:
        for name, group in by_width(records):
            if each := values(group, metric):
                found.setdefault(metric, {}).setdefault(name, {})[group[0].width] = each
    panels = {metric: rows for metric, rows in found.items() if max(map(len, rows.values())) > 1}
    if not panels:
        return None
    references = {metric: of_terms(records, REFERENCES.get(metric, "")) for metric in panels}
    outside = [*dict.fromkeys(name for each in references.values() for name in each)]
    every = [*dict.fromkeys(name for rows in panels.values() for name in rows)]
    names = foremost(every, most=MOST - len(outside))
    labels, grey = short(names), others(every, MOST - len(outside))
    pitch = PANEL[0] + BETWEEN + label_room([*labels.values(), *outside])
    high = max(PANEL[1], LINE * (len(names) + len(outside) + 2))
    title = f"Scores against code width on {data_of(records)}"
    black = "; black: without a model" if outside else ""
    drawn, ax = sheet(
        AXIS + len(panels) * pitch,
        HEAD + TITLE + high + FOOT,
        title,
        f"range over seeds shaded{black}{grey}; {scope(records)}",
    )
    for number, (metric, rows) in enumerate(panels.items()):
        panel = place(drawn, AXIS + number * pitch, HEAD + TITLE, PANEL[0], high)
        lines: dict[str, Points] = {n: ([*w], [statistics.fmean(each) for each in w.values()]) for n, w in rows.items()}
        own = [name for name in names if name in lines]
        draw(panel, lines, own)
        for name in own:
            x, seeds = [*rows[name]], [*rows[name].values()]
            area = [*x, *reversed(x)], [*map(min, seeds), *map(max, reversed(seeds))]
            panel.fill(*area, color=look(name)[0], alpha=0.2, lw=0)
        widths = sorted({width for row in rows.values() for width in row})
        level: dict[str, Points] = {name: ((widths[0], widths[-1]), (y, y)) for name, y in references[metric].items()}
        draw_references(panel, level, outside)
        panel.set(xscale="log", xlabel="code width")
        panel.xaxis.set(major_locator=FixedLocator(apart(widths)), minor_locator=NullLocator(), major_formatter=PLAIN)
        panel.set_title(SCORES[metric], loc="left", size=SMALL)
        panel.grid(True)
        ends = {name: last(line) for name, line in {**lines, **level}.items() if name in own or name in level}
        label_right(ax, panel, ends, labels, outside)
    return drawn


def of_terms(records: Sequence[Record], metric: str) -> dict[str, float]:
    """A metric of the terms themselves, which are no code, by their weights."""
    found: dict[str, float] = {}
    for record in records:
        for value in values([record], metric):
            found[f"terms, {record.config['data']['source']['weights']}"] = value
    return found


def short(names: Sequence[str]) -> dict[str, str]:
    """Labels of rows by their names: the variant alone where it is that of no other row."""
    of = {name: name.partition(" ")[0] for name in names}
    return {name: variant if [*of.values()].count(variant) == 1 else terse(name) for name, variant in of.items()}


@figure
def retrieval_curves(records: Sequence[Record]) -> Figure | None:
    """Precision against recall of retrieval by codes, and by the terms themselves; None without any."""
    groups = by_name(records)
    lines: dict[str, Points] = {}
    for name, group in groups.items():
        if curve := curve_of(group[0], "retrieval_curve"):
            lines[name] = (curve["recall"], curve["precision"])
    if not lines:
        return None
    order = sorted(lines, key=lambda name: -statistics.fmean(lines[name][1]))
    names = foremost(order)
    high = max(3.0, LINE * (len(names) + 2))
    title, seeds = f"Retrieval on {data_of(records)}", listing(groups[name][0].seed for name in lines)
    query = "each document is the query in turn, the others are ranked by the cosine of codes"
    subtitle = f"{query}{others(order)}; seed {seeds}"
    labels = short(names)
    drawn, ax = sheet(AXIS + 4.6 + label_room(labels.values()), HEAD + high + FOOT, title, subtitle)
    panel = place(drawn, AXIS, HEAD, 4.6, high)
    draw(panel, lines, names, ms=3)
    panel.set(xscale="log", xlabel="recall (log scale)", ylabel="precision")
    panel.grid(True)
    first = {name: (lines[name][0][0], lines[name][1][0]) for name in names}  # where the curves are apart
    label_right(ax, panel, first, labels)
    return drawn


@figure
def topics(records: Sequence[Record]) -> Figure | None:
    """The topics of most coherence of the methods with the most coherent ones; None without any.

    A topic is the terms that a unit adds most to, and its colour is darker where these occur together more often.
    """
    groups = by_name(records)
    found = {name: curve for name, group in groups.items() if (curve := curve_of(group[0], "topic_coherence"))}
    if not found:
        return None
    # methods with the same topics are shown once, under the first of their names
    distinct = {(*curve["terms"], *curve["coherence"]): name for name, curve in reversed(found.items())}
    best = sorted(distinct.values(), key=lambda name: -statistics.fmean(values(groups[name], "topic_coherence")))
    lists = {n: [*zip(found[n]["coherence"], found[n]["terms"], strict=True)][:LISTED] for n in best[:METHODS]}
    heads = {n: f"{terse(n)} (mean {statistics.fmean(values(groups[n], 'topic_coherence')):.2f})" for n in lists}
    title = f"Topics on {data_of(records)}"
    subtitle = f"the {LISTED} most coherent of each method, {len(lists)} of {len(best)} methods; coherence at the left"
    rows = [(heads[n], [(f"{coherence:.2f}", shown(terms)) for coherence, terms in each]) for n, each in lists.items()]
    return listed(rows, [look(name)[0] for name in lists], title, subtitle)


@figure
def neighbours(records: Sequence[Record]) -> Figure | None:
    """Words and the five words of greatest cosine, of the methods that agree best with people; None without any."""
    groups = by_name(records)
    found = {name: curve for name, group in groups.items() if (curve := curve_of(group[0], "word_neighbours"))}
    if not found:
        return None
    best = agreeing(found, groups)
    rows = [(terse(name), [*zip(found[name]["word"], found[name]["neighbours"], strict=True)]) for name in best]
    title = f"Nearest neighbours of {data_of(records)}"
    first = models([groups[name][0] for name in best])
    subtitle = f"by the cosine of codes, {len(best)} of {len(found)} methods; {first}"
    return listed(rows, [look(name)[0] for name in best], title, subtitle)


def agreeing(names: Iterable[str], groups: Mapping[str, Sequence[Record]]) -> list[str]:
    """The rows that agree best with people's judgements of words, best first; as many as a figure of words shows."""
    return sorted(names, key=lambda name: -statistics.fmean(values(groups[name], "wordsim353") or [0.0]))[:METHODS]


def listed(
    lists: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    colours: Sequence[tuple[float, float, float]],
    title: str,
    subtitle: str,
) -> Figure:
    """Lists in at most two columns, each under its head in its colour; of every line, the first text is muted."""
    every = [line for _, each in lists for line in each]
    first = max(text_width(text, SMALL) for text, _ in every) + 0.1
    wide = max(
        *(first + text_width(text, SMALL) + 0.3 for _, text in every),
        *(text_width(head, NORMAL, "bold") + 0.3 for head, _ in lists),
    )
    columns, step = min(2, len(lists)), 0.16
    high = step * (max(len(each) for _, each in lists) + 1) + 0.25
    rows = math.ceil(len(lists) / columns)
    drawn, ax = sheet(2 * MARGIN + columns * wide, HEAD + rows * high + MARGIN, title, subtitle)
    for number, (head, each) in enumerate(lists):
        x, y = MARGIN + number % columns * wide, HEAD + number // columns * high + 0.1
        ax.text(x, y, head, size=NORMAL, color=colours[number], weight="bold", va="center_baseline")
        for line, (muted, text) in enumerate(each, 1):
            ax.text(x, y + line * step, muted, size=SMALL, color=MUTED, va="center_baseline")
            ax.text(x + first, y + line * step, text, size=SMALL, va="center_baseline")
    return drawn


def shown(terms: str) -> str:
    """The first terms of a topic."""
    return " ".join(terms.split()[:TERMS])


@figure
def document_maps(records: Sequence[Record]) -> Figure | None:
    """Test documents on the plane of their codes' leading axes, by group, of the smallest width; None without any."""
    measured = [record for record in records if curve_of(record, "document_map")]
    least = min((record.width for record in measured), default=0)
    groups = by_name(record for record in measured if record.width == least)
    if not groups:
        return None
    best = sorted(groups, key=lambda name: -statistics.fmean(values(groups[name], "retrieval_precision") or [0.0]))
    curves = {name: curve_of(groups[name][0], "document_map") or {} for name in best[:MAPS]}
    kinds = sorted({group.partition(".")[0] for curve in curves.values() for group in curve["group"]})
    colours = {kind: oklch(0.6, 0.15, k / len(kinds)) for k, kind in enumerate(kinds)}
    title = f"Documents of {data_of(records)} on a plane"
    subtitle = (
        f"the two leading axes of codes of width {least}, without outliers; colours: first part of a group's name"
    )
    drawn, ax, panels = maps(curves, title, subtitle, 0.25)
    for name, panel in panels.items():
        curve = curves[name]
        for kind, colour in colours.items():
            points = [(x, y) for g, x, y in zip(*curve.values(), strict=True) if g.partition(".")[0] == kind]
            panel.plot(
                *zip(*points, strict=True) if points else ((), ()), "o", color=colour, ms=2.2, mec="none", alpha=0.8
            )
        _, *places = curve.values()
        low, high = np.quantile(places, INNER, axis=1)
        ends = np.array([-0.6, 0.6]) * (high - low).max()
        x, y = (low + high) / 2
        panel.set(xlim=x + ends, ylim=y + ends)
    x = MARGIN
    for kind, colour in colours.items():
        ax.plot(x + 0.05, HEAD, "o", color=colour, ms=4, mec="none")
        ax.text(x + 0.13, HEAD, kind, size=SMALL, va="center_baseline")
        x += 0.3 + text_width(kind, SMALL)
    return drawn


@figure
def word_maps(records: Sequence[Record]) -> Figure | None:
    """Words and their neighbours on the plane of their codes' leading axes; None without any."""
    groups = by_name(records)
    found = {name: curve for name, group in groups.items() if (curve := curve_of(group[0], "word_map"))}
    if not found:
        return None
    curves = {name: found[name] for name in agreeing(found, groups)}
    subtitle = (
        "sixteen words with five neighbours of each, on the two leading axes of codes; dots without a word: no room; "
        f"{models([groups[name][0] for name in curves])}"
    )
    side = 4.6
    drawn, _, panels = maps(curves, f"Neighbours of {data_of(records)} on a plane", subtitle, 0.0, side=side, columns=2)
    for name, panel in panels.items():
        words, x, y = curves[name].values()
        panel.plot(x, y, "o", color=look(name)[0], ms=2, mec="none")
        panel.apply_aspect()
        left, right = panel.get_xlim()
        for k in with_room(words, x, y, LETTER * (right - left) / side):
            panel.annotate(words[k], (x[k], y[k]), (2, 2), textcoords="offset points", size=TINY, color=INK)
    return drawn


def with_room(words: Sequence[str], x: Sequence[float], y: Sequence[float], letter: float) -> list[int]:
    """The indices of words that overlap no word kept before them; each begins at (x, y), with letters of one width."""
    kept: list[int] = []
    for k, word in enumerate(words):
        if not any(
            abs(y[k] - y[j]) < 2 * letter and x[k] < x[j] + letter * len(words[j]) and x[j] < x[k] + letter * len(word)
            for j in kept
        ):
            kept.append(k)
    return kept


def maps(
    curves: Mapping[str, object], title: str, subtitle: str, key: float, side: float = SIDE, columns: int = COLUMNS
) -> tuple[Figure, Axes, dict[str, Axes]]:
    """A sheet with a square panel without axes for each row, under its name.

    Args:
        curves: by row.
        title: of the figure.
        subtitle: of the figure.
        key: inches that are left free below the headline.
        side: inches of a panel.
        columns: of panels, at most.
    """
    columns = min(columns, len(curves))
    titles = {name: "\n".join(textwrap.wrap(terse(name), round(LETTERS * side))) for name in curves}
    above = 0.2 + LINE * max(title.count("\n") for title in titles.values())
    rows, pitch = math.ceil(len(curves) / columns), side + above + 0.1
    drawn, ax = sheet(2 * MARGIN + columns * (side + MARGIN), HEAD + key + rows * pitch, title, subtitle)
    panels = {}
    for number, name in enumerate(curves):
        x, y = MARGIN + number % columns * (side + MARGIN), HEAD + key + number // columns * pitch + above
        panels[name] = place(drawn, x, y, side, side)
        panels[name].set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
        panels[name].set_title(titles[name], loc="left", size=SMALL, color=look(name)[0])
    return drawn, ax, panels
