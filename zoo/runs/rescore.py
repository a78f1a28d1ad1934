"""Measure metrics of saved models, and add them to their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from zoo.errors import ZooError
from zoo.files import existing, locked
from zoo.options import Node, build, content, template
from zoo.runs.compose import place, setting
from zoo.runs.identity import content_digest
from zoo.runs.job import density_nodes, groups_of, judgements_of, places, threads_of
from zoo.runs.outside import outside_images, outside_node
from zoo.runs.records import Record, lock_of, read_record, record_path, write_record
from zoo.runs.siblings import siblings_of


@dataclass(frozen=True)
class Rescoring:
    """The metrics to measure on saved models, and how.

    Attributes:
        groups: of metrics.
        densities: densities of codes, by name and settings.
        outliers: the data set whose test images are outliers; None for the one that the option file of a record's data
            names.
        judgements: folder with your own files of judgements of words; None for those of gensim.
        again: measure metrics again that a record has already.
        models: folder of the fitted models.
        places: {"root", "decoded"}: where data sets and decoded pictures lie.
        path: current path of your own files; None for that of the record.
        features: folder of the networks in whose features samples are compared.
        threads: CPU threads to compute with.
        progress: show a bar.
        trust: packages from elsewhere whose parts may be built.
    """

    groups: list[str]
    densities: dict[str, Node]
    outliers: str | None
    judgements: Path | None
    again: bool
    models: Path
    places: dict[str, str]
    path: str | None
    features: Path
    threads: int
    progress: bool
    trust: tuple[str, ...]

    @classmethod
    def of(cls, cfg: DictConfig) -> Rescoring:
        """Read from a composed configuration.

        Raises:
            ZooError: a group, a density or a data set does not exist, or nothing is asked for.
        """
        asked = cls(
            groups=groups_of(cfg),
            densities=density_nodes(cfg, cfg.trust),
            outliers=setting(cfg, "evaluation.outliers", "str", "None"),
            judgements=judgements_of(cfg),
            again=setting(cfg, "again", "bool"),
            models=place(cfg, "paths.models"),
            places=places(cfg),
            path=setting(cfg, "path", "str", "None"),
            features=place(cfg, "paths.features"),
            threads=threads_of(cfg),
            progress=setting(cfg, "trainer.progress", "bool"),
            trust=tuple(cfg.trust),
        )
        from zoo.evaluation.evaluator import due  # torch takes a second to import

        due({}, asked.groups, asked.densities, asked.trust, judgements=asked.judgements)
        outside_node(asked.outliers, asked.places, asked.trust)
        return asked


def find_records(run: Path) -> list[Path]:
    """The record at path `run`, or all records below it if it is a folder.

    Raises:
        ZooError: there is none.
    """
    run = existing(run)
    paths = [run] if run.is_file() else sorted(run.rglob("*-s*.json"))
    if not paths:
        raise ZooError(f"run={run}: no record there; give a record's file or a folder such as outputs/records/digits")
    return paths


def rescore(path: Path, asked: Rescoring) -> tuple[Record, list[str]]:
    """Measure the metrics of a record's model that the record lacks, and write them into it; no metric is removed.

    Returns:
        The record, and the names of the metrics that were measured.

    Raises:
        ZooError: the model or its data is not there, or the file is no record, or not where records lie.
    """
    import torch  # takes a second to import

    from zoo.evaluation.evaluator import due, evaluate, in_groups
    from zoo.memory import keep_freed_memory
    from zoo.runs.bars import evaluation_bar
    from zoo.runs.single import commit, machine
    from zoo.runs.weights import model_of

    record = read_record(path)
    root = path.resolve().parents[3]
    if record_path(root, record.data, record.variant, record.hash, record.seed) != path.resolve():
        raise ZooError(f"{path}: is not where its content says; records are at records/<data>/<variant>/<hash>")
    file = asked.models / record.data / record.variant / f"{record.hash}-s{record.seed}.safetensors"
    siblings, given = siblings_of(file), (asked.densities, asked.trust)
    outliers = asked.outliers or partner(data_node(path, record.config), asked.trust)
    lacking = due(record.metrics, asked.groups, *given, [outliers] if outliers else [], siblings, asked.judgements)
    names = in_groups(asked.groups) if asked.again else lacking
    if not names:
        return record, []
    keep_freed_memory()
    torch.set_num_threads(asked.threads)
    model = model_of(record, file, asked.trust)
    data = data_of(path, record, asked)
    outside = outside_images(outside_node(outliers, asked.places, asked.trust), data, names, asked.trust)
    with evaluation_bar(record.name, asked.progress) as show:
        about = (asked.features, *given, outside, siblings, asked.judgements)
        found = evaluate(model, data, names, record.fit, show, *about)
    with locked(lock_of(path)):  # keep metrics that others have added meanwhile
        now = read_record(path)
        if now.weights != record.weights:
            raise ZooError(f"{path}: was fitted again meanwhile; what was measured is of the older model: repeat it")
        record = now.measured(found, commit(), machine())
        write_record(root, record)
    return record, list(found)


def data_node(path: Path | str, config: Mapping[str, Node]) -> Node:
    """The data of a stored configuration; ZooError where it describes none. `path` is for the message."""
    node = config.get("data")
    if not isinstance(node, dict) or not all(
        isinstance(node.get(k), t) for k, t in (("option", str), ("source", dict))
    ):
        raise ZooError(f"{path}: its configuration describes no data")
    return node


def partner(node: Node, trust: tuple[str, ...]) -> str | None:
    """The data set of outliers that the option file of a data set names."""
    named: str | None = content("data", node["option"], trust).get("evaluation", {}).get("outliers")
    return named


def data_of(path: Path, record: Record, asked: Rescoring) -> Any:
    """The data that a record's model was fitted on.

    Raises:
        ZooError: your own files are missing or have changed.
    """
    return data_from(path, data_node(path, record.config), record.path, asked)


def data_from(path: Path | str, node: Node, own: str | None, asked: Rescoring) -> Any:
    """The data that the options of a model describe.

    Args:
        path: of the record or the model, for messages.
        node: its options of the axis `data`.
        own: path of your own files at the time; None if not known.
        asked: the places of data sets.

    Raises:
        ZooError: your own files are missing or have changed.
    """
    known: Sequence[str] = template("data", node["option"], asked.trust)["source"]
    source = {key: value for key, value in node["source"].items() if key != "content"}
    source |= {name: place for name, place in asked.places.items() if name in known}
    if (content := node["source"].get("content")) is not None:
        if (where := asked.path or own) is None:
            raise ZooError(f"{path}: the path of its data is not known; give it by path=<path>")
        place = Path(where)
        if not place.exists():
            raise ZooError(f"{path}: its data was at {place}, which does not exist; give the new path by path=<path>")
        if content_digest(place) != content:
            raise ZooError(f"{path}: {place} has changed since the fit, so its numbers would be of other data")
        source["path"] = str(place)
    data = build("data", {**node, "source": source}, asked.trust)
    _ = data.train
    return data
