"""One JSON record per run: every number in a table or a figure is read from these files.

A record lies at `<results>/records/<data>/<variant>/<hash>-s<seed>.json`, where the hash is taken over exactly the part
of the configuration that determines the fitted model, so that a run whose record exists need not be run again.
"""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.options import Node, check_type
from zoo.runs.identity import digest

SCHEMA = 2
SEAL = "seal"  # of a record's file: the digest of all else in it, which reveals an edited file; not in older ones
KINDS = {  # of the fields that are one value, by keys of `options.PLAIN_TYPES`
    **dict.fromkeys(("name", "variant", "data", "hash", "code", "kind"), ("str",)),
    **dict.fromkeys(("width", "seed"), ("int",)),
    **dict.fromkeys(("path", "weights"), ("str", "None")),
    "trust": ("Sequence[str]",),
}
PNG = "iVBORw0KGgo"  # how one begins in base64
LARGEST = 1e30  # of a number
DIRECTIONS = ("lower", "higher", "none")
TIMED = "throughput"  # the group of metrics that are times of the machine that measures them
DUE = "due"  # of an environment: metrics that the record of an earlier fit held
KINDS_OF_METRIC = {"value": ("float", "None"), **dict.fromkeys(("unit", "direction", "group"), ("str",))}


@dataclass(frozen=True)
class Record:
    """One run: its options, its data, how it was fitted, and every number that was measured.

    Attributes:
        name: name of the row: the variant and its changes on the command line ("vae network=conv").
        variant: stem of the variant's yaml.
        data: name of the data set; for your own files, with the first digits of their content's digest.
        width: code width (top-level `width`).
        seed: determines every random choice of the run.
        hash: digest of `config`.
        config: the options of the axes by name and value (see `zoo.options`), all that determines the fitted model
            but the seed. Nothing in it is code, or is ever run.
        code: digest of the code of the parts, comments and docstrings apart; a record whose code has changed is stale.
        fit: "seconds", "epochs", "best_epoch", "peak_memory", "load" (processes per core in the fit's last minute), and
            "history": {term: [one value per epoch]}. Where models of several seeds were fitted at once, "stacked" is
            their number; the memory is that of all. Where the model explains less than the mean image or than PCA,
            "shortfall" is the sentence that says so.
        metrics: {name: {"value", "unit", "direction", "group", "version", "n", "definition", "per_class"?, "reason"?,
            "failed"?}}; a metric that does not apply has value null and a reason.
        images: {strip name: base64 PNG}, test images in a row: "original", "reconstruction", "corrupted", "restored",
            "samples"; and atoms about grey: "atoms" of a linear decoder, "planted" of the data set.
        environment: package versions, git commit, machine and time of the run; "evaluated", {commit: [metrics]}, of
            metrics that were measured at another commit than that of the fit.
        path: path of your own files at the time; None for published data.
        trust: packages from elsewhere that parts come from.
        kind: of the samples: "image", "vector" or "counts".
        weights: SHA-256 of the model file, which reveals a model file of another run; None in older records.
    """

    name: str
    variant: str
    data: str
    width: int
    seed: int
    hash: str
    config: dict[str, Node]
    code: str
    fit: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    images: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    path: str | None = None
    trust: list[str] = field(default_factory=list)
    kind: str = "image"
    weights: str | None = None
    schema: int = SCHEMA

    def measured(
        self, found: Mapping[str, dict[str, Any]], commit: str | None, machine: Mapping[str, Any] | None = None
    ) -> Record:
        """The record with metrics that were measured at a commit, in place of those of the same names.

        Times of encoding and decoding hold the `machine` they were measured on, if it is not that of the fit.
        """
        if machine is not None and machine != self.environment.get("machine"):
            found = {
                name: entry | ({"machine": dict(machine)} if entry.get("group") == TIMED else {})
                for name, entry in found.items()
            }
        earlier: dict[str, list[str]] = self.environment.get("evaluated", {})
        at = {each: [name for name in names if name not in found] for each, names in earlier.items()}
        if commit != self.environment.get("git"):
            at[str(commit)] = sorted([*at.get(str(commit), []), *found])
        rest = {key: value for key, value in self.environment.items() if key not in ("evaluated", DUE)}
        kept = {each: names for each, names in at.items() if names}
        left = [name for name in self.environment.get(DUE, []) if name not in found]
        environment = rest | ({"evaluated": kept} if kept else {}) | ({DUE: left} if left else {})
        return replace(self, metrics=self.metrics | dict(found), environment=environment)


def record_path(root: Path, data: str, variant: str, key: str, seed: int) -> Path:
    """Path of the record of a run below the results folder `root`."""
    return root / "records" / data / variant / f"{key}-s{seed}.json"


def lock_of(path: Path) -> Path:
    """The name of the lock for changing the record at `path` or fitting its model."""
    return path.with_suffix("")


def write_record(root: Path, record: Record) -> Path:
    """Write `record` to its place below `root` and return the path."""
    path = record_path(root, record.data, record.variant, record.hash, record.seed)
    content = json.loads(json.dumps(asdict(record)))  # as it will be read
    text = json.dumps(content | {SEAL: digest(content)}, indent=1, allow_nan=False)
    write_atomically(path, text.encode() + b"\n")
    return path


