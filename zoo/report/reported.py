"""What papers and libraries report for cells of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.options import shipped
from zoo.runs.records import Record


@dataclass(frozen=True)
class Reported:
    """One value of a paper or a library.

    Attributes:
        data: name of the data set, as in the records.
        variant: stem of the variant's yaml.
        width: of the code; None for any.
        metric: which is reported.
        value: in the metric's unit.
        epochs: of the fit; None where they are not known.
        source: where it is reported.
        settings: those that a row's name must hold, as it writes them; none for any row of the variant.
    """

    data: str
    variant: str
    width: int | None
    metric: str
    value: float
    epochs: int | None
    source: str
    settings: tuple[str, ...] = ()


def reported(path: Path | None = None) -> list[Reported]:
    """All values of conf/references.yaml, or of another file.

    Raises:
        ZooError: a line that lacks a field, or has another.
    """
    import yaml

    place = path or shipped() / "references.yaml"
    lines: list[dict[str, Any]] = yaml.safe_load(place.read_text(encoding="utf-8")) or []
    names = {each.name for each in fields(Reported)}
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict) or line.keys() | {"settings"} != names:
            needed = ", ".join(sorted(names - {"settings"}))
            raise ZooError(f"{place}: entry {number} needs the fields {needed}, and may have settings")
    return [Reported(**line | {"settings": tuple(line.get("settings", ()))}) for line in lines]


def reported_for(
    records: Sequence[Record], every: Sequence[Reported], shared: Sequence[str] = ()
) -> list[tuple[Record, Reported]]:
    """Values reported for rows of a table, each with a record of the row.

    Args:
        records: of the table.
        every: the values.
        shared: changes of all rows, which their names leave out.
    """
    found: dict[tuple[str, Reported], Record] = {}
    for record in records:
        for each in every:
            alike = (each.data, each.variant) == (record.data, record.variant)
            if not all(setting in shared or f" {setting} " in f"{record.name} " for setting in each.settings):
                continue
            if alike and each.width in (None, record.width) and each.metric in record.metrics:
                found.setdefault((record.name, each), record)
    return [(record, each) for (_, each), record in found.items()]
