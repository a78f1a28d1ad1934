"""Samples from a file or a folder, in the form that a model takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import arrays_in
from zoo.data.members import check_members
from zoo.data.sources.own import PICTURES, picture_in, pictures_in
from zoo.data.sources.tables import NUMPY, PARQUET, frame_in
from zoo.errors import ZooError
from zoo.samples import Form

TEXT = (".csv", ".tsv", ".txt")


def read_samples(path: str | Path, form: Form) -> tuple[NDArray[Any], list[str]]:
    """Samples in the form of a model, and the name of each: its file, or its number.

    Pictures are cropped about their centres to the model's shape, resized, and scaled to its black and white. Of
    a table, the columns of the model's features are taken by name; without names, it must have as many columns.

    Args:
        path: .npy, .npz (array `X` or `train`), .csv, .parquet, a picture, or a folder of pictures.
        form: of the model's samples.

    Raises:
        ZooError: no such file, another kind of file, or samples of another form.
    """
    place = Path(path)
    if not place.exists():
        raise ZooError(f"{place}: no such file or folder")
    if not place.is_dir() and not place.is_file():
        raise ZooError(f"{place}: neither a file nor a folder")
    ending = place.suffix.lower()
    if place.is_dir() or ending in PICTURES:
        found = pictures_in(place) if place.is_dir() else (place,)
        if not found:
            raise ZooError(f"{place}: no pictures ({' '.join(PICTURES)}) in this folder")
        if form.kind != "image" or form.inner_shape[0] not in (1, 3):
            raise ZooError(f"{place}: pictures, and this model takes (N, {', '.join(map(str, form.shape))})")
        names = [str(file.relative_to(place)) if place.is_dir() else file.name for file in found]
        return np.stack([_pixels(file, form) for file in found]), names
    if ending in NUMPY:
        check_members(str(place))
        x = arrays_in(str(place)).train[1]
    elif ending in (*TEXT, *PARQUET):
        x = _columns(place, form)
    else:
        raise ZooError(f"{place}: give {', '.join((*NUMPY, *TEXT, *PARQUET))}, a picture or a folder of pictures")
    try:
        form.arranged(x)
    except ZooError as error:
        raise ZooError(f"{place}: {error}") from error
    return x, [str(number) for number in range(len(x))]


def _pixels(file: Path, form: Form) -> NDArray[np.float32]:
    """A picture in the form of a model."""
    channels, height, width = form.inner_shape
    grey = picture_in(file, (height, width), channels == 3).astype(np.float64) / 255
    pixels: NDArray[np.float32] = (grey * form.scale[0] + form.shift[0]).astype(np.float32)
    return pixels.transpose(2, 0, 1) if form.channels == "first" else pixels.reshape(form.shape)


def _columns(file: Path, form: Form) -> NDArray[np.float64]:
    """The columns of a table that a model takes: (N, D)."""
    if form.kind == "image":
        raise ZooError(f"{file}: a table, and this model takes images (N, {', '.join(map(str, form.shape))})")
    table = frame_in(str(file))
    if form.features:
        if missing := [name for name in form.features if name not in table]:
            raise ZooError(f"{file}: no column {missing[0]}, which is a feature of this model")
        table = table[list(form.features)]
    if table.shape[1] != form.shape[0]:
        raise ZooError(f"{file}: {table.shape[1]} columns, and this model takes {form.shape[0]}")
    try:
        return table.to_numpy(np.float64)
    except ValueError as error:
        raise ZooError(f"{file}: a column holds other values than numbers ({error})") from error