def read_record(path: Path) -> Record:
    """Read one record.

    Raises:
        ZooError: the file cannot be read, is not a record of this schema, or was changed or renamed by hand.
    """
    if not path.is_file():
        raise ZooError(f"{path}: no such record")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise ZooError(f"its schema is {content.get('schema') if isinstance(content, dict) else None}")
        seal = content.pop(SEAL, None)
        if seal != digest(content) and (seal, content.get("weights")) != (None, None):  # older records have neither
            raise ZooError("it was changed by hand")
        record = Record(**content)
        check_record(record)
        if path.stem != (name := f"{record.hash}-s{record.seed}"):
            raise ZooError(f"it is of the run {name}")
    except OSError as error:
        raise ZooError(f"{path}: this record cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, RecursionError, ZooError) as error:
        raise ZooError(f"{path}: not a record of schema {SCHEMA} ({error}); delete it and run again") from error
    return record


def check_record(record: Record) -> None:
    """ZooError if a field of a record is of another type than it should be, or its hash is not that of its config."""
    for name, kinds in KINDS.items():
        check_type(name, getattr(record, name), *kinds)
    for name in ("config", "fit", "metrics", "images", "environment"):
        if not isinstance(getattr(record, name), Mapping):
            raise ZooError(f"{name} is no mapping")
    for name in ("name", "variant", "data"):
        getattr(record, name).encode()  # half of a character is no text
    if not 0 < record.width < 2**31:
        raise ZooError(f"its width is {record.width}")
    for name, strip in record.images.items():
        if not isinstance(strip, str) or not strip.startswith(PNG) or not strip.isascii():
            raise ZooError(f"images.{name} is no PNG in base64")
    for each in (record.environment.get("evaluated", {}), {DUE: record.environment.get(DUE, [])}):
        if not isinstance(each, Mapping) or not all(isinstance(names, list) for names in each.values()):
            raise ZooError("environment: metrics must be lists of names")
    if not isinstance(record.environment.get("machine", {}), Mapping):
        raise ZooError("environment.machine is no mapping")
    history = record.fit.get("history", {})
    if not isinstance(history, Mapping) or not all(_is_column(values, empty=True) for values in history.values()):
        raise ZooError("fit.history is no mapping of lists of numbers")
    check_type("fit.best_epoch", record.fit.get("best_epoch", 1), "int")
    for name, entry in record.metrics.items():
        _check_metric(f"metrics.{name}", entry)
    if "mse" in record.metrics and "n" not in record.metrics["mse"]:
        raise ZooError("metrics.mse has no number of samples")
    check_type("fit.seconds", record.fit.get("seconds"), "float")
    if digest(record.config) != record.hash:
        raise ZooError("its config is not the one that its hash was taken of")


def _check_metric(name: str, entry: Any) -> None:
    """ZooError if an entry of a metric is not as `Record` says."""
    if not isinstance(entry, Mapping) or not entry.keys() >= KINDS_OF_METRIC.keys():
        raise ZooError(f"{name} is incomplete")
    for key, kinds in KINDS_OF_METRIC.items():
        check_type(f"{name}.{key}", entry[key], *kinds)
    if entry["direction"] not in DIRECTIONS:
        raise ZooError(f"{name}.direction={entry['direction']!r}: none of {', '.join(DIRECTIONS)}")
    if entry["value"] is None:
        check_type(f"{name}.reason", entry.get("reason"), "str")
    elif not _is_column([entry["value"], *(entry.get("interval") or [])]):
        raise ZooError(f"{name}: its value and interval are no finite numbers")
    check_type(f"{name}.n", entry.get("n"), "int", "None")
    if not isinstance(entry.get("machine", {}), Mapping):
        raise ZooError(f"{name}.machine is no mapping")
    if "resampled" in entry:
        check_type(f"{name}.resampled", entry["resampled"], "str")
        found = np.frombuffer(base64.b64decode(entry["resampled"]), np.float32)
        if not found.size or not np.isfinite(found).all():
            raise ZooError(f"{name}.resampled holds no finite numbers")
    curve = entry.get("curve", {})
    if not isinstance(curve, Mapping) or not all(map(_is_column, curve.values())):
        raise ZooError(f"{name}.curve is no mapping of lists")
    if len({len(column) for column in curve.values()}) > 1:
        raise ZooError(f"{name}.curve has columns of several lengths")


def _is_column(values: Any, empty: bool = False) -> bool:
    """Whether this is a list of finite numbers or of texts."""
    if not isinstance(values, list) or not (values or empty):
        return False
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < LARGEST for one in values)
    return numbers or all(isinstance(one, str) for one in values)


def read_records(root: Path, data: str) -> list[Record]:
    """All records of one data set below `root`, in the order of their paths.

    Warns:
        UserWarning: a file there is not a record, and is left out.
    """
    found = []
    for path in sorted((root / "records" / data).glob("*/*.json")):
        try:
            found.append(read_record(path))
        except ZooError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
    return found
