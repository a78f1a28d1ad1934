"""Rows of numbers: your own tables, and two small ones of scikit-learn."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import Arrays, Seen, arrays_in, seen_files, source_of
from zoo.data.images import Source
from zoo.errors import ZooError, nearest
from zoo.samples import Form, form_of

if TYPE_CHECKING:
    import pandas as pd

PARQUET = (".parquet", ".pq")
NUMPY = (".npy", ".npz")
SEPARATORS = (",", ";", "\t")
COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*")


def table(
    path: str | None = None,
    label: str | int | None = None,
    counts: bool = False,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Source:
    """Rows of numbers in a file: vectors, standardised column by column, or counts.

    Forms: text with commas, semicolons or tabs (UTF-8, decimal points); Parquet; a 2-d array in a .npy file, which is
    mapped and not read, or in a .npz file as `X` or `train`, with labels as `y` or `train_labels`, and test rows as
    `test` or `X_test`. The first row has the names of the columns. It is taken for data if it holds a number, and every
    text in it occurs again further down; columns are then called 0, 1, 2, ... A first column without a name that counts
    the rows is left out.

    Limitations: text and Parquet files are read whole, as float64; there is no way to choose columns.

    Args:
        path: the file.
        label: the column of classes, whole numbers or texts; None for none. The split is then stratified.
        counts: columns are counts, for likelihood=multinomial: they are not standardised.
        test_fraction: fraction of the rows used for testing, in (0, 1), if the file has no test rows.
        split_seed: determines which rows these are.

    Raises:
        ZooError: no such file or column; a column of text, with missing or infinite values, or with the name of
            another one; labels that are no classes; too few rows.
    """
    if path is None:
        raise ZooError("data=table reads a file of your own: add data.source.path=table.csv")
    if not Path(path).is_file():
        raise ZooError(f"{path}: no such file; data=table reads .csv, .parquet, .npy and .npz files")
    return _table(
        path, None if label is None else str(label), counts, test_fraction, split_seed, seen_files([Path(path)])
    )


@cache
def wine(test_fraction: float = 0.2, split_seed: int = 0) -> Source:
    """178 Italian wines of three cultivars, 13 chemical measurements in their units; included in scikit-learn.

    The set has no published split. This one is stratified by cultivar.

    Args:
        test_fraction: fraction of the rows used for testing, in (0, 1).
        split_seed: determines which rows these are.

    Raises:
        ZooError: `test_fraction` out of range.

    Source: M. Forina et al., PARVUS, 1988; UCI, S. Aeberhard, 1991; CC BY 4.0.
    """
    from sklearn.datasets import load_wine

    return _built_in("wine", load_wine(), test_fraction, split_seed)


@cache
def breast_cancer(test_fraction: float = 0.2, split_seed: int = 0) -> Source:
    """569 tumours, malignant or benign, 30 measurements of cell nuclei in their units; included in scikit-learn.

    The set has no published split. This one is stratified by class.

    Args:
        test_fraction: fraction of the rows used for testing, in (0, 1).
        split_seed: determines which rows these are.

    Raises:
        ZooError: `test_fraction` out of range.

    Source: W. Street, W. Wolberg, O. Mangasarian, Wisconsin diagnostic breast cancer, UCI, 1993; CC BY 4.0.
    """
    from sklearn.datasets import load_breast_cancer

    return _built_in("breast_cancer", load_breast_cancer(), test_fraction, split_seed)


@cache
def _table(path: str, label: str | None, counts: bool, test_fraction: float, split_seed: int, seen: Seen) -> Source:
    """`table`; `seen` makes the cache miss where the file has changed."""
    features: tuple[str, ...] = ()
    if Path(path).suffix.lower() in NUMPY:
        found = arrays_in(path)
        name, values = found.train
        if label is not None:
            raise ZooError(f"{path}: an array has no columns with names; store labels with numpy.savez(path, X=X, y=y)")
        if values.ndim != 2:
            raise ZooError(f"{path}: {name} has the shape {values.shape}; data=table reads (N, D), data=array images")
    else:
        frame = frame_in(path)
        labels = None if label is None else (label, _labels(path, frame, label))
        features = tuple(column for column in frame.columns if column != label)
        found = Arrays(path, ("table", _values(path, frame, features)), labels)
    form = form_of(found.train[1], "counts" if counts else "vector", features)
    return source_of("table", found, form, test_fraction, split_seed)


def _built_in(name: str, published: Any, test_fraction: float, split_seed: int) -> Source:
    labels = np.array(published.target_names)[published.target]
    form = Form("vector", published.data.shape[1:], features=tuple(map(str, published.feature_names)))
    found = Arrays(name, (name, published.data), ("target", labels))
    return source_of(name, found, form, test_fraction, split_seed)


def frame_in(path: str) -> pd.DataFrame:
    """A text or Parquet file as a table with a name for each column, all different, and at least one row.

    Raises:
        ZooError: no table that can be read, two columns of one name, or no rows.
    """
    import pandas as pd

    try:
        frame = _parquet(path) if Path(path).suffix.lower() in PARQUET else _text(path)
    except UnicodeDecodeError as error:
        raise ZooError(f"{path}: no text in UTF-8 ({error}); save it as UTF-8, or as .parquet or .npy") from error
    except pd.errors.EmptyDataError as error:
        raise ZooError(f"{path}: an empty file; it needs a row of names, and rows of values") from error
    except (OSError, ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
        told = " ".join(str(error).split())
        raise ZooError(f"{path}: no table that can be read ({told}); each row needs as many values as names") from error
    frame.columns = pd.Index([str(name) for name in frame.columns])
    if twice := [name for name, n in Counter(frame.columns).items() if n > 1]:
        raise ZooError(f"{path}: two columns are called {twice[0]}; rename one")
    if frame.empty:
        raise ZooError(f"{path}: {len(frame)} rows and {frame.shape[1]} columns; it needs rows of values")
    return frame


def _parquet(path: str) -> pd.DataFrame:
    """A table in a Parquet file."""
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise ZooError(f"{path}: Parquet needs another package: pip install 'bottleneck-zoo[parquet]'") from error
    except Exception as error:  # what is raised depends on how the file is broken
        told = " ".join(f"{type(error).__name__} {error}".split())
        raise ZooError(f"{path}: no table that can be read ({told}); write it again") from error


def _text(path: str) -> pd.DataFrame:
    """A table in a text file, without a column that counts its rows."""
    import pandas as pd

    with open(path, encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "")
    options: dict[str, Any] = {"sep": max(SEPARATORS, key=first.count), "encoding": "utf-8-sig"}
    options |= {"skipinitialspace": True, "index_col": False}
    head = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, **options).iloc[0].tolist()
    texts = [place for place, cell in enumerate(head) if not _is_number(cell)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows that are longer than the first
        frame: pd.DataFrame = pd.read_csv(
            path, header=0 if texts else None, names=list(range(len(head))), low_memory=False, **options
        )
    if texts and len(texts) < len(head) and all((frame[place] == head[place]).any() for place in texts):
        frame = pd.read_csv(path, header=None, low_memory=False, **options)
    elif texts:
        frame.columns = pd.Index([name.strip() for name in head])
        if frame.columns[0] == "" and np.array_equal(frame.iloc[:, 0], np.arange(len(frame))):
            frame = frame.drop(columns=[""])
    return frame


def _labels(path: str, frame: pd.DataFrame, label: str) -> NDArray[Any]:
    """The column of classes: (N,), whole numbers, truth values or texts."""
    if label not in frame:
        raise ZooError(f"data.source.label={label}: {path} has no such column{nearest(label, frame.columns)}")
    column = frame[label]
    _check_whole(path, column)
    return column.to_numpy(np.float64 if column.dtype.kind in "iuf" else np.str_)


def _values(path: str, frame: pd.DataFrame, features: tuple[str, ...]) -> NDArray[np.float64]:
    """The columns `features`: (N, D)."""
    if not features:
        raise ZooError(f"{path}: no column but the label; it needs columns of numbers")
    values = np.empty((len(frame), len(features)))
    for place, name in enumerate(features):
        column = frame[name]
        if column.dtype.kind not in "biuf":
            shown = next((str(value) for value in column.dropna() if not _is_number(value)), str(column.dtype))
            if COMMA.fullmatch(shown):
                raise ZooError(f"{path}: column {name} has decimal commas ({shown}); write decimal points, or .parquet")
            raise ZooError(
                f"{path}: column {name or 'without a name'} holds text or dates ({shown!r}); make it the label "
                f"(data.source.label={name or '...'}), drop it, or encode it as numbers"
            )
        _check_whole(path, column)
        values[:, place] = column.to_numpy(np.float64)
        if np.isinf(values[:, place]).any():
            raise ZooError(f"{path}: column {name} holds infinite values; drop these rows, or fill them")
    return values


def _check_whole(path: str, column: pd.Series[Any]) -> None:
    """ZooError if a column lacks values."""
    missing = column.isna().to_numpy()
    if missing.any():
        raise ZooError(
            f"{path}: column {column.name or 'without a name'} lacks {missing.sum()} of {len(column)} values, the "
            f"first in row {missing.argmax() + 1}; drop these rows, or fill them first"
        )


def _is_number(cell: Any) -> bool:
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True
