"""Score saved models again, without fitting: `python -m experiments.evaluate run=results/records/digits`.

`run` is a record or a folder of records; what the groups of `evaluation` say is written into them, other groups stay.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

from experiments.progress import evaluation_bar
from zoo.errors import ZooError
from zoo.records import Record, read_record, record_path, write_record


@hydra.main(version_base="1.3", config_path="../conf", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Score every record that `run` names, and tell at the end of those that could not be."""
    try:
        evaluate_all(find_records(Path(cfg.run)), cfg)
    except ZooError as error:
        sys.exit(f"error: {error}")


def find_records(run: Path) -> list[Path]:
    """The record that `run` is, or all records below the folder that it is.

    Raises:
        ZooError: there is none.
    """
    paths = [run] if run.is_file() else sorted(run.rglob("*.json"))
    if not paths:
        raise ZooError(
            f"run={run}: no record is there; give a record's file or a folder such as results/records/digits"
        )
    return paths


def evaluate_all(paths: list[Path], cfg: DictConfig) -> None:
    """Score records one after another, those of one data set in a row.

    Raises:
        ZooError: some could not be scored; told one by one, after all others are done.
    """
    failures = []
    for path in paths:
        try:
            record = evaluate_record(path, cfg)
        except ZooError as error:
            failures.append(str(error))
            continue
        scored = sum(entry["group"] in cfg.evaluation.groups for entry in record.metrics.values())
        print(f"{path}: {scored} metrics of {', '.join(cfg.evaluation.groups)}", flush=True)
    if failures:
        raise ZooError(f"{len(failures)} of {len(paths)} records could not be scored:\n  " + "\n  ".join(failures))


def evaluate_record(path: Path, cfg: DictConfig) -> Record:
    """Score the model of a record, and write the record with its new scores in place of the old one.

    Raises:
        ZooError: the model or its data is not there, or the file is no record, or not where records lie.
    """
    import torch  # with Lightning it takes seconds to import

    from experiments.models import load_model
    from zoo.evaluation.evaluator import evaluate

    record = read_record(path)
    root = path.resolve().parents[3]
    if record_path(root, record.data, record.variant, record.hash, record.seed) != path.resolve():
        raise ZooError(f"{path}: lies elsewhere than its content says; records lie at records/<data>/<variant>/<hash>")
    torch.set_num_threads(cfg.trainer.threads)
    model = load_model(
        Path(cfg.paths.models) / record.data / record.variant / f"{record.hash}-s{record.seed}.safetensors"
    )
    data = build_data(path, record.config["data"], {"root": cfg.paths.data, "decoded": cfg.paths.decoded})
    groups = list(cfg.evaluation.groups)
    with evaluation_bar(str(path), cfg.trainer.progress) as show:
        metrics = evaluate(model, data, groups, record.fit, show, Path(cfg.paths.features))
    record = replace(record, metrics=record.metrics | metrics)
    write_record(root, record)
    return record


def build_data(path: Path, node: dict[str, Any], places: dict[str, str]) -> Any:
    """The data that a record says its model was fitted on; records do not know where files lie, `places` does."""
    from hydra.utils import get_object

    from experiments.models import make, refuse_foreign
    from zoo.data.datamodule import ImageData

    refuse_foreign(path, node)
    asked = signature(get_object(node["source"]["_target_"])).parameters
    source = node["source"] | {name: place for name, place in places.items() if name in asked}
    data = ImageData(**make({**node, "source": source}))
    data.setup()
    return data


if __name__ == "__main__":
    main()
