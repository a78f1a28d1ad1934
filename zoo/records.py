"""One immutable JSON record per run: everything a table or a figure says is read from these files.

A record lies at `results/records/<data>/<variant>/<hash>-s<seed>.json`, where the hash is taken over exactly the part
of the configuration that determines the fitted model, so that a run whose record exists need not be run again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

SCHEMA = 1


@dataclass(frozen=True)
class Record:
    """One run: what was fitted, by what, on what, and every number that came out.

    Attributes:
        name: the row's name: the variant, followed by what the command line changed of it ("vae network=conv").
        variant: stem of the variant's yaml.
        data: name of the data set.
        width: code width the run was asked for (top-level `width`).
        seed: determines every random choice of the run.
        hash: digest of `config`.
        config: the resolved configuration of all that determines the fitted model, seed apart.
        fit: "seconds", "epochs", "best_epoch", "peak_memory", and "history": {term: [one value per epoch]}. Where
            models of several seeds were fitted at once, "stacked" is their number; the memory is that of all.
        metrics: {name: {"value", "unit", "direction", "group", "n", "definition", "per_class"?, "reason"?}}; a metric
            that does not apply has value null and a reason.
        images: {strip name: base64 PNG}, test images in a row: "original", "reconstruction", "corrupted", "restored",
            "samples".
        environment: package versions, git commit, machine and time of the run.
    """

    name: str
    variant: str
    data: str
    width: int
    seed: int
    hash: str
    config: dict[str, Any]
    fit: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    images: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


def digest(config: dict[str, Any]) -> str:
    """Ten hex digits that change with any value of `config`, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:10]


def record_path(root: Path, data: str, variant: str, key: str, seed: int) -> Path:
    """Where the record of a run lies below the results folder `root`."""
    return root / "records" / data / variant / f"{key}-s{seed}.json"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: to a temporary neighbour first, then renamed over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def write_record(root: Path, record: Record) -> Path:
    """Write `record` to its place below `root` and return the path."""
    path = record_path(root, record.data, record.variant, record.hash, record.seed)
    write_atomically(path, json.dumps(asdict(record), indent=1, allow_nan=False).encode() + b"\n")
    return path


def read_record(path: Path) -> Record:
    """Read one record.

    Raises:
        ZooError: the file is not a record of this schema.
    """
    try:
        return Record(**check_schema(json.loads(path.read_text())))
    except (json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise ZooError(f"{path}: not a record of schema {SCHEMA} ({error}); delete it and run again") from error


def check_schema(content: dict[str, Any]) -> dict[str, Any]:
    """Return `content` if it is of this schema; KeyError tells of another."""
    if content.get("schema") != SCHEMA:
        raise KeyError(f"its schema is {content.get('schema')}")
    return content


def read_records(root: Path, data: str) -> list[Record]:
    """All records of one data set below `root`, in the order of their paths."""
    return [read_record(path) for path in sorted((root / "records" / data).glob("*/*.json"))]
