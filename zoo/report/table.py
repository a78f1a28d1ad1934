"""Records of one data set as a table: a data frame, a Markdown page, tables for the terminal."""

from __future__ import annotations

import re
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from zoo.catalogue import title_of
from zoo.errors import ZooError
from zoo.report.reported import reported, reported_for
from zoo.report.statistics import (
    MIXED,
    Cell,
    by_name,
    cells,
    comparable,
    data_of,
    definitions,
    estimate_of,
    leading,
    scope,
)
from zoo.runs.bars import Terminal
from zoo.runs.records import Record

ARROWS = {"lower": " ↓", "higher": " ↑", "none": ""}
QUESTIONS, OF_QUESTIONS = ("words", "documents", "disentanglement", "outliers"), 6  # groups that few studies ask for
SUMMARY = (
    *("planted_recovery", "sse", "mse", "psnr", "ssim", "linear_probe_accuracy", "iwae_5000"),
    *("parameters", "macs", "fit_seconds"),
)
OF_SETS = ("generation", "learned_generation", "inception")  # groups of metrics of sets of generated samples
TRAINING = "training images"  # in curves of comparisons with test images
NOT_MEASURED = {"value": None, "reason": "not measured"}
RERUN = "stale=rerun"  # the setting that runs stale rows again
NEIGHBOURS = "word_neighbours"  # the metric whose curve holds the neighbours of words
STALE = "## Stale rows"  # the heading of the list of these
TERMINAL, NAME = 80, 26  # characters of a line, and of the longest name that is not wrapped


def benchmark(records: Sequence[Record]) -> pd.DataFrame:
    """One row per name, best mse first: `variant`, `seeds`, and `<metric>`, `<metric>_ci95` for every metric.

    `<metric>` is the mean over seeds, `<metric>_ci95` half the width of its 95 % interval over seeds and test samples,
    empty where neither is known; both are empty where the metric does not apply.

    Raises:
        ZooError: one name has several configurations, or a seed twice.
    """
    rows = []
    for name, group in by_name(records).items():
        row: dict[str, Any] = {"variant": name, "seeds": len(group)}
        for metric in definitions(records):
            found = estimate_of(group, metric)
            row[metric] = None if found is None else found.mean
            row[f"{metric}_ci95"] = None if found is None else found.half_width
        rows.append(row)
    frame = pd.DataFrame(rows)
    return frame.astype(dict.fromkeys(frame.columns[2:], float))


def counted(records: Sequence[Record], column: Column) -> str:
    """The samples that a column was measured on, and whether its intervals are over seeds alone; empty for costs."""
    if column.about["group"] == "cost":
        return ""
    entries = [entry for record in records if (entry := record.metrics.get(column.metric, {})).get("value") is not None]
    numbers = sorted({entry["n"] for entry in entries if entry.get("n")})
    parts = [f"n = {' or '.join(f'{n:,}' for n in numbers)}"] if numbers else []
    if outside := sorted({name for entry in entries for name in entry.get("settings", {}).get("outside", ())}):
        parts.append(f"outliers: {', '.join(map(title_of, outside))}")
    if (floor := of_training_images(records, column.metric)) is not None:
        parts.append(f"training images themselves: {floor:.3g}")
    if (chance := of_shuffled_codes(entries)) is not None:
        parts.append(f"shuffled codes: {chance:.3g}")
    if any(cell.half_text for cell in column.cells.values()) and not any("resampled" in entry for entry in entries):
        parts.append("intervals over seeds alone")
    return f" ({'; '.join(parts)})" if parts else ""


def of_training_images(records: Sequence[Record], metric: str) -> float | None:
    """The value of training images in place of samples of a model, the same for every model; None if unknown."""
    for record in records:
        curve = record.metrics.get(metric.removeprefix("prior_").removeprefix("learned_"), {}).get("curve") or {}
        if TRAINING in curve.get("samples", ()):
            return float(curve["value"][curve["samples"].index(TRAINING)])
    return None


def of_shuffled_codes(entries: Sequence[dict[str, Any]]) -> float | None:
    """The value of codes in random order, mean over the entries that have it: the level of chance; None if unknown."""
    curves = [curve for entry in entries if "shuffled" in (curve := entry.get("curve") or {}).get("codes", ())]
    return statistics.mean(curve["all"][curve["codes"].index("shuffled")] for curve in curves) if curves else None


