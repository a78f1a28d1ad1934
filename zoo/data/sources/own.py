"""Data of the user's own: an array in a file, or a folder of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.images import Images, Source
from zoo.errors import ZooError

Seen = tuple[tuple[str, int, int], ...]  # path, size and time of each file
PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def array(path: str | None = None, test_fraction: float = 0.2, split_seed: int = 0) -> Source:
    """Images in a NumPy file: uint8, or floats in [0, 1]; (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3.

    Args:
        path: a .npy file of images, or a .npz file with an array `train` and, optionally, `test`, `train_labels` and
            `test_labels` (whole numbers from 0).
        test_fraction: fraction of the images used for testing, in (0, 1), if the file has no array `test`.
        split_seed: determines which images these are.

    Raises:
        ZooError: no such file, or a different format; `test_fraction` out of range.
    """
    if path is None:
        raise ZooError("data=array reads a file of your own: add data.source.path=images.npy, or .npz")
    try:
        seen = _seen([Path(path)])
    except OSError as error:
        raise ZooError(f"{path}: no .npy or .npz file ({error}); write it with numpy.save or numpy.savez") from error
    return _array(path, test_fraction, split_seed, seen)


@cache
def _array(path: str, test_fraction: float, split_seed: int, seen: Seen) -> Source:
    """`array`; `seen` makes the cache miss where the file has changed."""
    try:
        content = np.load(path, allow_pickle=False)
        named = {"train": content} if isinstance(content, np.ndarray) else dict(content)
    except (OSError, ValueError, EOFError) as error:
        raise ZooError(f"{path}: no .npy or .npz file ({error}); write it with numpy.save or numpy.savez") from error
    if "train" not in named:
        raise ZooError(
            f"{path}: contains {sorted(named)}, but no array named train; give the training images this name"
        )
    train = _images(path, "train", named)
    if "test" not in named:
        return _split("array", train, test_fraction, split_seed, ())
    test = _images(path, "test", named)
    if train.shape != test.shape:
        raise ZooError(f"{path}: train has images of shape {train.shape}, test of {test.shape}; make them equal")
    return Source("array", train, test)


def folder(
    path: str | None = None,
    size: int = 64,
    colour: bool = True,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    decoded: str | None = None,
) -> Source:
    """The pictures in a folder and its subfolders, cropped to their central square and scaled to one size.

    If all pictures are in subfolders, the names of the first level are the classes.

    Args:
        path: the folder.
        size: height and width, in pixels.
        colour: red, green and blue; otherwise grey.
        test_fraction: fraction of the pictures used for testing, in (0, 1).
        split_seed: determines which pictures these are.
        decoded: folder in which decoded pictures are cached for all processes, until a file's path, size or time
            changes; None for no cache.

    Raises:
        ZooError: no such folder, fewer than 2 pictures in it, or one that cannot be read; a number out of range.
    """
    if path is None:
        raise ZooError("data=folder reads pictures of your own: add data.source.path=<folder>")
    if size < 1:
        raise ZooError(f"data.source.size={size}: must be 1 or more")
    files = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in PICTURES)
    if len(files) < 2:
        raise ZooError(f"{path}: {len(files)} pictures ({' '.join(PICTURES)}) in this folder; it needs at least 2")
    return _folder(Path(path), tuple(files), size, colour, test_fraction, split_seed, decoded, _seen(files))


@cache
def _folder(
    path: Path,
    files: tuple[Path, ...],
    size: int,
    colour: bool,
    test_fraction: float,
    split_seed: int,
    decoded: str | None,
    seen: Seen,
) -> Source:
    """`folder`; `seen` makes the cache miss where a file has changed."""
    pixels = _pictures(files, size, colour) if decoded is None else _cached(files, size, colour, Path(decoded), seen)
    inner = [file.relative_to(path).parts for file in files]
    classes = tuple(sorted({parts[0] for parts in inner})) if all(len(parts) > 1 for parts in inner) else ()
    labels = torch.tensor([classes.index(parts[0]) if classes else 0 for parts in inner])
    images = Images(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels)
    return _split("folder", images, test_fraction, split_seed, classes)


def _seen(files: Sequence[Path]) -> Seen:
    """Path, size and time of each file."""
    return tuple((str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def _cached(files: Sequence[Path], size: int, colour: bool, decoded: Path, seen: Seen) -> NDArray[np.uint8]:
    """`_pictures`, cached in the folder `decoded`."""
    from filelock import FileLock
    from joblib import Memory

    decoded.mkdir(parents=True, exist_ok=True)
    memory = Memory(decoded, mmap_mode="c", verbose=0)  # torch needs a writable map; files do not change
    with FileLock(decoded / "lock"):
        pixels = memory.cache(_pictures, ignore=["files"])(files, size, colour, seen)
    return cast("NDArray[np.uint8]", pixels)


def _pictures(files: Sequence[Path], size: int, colour: bool, seen: Seen = ()) -> NDArray[np.uint8]:
    """Pictures as (N, size, size, C); `seen`, path, size and time of each file, is the key of the cache."""
    return np.stack([_picture(file, size, colour) for file in files])


def _picture(file: Path, size: int, colour: bool) -> NDArray[np.uint8]:
    """A picture as (size, size, C)."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB" if colour else "L")
    except (UnidentifiedImageError, OSError) as error:
        raise ZooError(f"{file}: no picture that Pillow can read ({error}); remove or convert it") from error
    return np.asarray(ImageOps.fit(upright, (size, size))).reshape(size, size, -1)


def _images(path: str, name: str, named: dict[str, NDArray[np.generic]]) -> Images:
    """The array `name` with its labels, after checks."""
    found = named[name]
    pixels = found[:, None] if found.ndim == 3 else found
    if pixels.ndim == 4 and pixels.shape[1] not in (1, 3):
        pixels = pixels.transpose(0, 3, 1, 2)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3) or not pixels.size:
        raise ZooError(
            f"{path}: {name} has the shape {found.shape}; it must be (N, H, W), (N, H, W, C) or (N, C, H, W)"
        )
    if found.dtype == np.uint8:
        scale, stored = 255.0, torch.from_numpy(np.ascontiguousarray(pixels))
    elif np.issubdtype(found.dtype, np.floating) and found.min() >= 0 and found.max() <= 1:
        scale, stored = 1.0, torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))
    else:
        span = f"{found.dtype} from {found.min()} to {found.max()}"
        raise ZooError(f"{path}: {name} is {span}; it must be uint8, or floats from 0 to 1: scale it")
    labels = named.get(f"{name}_labels", np.zeros(len(found), np.int64))
    if labels.shape != (len(found),) or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise ZooError(f"{path}: {name}_labels must be {len(found)} whole numbers, 0 or more, one per image")
    return Images(stored, torch.from_numpy(labels.astype(np.int64)), scale)


def _split(name: str, images: Images, fraction: float, seed: int, classes: tuple[str, ...]) -> Source:
    """Split a set without test images of its own."""
    n = round(fraction * len(images))
    if not 0 < n < len(images):
        raise ZooError(
            f"data.source.test_fraction={fraction}: takes {n} of {len(images)} images; train and test need at least one"
        )
    order: Tensor = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return Source(name, images.subset(order[n:].sort().values), images.subset(order[:n].sort().values), classes)
