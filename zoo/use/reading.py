"""Samples from a file or a folder, in the form that a model takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import arrays_in
from zoo.data.sources.own import PICTURES, pictures_in
from zoo.errors import ZooError
from zoo.samples import Form

ARRAYS, TEXT, PARQUET = (".npy", ".npz"), (".csv", ".tsv", ".txt"), (".parquet", ".pq")
SEPARATORS = (",", ";", "\t")


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
    ending = place.suffix.lower()
    if place.is_dir() or ending in PICTURES:
        found = pictures_in(place) if place.is_dir() else (place,)
        if not found:
            raise ZooError(f"{place}: no pictures ({' '.join(PICTURES)}) in this folder")
        if form.kind != "image" or form.inner_shape[0] not in (1, 3):
            raise ZooError(f"{place}: pictures, and this model takes (N, {', '.join(map(str, form.shape))})")
        names = [str(file.relative_to(place)) if place.is_dir() else file.name for file in found]
        return np.stack([_pixels(file, form) for file in found]), names
    if ending in ARRAYS:
        x = arrays_in(str(place)).train[1]
    elif ending in (*TEXT, *PARQUET):
        x = _columns(place, form)
    else:
        raise ZooError(f"{place}: give {', '.join((*ARRAYS, *TEXT, *PARQUET))}, a picture or a folder of pictures")
    try:
        form.arranged(x)
    except ZooError as error:
        raise ZooError(f"{place}: {error}") from error
    return x, [str(number) for number in range(len(x))]


def _pixels(file: Path, form: Form) -> NDArray[np.float32]:
    """A picture in the form of a model."""
    from PIL import Image, ImageOps

    channels, height, width = form.inner_shape
    try:
        with Image.open(file) as opened:
            picture: Image.Image = ImageOps.exif_transpose(opened)
            if picture.mode[0] in "IF":
                white = 65535 if picture.mode.startswith("I") else 1
                picture = Image.fromarray((np.asarray(picture, np.float64) * 255 / white).round().astype(np.uint8))
            if "A" in picture.mode or "transparency" in picture.info:
                whole = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole)
            picture = ImageOps.fit(picture.convert("L" if channels == 1 else "RGB"), (width, height))
    except OSError as error:
        raise ZooError(f"{file}: no picture that Pillow can read ({error}); remove or convert it") from error
    grey = np.asarray(picture, np.float64).reshape(height, width, channels) / 255
    pixels: NDArray[np.float32] = (grey * form.scale[0] + form.shift[0]).astype(np.float32)
    return pixels.transpose(2, 0, 1) if form.channels == "first" else pixels.reshape(form.shape)


def _columns(file: Path, form: Form) -> NDArray[np.float64]:
    """The columns of a table that a model takes: (N, D)."""
    import pandas as pd

    if form.kind == "image":
        raise ZooError(f"{file}: a table, and this model takes images (N, {', '.join(map(str, form.shape))})")
    try:
        if file.suffix.lower() in PARQUET:
            table = pd.read_parquet(file)
        else:
            with open(file, encoding="utf-8-sig") as text:
                first = next((line for line in text if line.strip()), "").strip()
            separator = max(SEPARATORS, key=first.count)
            headless = all(map(_is_number, first.split(separator)))
            table = pd.read_csv(
                file, sep=separator, header=None if headless else 0, encoding="utf-8-sig", skipinitialspace=True
            )
    except ImportError as error:
        raise ZooError(f"{file}: Parquet needs another package: pip install 'bottleneck-zoo[parquet]'") from error
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise ZooError(f"{file}: no table that can be read ({' '.join(str(error).split())})") from error
    table.columns = pd.Index([str(name).strip() for name in table.columns])
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


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