@dataclass(frozen=True)
class Column:
    """One metric of the table: its unit and direction, its cells by row, and the rows that are best as displayed."""

    metric: str
    about: dict[str, Any]
    cells: dict[str, Cell]
    best: set[str]

    @property
    def name(self) -> str:
        """Metric and direction: "mse ↓"."""
        return self.metric + ARROWS[self.about["direction"]]

    @property
    def unit(self) -> str:
        """In brackets; empty where there is none, or the metric is named after it."""
        return "" if self.about["unit"] in ("1", self.metric) else f" ({self.about['unit']})"

    def texts(self, rows: Iterable[str], bold: str) -> list[str]:
        """The texts of `rows`, the best formatted by `bold`."""
        return [bold.format(self.cells[row]) if row in self.best else str(self.cells.get(row, "")) for row in rows]


def varied_over(records: Sequence[Record]) -> str:
    """What intervals of a table are over: "seeds and test samples", or one of them; empty if there are none."""
    seeds = {len(group) for group in by_name(records).values()}
    sampled = any("resampled" in entry for record in records for entry in record.metrics.values())
    over = ["seeds"] * (max(seeds) > 1) + ["test samples"] * sampled
    alone = " (of rows with one seed, over test samples alone)" if len(over) == 2 and min(seeds) == 1 else ""
    return " and ".join(over) + alone


def columns(records: Sequence[Record]) -> list[Column]:
    """The columns with at least one value, group by group."""
    rows, found = by_name(records), []
    for metric, about in definitions(records).items():
        if filled := cells(rows, metric):
            found.append(Column(metric, about, filled, best(filled, about, len(rows))))
    order = list(dict.fromkeys(each.about["group"] for each in found))
    return sorted(found, key=lambda each: order.index(each.about["group"]))


def best(filled: dict[str, Cell], about: dict[str, Any], rows: int) -> set[str]:
    """The row with the best mean, and all rows that cannot be distinguished from it.

    None where the metric has no better direction, is a measurement such as seconds, which other work on the machine
    changes, applies to no more than half of the rows, or distinguishes none of them from the best. A row without
    an interval is left out, unless its value is exact; if it is the best row, none is named.
    """
    if about["direction"] == "none" or about.get("measured") or 2 * len(filled) <= rows:
        return set()
    choose = min if about["direction"] == "lower" else max
    top = choose(filled.values(), key=lambda cell: cell.mean)
    known = {row: cell for row, cell in filled.items() if cell.estimate.known}
    if not top.estimate.known:
        return set()
    found = {row for row, c in known.items() if not c.estimate.differs(top.estimate)}
    return found if len(found) < len(known) or len(filled) == 1 else set()


def markdown(
    records: Sequence[Record],
    command: str,
    figures: Sequence[str] = (),
    stale: Collection[str] = (),
    rerun: str = RERUN,
) -> str:
    """The benchmark as a Markdown page: a table for each group of metrics, pictures, definitions.

    Args:
        records: of one data set.
        command: writes the page again.
        figures: names of picture files beside the page.
        stale: names, as in the table, of the rows whose code has changed since they were recorded.
        rerun: the command, or the setting, that runs these again.
    """
    shared = common(records)
    records = brief(records, shared)
    table = columns(records)
    over = varied_over(records)
    drawn = [each for each in table if each.about["group"] in OF_SETS and any(c.half_text for c in each.cells.values())]
    also = " (for sets of generated samples, also over draws)" if drawn else ""
    interval = f" ± half the width of its 95 % interval over {over}{also}" if over else ""
    parts = [
        f"# {data_of(records)}: {scope(records)}",
        *([f"All rows with `{' '.join(shared)}`."] if shared else []),
        f"Mean over seeds{interval}. ↓ lower is better, ↑ higher is better; **bold** marks the best row and all rows "
        "that cannot be distinguished from it at 95 %, errors by their ratio. Nothing is bold in columns that rank "
        "nothing, hold measured times, have values of at most half of the rows, or distinguish no row from the best; "
        f"where other values have intervals, one without is not bold. Sorted by {leading(records)[0]}.",
    ]
    for group, part in groupby(table, key=lambda each: str(each.about["group"])):
        parts += [f"## {group.replace('_', ' ').capitalize()}", markdown_table(records, part)]
    if beside := reported_table(records, table, shared):
        parts += ["## Reported elsewhere", beside]
    if near := neighbours_table(records):
        parts += ["## Neighbours", "Words and the five words of greatest cosine, of each row's first seed.", near]
    if figures:
        parts += ["## Figures", *(f"![{Path(name).stem.replace('_', ' ')}]({name})" for name in figures)]
    if short := shortfalls(records):
        parts += ["## Warnings", "\n".join(f"- {line}" for line in short)]
    parts += [
        "## Definitions",
        "n: the number of samples, pairs, questions or atoms that a metric was measured on.",
        "\n".join(f"- **{each.metric}**{counted(records, each)}: {each.about['definition']}" for each in table),
    ]
    if reasons := missing(records, table):
        parts += ["## Empty cells", "\n".join(f"- {reason}" for reason in reasons)]
    if old := [name for name in by_name(records) if name in stale]:
        parts += [
            STALE,
            f"The code of these rows has changed since they were recorded; `{rerun}` runs them again.",
            "\n".join(f"- {name}" for name in old),
        ]
    parts += [f"Written from the records by `{command}`."]
    return "\n\n".join(parts) + "\n"


