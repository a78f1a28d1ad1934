"""The tab Compare: the tables of studies, and what their records hold of each row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.catalogue import FAMILIES, OTHER, family_of, variants
from zoo.report.figures.style import HUES
from zoo.report.statistics import by_name, comparable, scope
from zoo.report.table import Column, brief, columns, common, headlines, missing
from zoo.runs.records import Record, record_path
from zoo.runs.strips import decode_strip, encode_strip

CURVES = ("train_nll", "validation_nll")
POINTS = 50  # of a curve
PICTURED = 8  # images of a strip
COLUMNS = 10  # that a table shows at first
RESULTS = Path("..")  # the folder of the records, seen from the page


@dataclass(frozen=True)
class Table:
    """The results of a study.

    Attributes:
        study: its name.
        about: what its file says about it.
        records: of its table.
        commands: make these again, by their hashes.
    """

    study: str
    about: str
    records: Sequence[Record]
    commands: Mapping[str, str]


def content(tables: Sequence[Table]) -> dict[str, Any]:
    """What the tab shows of some studies."""
    strips = Strips()
    return {
        "families": [[family, HUES.get(family)] for family in (*FAMILIES, OTHER)],  # with their hues, in turns
        "methods": {variant.name: variant.method for variant in variants()},
        "studies": [study(table, strips) for table in tables],
        "strips": strips.found,
    }


class Strips:
    """Rows of images, the first of each, kept once: many rows of a table show the same originals."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, png: str) -> int:
        """Where a strip lies in `found`."""
        if png not in self._places:
            self._places[png] = len(self.found)
            self.found.append(encode_strip(decode_strip(png)[:PICTURED]))
        return self._places[png]


def study(table: Table, strips: Strips) -> dict[str, Any]:
    """One table with its definitions, rows and the details of each row."""
    records = comparable(table.records)
    shared = common(records)
    shown = brief(records, shared)
    filled = columns(shown)
    rows = [row(name, group, table.commands, filled, strips) for name, group in by_name(shown).items()]
    return {
        "name": table.study,
        "about": table.about,
        "data": records[0].data,
        "scope": scope(records),
        "shared": shared,
        "metrics": [metric(each) for each in filled],
        "shown": headlines(filled, COLUMNS),
        "rows": rows,
        "empty": missing(shown, filled),
    }


def metric(column: Column) -> dict[str, str]:
    """What a column holds."""
    about = column.about
    return {"name": column.metric, **{key: str(about[key]) for key in ("unit", "direction", "group", "definition")}}


def row(
    name: str, group: Sequence[Record], commands: Mapping[str, str], filled: Sequence[Column], strips: Strips
) -> dict[str, Any]:
    """One row: its cells as [value, half width of the interval or None, text], and its first record in detail."""
    first = group[0]
    cells = {
        each.metric: [figures(cell.mean), figures(cell.half_width) if cell.half_text else None, str(cell)]
        for each in filled
        if (cell := each.cells.get(name)) is not None
    }
    return {
        "name": name,
        "variant": first.variant,
        "family": family_of(first.variant),
        "seeds": [record.seed for record in group],
        "cells": cells,
        "best": [each.metric for each in filled if name in each.best],
        "command": commands[first.hash],
        "record": record_path(RESULTS, first.data, first.variant, first.hash, first.seed).as_posix(),
        "config": first.config,
        "fit": {key: value for key, value in first.fit.items() if key != "history"},
        "environment": first.environment,
        "hash": first.hash,
        "curves": curves(first.fit.get("history", {})),
        "strips": {kind: strips.place(png) for kind, png in first.images.items()},
    }


def curves(history: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The curves of a fit, at most `POINTS` numbers each: the epochs, and the negative log-likelihoods."""
    epochs = history.get("epoch", [])
    step = max(1, math.ceil(len(epochs) / POINTS))
    chosen = {
        key: values for key, values in history.items() if key in ("epoch", *CURVES) and len(values) == len(epochs)
    }
    return {key: [figures(value) for value in values[step - 1 :: step]] for key, values in chosen.items()}


def figures(number: float) -> float:
    """A number to five significant digits."""
    return float(f"{number:.5g}")
