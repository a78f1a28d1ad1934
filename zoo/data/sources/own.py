"""Images of one's own: an array in a file, or a folder of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from filelock import FileLock
from joblib import Memory
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from zoo.data.images import Images, Source
from zoo.errors import ZooError

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@cache
def array(path: str | None = None, test_fraction: float = 0.2, split_seed: int = 0) -> Source:
    """Images in a NumPy file: uint8, or floats in [0, 1]; (N, H, W), (N, H, W, C) or (N, C, H, W), C being 1 or 3.

    A run is recorded under the file's name, not its content: change the one with the other.

    Args:
        path: a .npy file of images, or a .npz file that names them `train` and, as far as there are any, `test`,
            `train_labels` and `test_labels` (whole numbers from 0).
        test_fraction: share of the images that test, in (0, 1), where none are named so.
        split_seed: determines which.

    Raises:
        ZooError: no such file, or not of this form; `test_fraction` out of range.
    """
    if path is None:
        raise ZooError("data=array reads a file of yours: add data.source.path=images.npy, or .npz")
    try:
        content = np.load(path, allow_pickle=False)
        named = {"train": content} if isinstance(content, np.ndarray) else dict(content)
    except (OSError, ValueError) as error:
        raise ZooError(f"{path}: no .npy or .npz file ({error}); write it by numpy.save or numpy.savez") from error
    if "train" not in named:
        raise ZooError(f"{path}: holds {sorted(named)} and no array named train; name the training images so")
    train = _images(path, "train", named)
    if "test" not in named:
        return _split("array", train, test_fraction, split_seed, ())
    test = _images(path, "test", named)
    if train.shape != test.shape:
        raise ZooError(f"{path}: train holds images of {train.shape} and test of {test.shape}; make them alike")
    return Source("array", train, test)


@cache
def folder(
    path: str | None = None,
    size: int = 64,
    colour: bool = True,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    decoded: str | None = None,
) -> Source:
    """The pictures in a folder and below it, cut to their central square and scaled to one size.

    If all of them lie in folders of the first level, these are the classes. A run is recorded under the folder's name,
    not its content: change the one with the other.

    Pictures are decoded once, by whichever process comes first, and read from what it kept by all others.

    Args:
        path: the folder.
        size: height and width, in pixels.
        colour: red, green and blue; otherwise grey.
        test_fraction: share of the pictures that test, in (0, 1).
        split_seed: determines which.
        decoded: folder that keeps decoded pictures, for as long as no file's path, size or time changes; None keeps
            none.

    Raises:
        ZooError: no such folder, fewer than 2 pictures in it, or one that cannot be read; a number out of range.
    """
    if path is None:
        raise ZooError("data=folder reads pictures of yours: add data.source.path=<folder>")
    if size < 1:
        raise ZooError(f"size is {size}; pictures must be 1 pixel wide or more")
    files = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in PICTURES)
    if len(files) < 2:
        raise ZooError(f"{path}: {len(files)} pictures ({' '.join(PICTURES)}) in this folder; 2 at least are needed")
    pixels = _pictures(files, size, colour) if decoded is None else _kept(files, size, colour, Path(decoded))
    inner = [file.relative_to(path).parts for file in files]
    classes = tuple(sorted({parts[0] for parts in inner})) if all(len(parts) > 1 for parts in inner) else ()
    labels = torch.tensor([classes.index(parts[0]) if classes else 0 for parts in inner])
    images = Images(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels)
    return _split("folder", images, test_fraction, split_seed, classes)


def _kept(files: Sequence[Path], size: int, colour: bool, decoded: Path) -> NDArray[np.uint8]:
    """`_pictures`, from the folder `decoded` if they were decoded before."""
    decoded.mkdir(parents=True, exist_ok=True)
    seen = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    memory = Memory(decoded, mmap_mode="c", verbose=0)  # a writable map: torch takes no other; files stay as they are
    with FileLock(decoded / "lock"):
        kept = memory.cache(_pictures, ignore=["files"])(files, size, colour, seen)
    return cast("NDArray[np.uint8]", kept)


def _pictures(
    files: Sequence[Path], size: int, colour: bool, seen: Sequence[tuple[str, int, int]] = ()
) -> NDArray[np.uint8]:
    """Pictures as (N, size, size, C); `seen`, path, size and time of each file, tells a cache whether they changed."""
    return np.stack([_picture(file, size, colour) for file in files])


def _picture(file: Path, size: int, colour: bool) -> NDArray[np.uint8]:
    """A picture as (size, size, C)."""
    try:
        with Image.open(file) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB" if colour else "L")
    except (UnidentifiedImageError, OSError) as error:
        raise ZooError(f"{file}: no picture that Pillow can read ({error}); remove or convert it") from error
    return np.asarray(ImageOps.fit(upright, (size, size))).reshape(size, size, -1)


def _images(path: str, name: str, named: dict[str, NDArray[np.generic]]) -> Images:
    """The array `name` with its labels, checked."""
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
        raise ZooError(f"{path}: {name}_labels must be {len(found)} whole numbers, 0 or more, one for each image")
    return Images(stored, torch.from_numpy(labels.astype(np.int64)), scale)


def _split(name: str, images: Images, fraction: float, seed: int, classes: tuple[str, ...]) -> Source:
    """Cut test images from a set that has none of its own."""
    n = round(fraction * len(images))
    if not 0 < n < len(images):
        raise ZooError(
            f"test_fraction is {fraction}, which takes {n} of {len(images)} images; train and test need one at least"
        )
    order: Tensor = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    return Source(name, images.subset(order[n:].sort().values), images.subset(order[:n].sort().values), classes)
