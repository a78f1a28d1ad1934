"""Codes and scores of samples, as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zoo.api import Model
from zoo.errors import ZooError
from zoo.files import write_atomically


def outliers(model: Model, x: ArrayLike, names: Sequence[str] | None = None) -> list[tuple[str, float]]:
    """Samples ranked by `Model.score_samples`, the most unusual first: (name, score in nats).

    Limitations: the score is that of one sample under one model. A method that reconstructs everything, such as a wide
    code, finds nothing unusual; and samples like the training set's own outliers may score as usual.

    Args:
        model: the model.
        x: samples in its form.
        names: of the samples; None for their numbers.

    Raises:
        ZooError: samples of another form.
    """
    scores = model.score_samples(x)
    known = [str(number) for number in range(len(scores))] if names is None else names
    return [(known[place], float(scores[place])) for place in np.argsort(scores, kind="stable")]


def write_ranking(path: Path, ranked: Sequence[tuple[str, float]]) -> None:
    """A ranking as CSV: rank, sample, score.

    Raises:
        ZooError: the file cannot be written.
    """
    _write_csv(path, ("rank", "sample", "score"), [(rank, *row) for rank, row in enumerate(ranked, 1)])


def write_codes(path: Path, codes: NDArray[np.float32], names: Sequence[str]) -> None:
    """Codes (N, D) as .npy, or as .csv with the name of each sample.

    Raises:
        ZooError: another ending, or the file cannot be written.
    """
    if path.suffix == ".npy":
        content = io.BytesIO()
        np.save(content, codes)
        write(path, content.getvalue())
    elif path.suffix == ".csv":
        head = ("sample", *(f"unit{unit}" for unit in range(codes.shape[1])))
        _write_csv(path, head, [(name, *map(float, code)) for name, code in zip(names, codes, strict=True)])
    else:
        raise ZooError(f"--out={path}: codes are written as .npy or .csv")


def write(path: Path, content: bytes) -> None:
    """`write_atomically`, with one sentence where the place is not writable."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ZooError(f"{path}: cannot be written ({error.strerror})") from error


def _write_csv(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    write(path, text.getvalue().encode("utf-8", "surrogateescape"))