def markdown_table(records: Sequence[Record], shown: Iterable[Column], seeds: bool = True) -> str:
    """Some columns of the benchmark as a Markdown table, the best in bold, with or without the number of seeds."""
    rows = by_name(records)
    text = {"variant": [name.replace("|", r"\|") for name in rows]}
    if seeds:
        text["seeds"] = [str(len(group)) for group in rows.values()]
    for each in shown:
        text[each.name + each.unit] = each.texts(rows, "**{}**")
    alignment = ("left", *["right"] * (len(text) - 1))
    return pd.DataFrame(text).to_markdown(index=False, disable_numparse=True, colalign=alignment)


def neighbours_table(records: Sequence[Record]) -> str:
    """Words, and the neighbours of each in every row's code, as a Markdown table; empty where none were measured."""
    found = {
        name: dict(zip(curve["word"], curve["neighbours"], strict=True))
        for name, group in by_name(records).items()
        if (curve := group[0].metrics.get(NEIGHBOURS, {}).get("curve"))
    }
    lines = [
        {"word": word, "variant": name.replace("|", r"\|"), "neighbours": near[word]}
        for word in dict.fromkeys(word for near in found.values() for word in near)
        for name, near in found.items()
        if word in near
    ]
    return pd.DataFrame(lines).to_markdown(index=False) if lines else ""


def reported_table(records: Sequence[Record], table: Iterable[Column], shared: Sequence[str] = ()) -> str:
    """Cells beside what papers and libraries report for them, as a Markdown table; empty where nothing is reported.

    `shared` are the changes that all rows share, which their names leave out.
    """
    shown = {each.metric: each for each in table}
    lines = [
        {
            "variant": record.name.replace("|", r"\|"),
            "metric": each.metric + shown[each.metric].unit,
            "here": str(shown[each.metric].cells[record.name]),
            "epochs here": f"{record.fit['epochs']:,}",
            "reported": f"{each.value:,g}",
            "epochs": "" if each.epochs is None else f"{each.epochs:,}",
            "source": each.source,
        }
        for record, each in reported_for(records, reported(), shared)
        if each.metric in shown and record.name in shown[each.metric].cells
    ]
    return pd.DataFrame(lines).to_markdown(index=False, disable_numparse=True) if lines else ""


def common(records: Sequence[Record]) -> list[str]:
    """The changes that the names of all rows share, if there is more than one row."""
    names = sorted({record.name for record in records})
    if len(names) < 2:
        return []
    return [change for change in words(names[0])[1:] if all(change in words(name) for name in names)]


def brief(records: Iterable[Record], shared: Sequence[str]) -> list[Record]:
    """The records, their names without the shared changes."""
    return [replace(r, name=" ".join(word for word in words(r.name) if word not in shared)) for r in records]


def words(name: str) -> list[str]:
    """A row's name in its parts: the variant, and each change of it ("hidden=[8, 4]" is one)."""
    return re.split(r" (?=[\w./]+=)", name)


def excerpt(records: Sequence[Record], rows: Sequence[str], metrics: Sequence[str]) -> str:
    """Some rows and metrics of the benchmark as a Markdown table, rows sorted as in the benchmark.

    Which rows are bold is decided among these rows alone.

    Args:
        records: of one data set.
        rows: names of rows, without the changes that all rows share.
        metrics: names of metrics, in the order of the columns.

    Raises:
        ZooError: there is no such row, or no row has a value of such a metric.
    """
    records = brief(comparable(records), common(records))
    chosen = [record for record in records if record.name in rows]
    found = {column.metric: column for column in columns(chosen)}
    names = {record.name for record in chosen}
    lacking = [*(each for each in rows if each not in names), *(each for each in metrics if each not in found)]
    if lacking:
        raise ZooError(f"the quoted table names {', '.join(lacking)}, which the study does not have; change its mark")
    return markdown_table(chosen, [found[metric] for metric in metrics], seeds=False)


