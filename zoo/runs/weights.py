"""Loads the model file of a record, after checking its digest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.model.io import read_model, weights_digest
from zoo.options import Node
from zoo.runs.identity import digest
from zoo.runs.records import Record


def model_of(record: Record, path: Path, trust: tuple[str, ...] = ()) -> Autoencoder:
    """The model of a record.

    Args:
        record: of the run.
        path: of the model file.
        trust: packages from elsewhere whose parts may be built.

    Raises:
        ZooError: no such file, not a model, or that of another run or of another fit.
    """
    saved = read_model(path, trust)
    check_model(record, path, saved.config, saved.seed)
    return saved.model


def check_model(record: Record, path: Path, config: Mapping[str, Node], seed: int) -> None:
    """ZooError if a model file is not that of a record; the arguments are those of `is_of`."""
    if not is_of(record, path, config, seed):
        raise ZooError(
            f"{path}: not the model that the record of {record.name}, seed {record.seed}, was made with; put that file "
            "back, or fit again by force=true"
        )


def is_of(record: Record, path: Path, config: Mapping[str, Node], seed: int) -> bool:
    """Whether a model file is that of a record: of the same run, and the same byte for byte.

    Older records hold no digest of the file, and then the run has to do.

    Args:
        record: of the run.
        path: of the model file.
        config: the options of all axes, as the file describes them.
        seed: likewise.
    """
    return digest(config) == record.hash and seed == record.seed and record.weights in (None, weights_digest(path))