def missing(records: Sequence[Record], table: Sequence[Column]) -> list[str]:
    """Why cells of the table are empty: "l0, dead_fraction of pca, svd: the reason".

    A metric that failed, or was left out, is listed even where no row has a value, and so no column.
    """
    rows = by_name(records)
    failed = (
        name
        for record in records
        for name, entry in record.metrics.items()
        if entry.get("failed") or entry.get("reason") == MIXED
    )
    lacking: dict[tuple[str, str], list[str]] = {}
    for metric in dict.fromkeys([*(column.metric for column in table), *failed]):
        for name, group in rows.items():
            entries = [record.metrics.get(metric, NOT_MEASURED) for record in group]
            for reason in {entry["reason"]: None for entry in entries if entry["value"] is None}:
                lacking.setdefault((metric, reason), []).append(name)
    alike: dict[tuple[str, str], list[str]] = {}
    for (metric, reason), names in lacking.items():
        others = [name for name in rows if name not in names]
        few = len(names) <= len(others)
        of = ", ".join(names) if few else f"all but {', '.join(others)}" if others else "all rows"
        alike.setdefault((of, reason), []).append(metric)
    return [f"**{', '.join(metrics)}** of {of}: {reason}" for (of, reason), metrics in alike.items()]


def shortfalls(records: Sequence[Record]) -> list[str]:
    """Which rows explain less of the test samples than the mean image, or than PCA, in a sentence each.

    A row is named if this holds for one of its seeds; see `zoo.evaluation.shortfall`.
    """
    found: dict[str, list[str]] = {}
    for name, group in by_name(records).items():
        for kind in {str(r.fit["shortfall"]).partition(" (")[0]: None for r in group if r.fit.get("shortfall")}:
            found.setdefault(kind, []).append(name)
    return [f"{kind}: {', '.join(names)}" for kind, names in found.items()]


def headlines(filled: Sequence[Column], most: int) -> list[str]:
    """The metrics that a table of at most `most` columns shows.

    What few studies ask for comes first, and of that what most rows have. Then come the metrics that most studies
    share, and errors of corrupted images while there is room.
    """
    filled = sorted(filled, key=lambda each: -len(each.cells))
    better = {each.metric: each.about["group"] for each in filled if each.about["direction"] != "none"}
    asked, errors = ([name for name in better if better[name] in groups] for groups in (QUESTIONS, ("robustness",)))
    known = [*asked[:OF_QUESTIONS], *(name for name in SUMMARY if name in better)]
    return [*known, *errors[: max(0, most - len(known))]]


def print_table(records: Sequence[Record], metrics: Iterable[str] = ()) -> None:
    """Print columns of the benchmark, its headlines or the given ones, in tables of at most 80 characters a line."""
    shared = common(records)
    records = brief(comparable(records), shared)
    filled = columns(records)
    metrics = list(metrics) or headlines(filled, len(SUMMARY))
    console, rows = Terminal(width=TERMINAL, highlight=False), list(by_name(records))
    room = TERMINAL - min(max(map(len, rows)), NAME) - 3
    parts: list[list[Column]] = []
    left = 0
    for each in (column for column in filled if column.metric in metrics):
        width = 3 + max(map(len, [each.name, *each.texts(rows, "{}")]))
        if width > left:
            parts.append([])
            left = room
        parts[-1].append(each)
        left -= width
    console.print(f"[bold]{escape(data_of(records))}[/]: {escape(scope(records))}")
    if shared:
        console.print(f"all with {escape(' '.join(shared))}")
    for part in parts:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("variant", min_width=TERMINAL - 3 - room, max_width=NAME, overflow="fold")
        for each in part:
            table.add_column(each.name, justify="right", no_wrap=True)
        for line in zip(map(escape, rows), *(each.texts(rows, "[bold green]{}[/]") for each in part), strict=True):
            table.add_row(*line)
        console.print(table)
    for short in shortfalls(records):
        console.print(f"[yellow]warning[/] {escape(short)}", soft_wrap=True)


def print_tables(records: Sequence[Record]) -> None:
    """Print a table for each data set and width; see `apart` for rows of one name and several configurations."""
    groups: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        groups.setdefault((record.data, record.width), []).append(record)
    for group in groups.values():
        print_table(apart(group))


def apart(records: Sequence[Record]) -> list[Record]:
    """The records, their names followed by the hash where one name has several configurations."""
    hashes: dict[str, set[str]] = {}
    for record in records:
        hashes.setdefault(record.name, set()).add(record.hash)
    return [replace(r, name=f"{r.name} {r.hash[:6]}") if len(hashes[r.name]) > 1 else r for r in records]
