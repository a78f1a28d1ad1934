"""Your own arrays as sets of samples: read, checked, labelled and split by class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.lib.npyio import NpzFile
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from zoo.data.images import COPIED, Images, Scaling, Source, ascending, shuffled
from zoo.data.room import check_room
from zoo.errors import ZooError
from zoo.samples import Form

BLOCK = 1 << 26  # bytes of float64 that are checked at once
ZIP = b"PK"  # the first bytes of a .npz file
DARK = 16  # bytes up to it are nearly black
WHOLE = 2.0**53  # up to which floats hold every whole number
LARGEST = torch.finfo(torch.float32).max
NAMES = {  # in .npz files, by what an array is; the first name that a file has counts
    "train": ("X", "train", "X_train", "x_train", "train_images"),
    "train_labels": ("y", "train_labels", "y_train"),
    "test": ("test", "X_test", "x_test", "test_images"),
    "test_labels": ("test_labels", "y_test"),
}
ADVICE = "write it with numpy.save or numpy.savez"
PLAIN = "store numbers as numbers, X.astype(float), and labels as text, y.astype(str)"
Seen = tuple[tuple[str, int, int], ...]  # path, size and time of each file


class Arrays(NamedTuple):
    """The arrays of a file with their names in it; None for missing arrays."""

    path: str
    train: tuple[str, NDArray[Any]]
    train_labels: tuple[str, NDArray[Any]] | None = None
    test: tuple[str, NDArray[Any]] | None = None
    test_labels: tuple[str, NDArray[Any]] | None = None


def seen_files(files: Sequence[Path]) -> Seen:
    """Path, size and time of each file, by which a cache notices changes."""
    return tuple((str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def arrays_in(path: str) -> Arrays:
    """The arrays of a NumPy file.

    Args:
        path: a .npy file of samples, which is mapped and not read; or a .npz file, which is read, with an array of
            samples named as in `NAMES`, and any of the others.

    Raises:
        ZooError: no such file, a file of Python objects, or a .npz file without samples.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise ZooError(f"{path}: not a file; give a .npy or .npz file")
    try:
        with open(path, "rb") as file:  # NumPy leaves a broken archive open
            if file.read(len(ZIP)) != ZIP:
                return Arrays(path, ("array", np.load(path, mmap_mode="c", allow_pickle=False)))
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return _archived(path, archive)
    except ZooError:
        raise
    except Exception as error:  # what NumPy raises depends on how the file is broken
        told = str(error)
        if "pickle" in told or "object" in told.lower():
            raise ZooError(f"{path}: no .npy or .npz file of numbers, but Python objects or other; {PLAIN}") from error
        raise ZooError(f"{path}: no .npy or .npz file ({told}); {ADVICE}") from error


def _archived(path: str, archive: NpzFile) -> Arrays:
    """The arrays of a .npz file, read where there is room for them."""
    names = {role: next((n for n in known if n in archive), None) for role, known in NAMES.items()}
    chosen = {role: name for role, name in names.items() if name is not None}
    if "train" not in chosen:
        raise ZooError(f"{path}: contains {sorted(archive)}, but no array named train or X; give the samples this name")
    assert archive.zip is not None  # it is open
    sizes = {info.filename.removesuffix(".npy"): info.file_size for info in archive.zip.infolist()}
    needed = sum(sizes[name] for name in chosen.values())
    check_room(needed, f"{path}: what it holds", "store the samples as .npy, which is mapped and not read")
    return Arrays(path, **{role: (name, archive[name]) for role, name in chosen.items()})


def source_of(name: str, found: Arrays, form: Form, test_fraction: float, split_seed: int) -> Source:
    """The data set of a file's arrays, with its test part or split at random, by class if there are labels.

    Args:
        name: of the source.
        found: the arrays.
        form: of a training sample.
        test_fraction: fraction of the samples used for testing, in (0, 1), if there is no test part.
        split_seed: determines these samples.

    Raises:
        ZooError: samples or labels that cannot be used, named by file and array.
    """
    train, form, scaling = _set(found.path, found.train, form)
    labelled = {
        side: (labels[0], labels[1], len(samples[1]))
        for side, samples, labels in (
            ("train", found.train, found.train_labels),
            ("test", found.test, found.test_labels),
        )
        if samples is not None and labels is not None
    }
    labels, classes = numbered(found.path, labelled)
    if found.test is None:
        train = replace(train, labels=labels.get("train", train.labels))
        return divided(name, train, test_fraction, split_seed, classes, form, scaling)
    if found.test[1].shape[1:] != found.train[1].shape[1:]:
        shapes = f"{found.train[0]} has samples of shape {found.train[1].shape[1:]}, {found.test[0]} of"
        raise ZooError(f"{found.path}: {shapes} {found.test[1].shape[1:]}; make them equal")
    if (found.test[1].dtype == np.uint8) != (found.train[1].dtype == np.uint8):
        types = f"{found.train[0]} holds {found.train[1].dtype} and {found.test[0]} {found.test[1].dtype}"
        raise ZooError(f"{found.path}: {types}; give both the same type and units")
    test = _set(found.path, found.test, form)[0].scaled(form)
    train, test = (
        replace(images, labels=labels.get(side, images.labels)) for side, images in (("train", train), ("test", test))
    )
    return Source(name, train, test, classes if len(labels) == 2 else (), False, form, scaling)


def images_of(x: ArrayLike | Tensor, form: Form) -> tuple[Images, Form, Scaling]:
    """Samples as a set without labels, their form, and the kind of their scaling.

    Bytes are divided by 255, unless all are 0 or 1; images of floats in [0, 1], binary images and counts stay as they
    are: the returned form holds this scaling, and the third value is "given". The scaling of other images, "range", and
    of vectors, "standard", is learned later, from the training samples alone. Large arrays, above 256 MiB, stay where
    they are, in memory or in a mapped file.

    Raises:
        ZooError: another shape; values that are no numbers, not finite, or negative counts.
    """
    pixels = form.arranged(x)
    low, high = ends(pixels) if pixels.is_floating_point() or form.kind == "counts" else (0.0, 0.0)
    if form.kind == "counts" and low < 0:
        raise ZooError("the samples hold negative values, and counts are 0 or more")
    scaling: Scaling = "standard" if form.kind == "vector" else "range"
    if form.kind == "counts":
        scaling = "given"
    elif form.kind == "image" and pixels.dtype in (torch.uint8, torch.bool):
        form, scaling = replace(form, scale=(white_of(pixels),)), "given"
    elif form.kind == "image" and pixels.is_floating_point() and low >= 0 and high <= 1:
        scaling = "given"
        pixels = pixels.float() if pixels.nbytes <= COPIED else pixels
    if pixels.nbytes <= COPIED:
        pixels = pixels.contiguous()
    return Images(pixels, torch.zeros(len(pixels), dtype=torch.uint8)).scaled(form), form, scaling


def white_of(pixels: Tensor) -> float:
    """The value of white in booleans or bytes: 1 if all values are 0 or 1, else 255.

    Warns:
        UserWarning: bytes so small that the images are nearly black.
    """
    if pixels.dtype == torch.bool:
        return 1.0
    brightest = 0
    for block in torch.split(pixels, max(1, BLOCK // max(1, pixels[:1].numel()))):
        brightest = max(brightest, int(block.max()))
        if brightest > DARK:
            return 255.0
    if brightest > 1:
        warnings.warn(
            f"no value is above {brightest}, and white is 255 in bytes, so these images are nearly black; store them "
            "as floats, X.astype('float32'), to be scaled by their own range",
            stacklevel=3,
        )
    return 1.0 if brightest == 1 else 255.0


def ends(pixels: Tensor) -> tuple[float, float]:
    """The smallest and the largest value, read block by block.

    Raises:
        ZooError: values that are not finite, or beyond the range of float32.
    """
    size = max(1, BLOCK // (8 * max(1, pixels[0].numel()))) if len(pixels) else 1
    found = [torch.stack(torch.aminmax(block.double())) for block in torch.split(pixels, size)]
    low, high = torch.stack(found).unbind(1)
    if not (low.isfinite().all() and high.isfinite().all()):
        raise ZooError("the samples hold values that are not finite (nan or inf): drop or fill them first")
    least, greatest = low.min().item(), high.max().item()
    if max(-least, greatest) > LARGEST:
        raise ZooError(f"the samples hold values beyond {LARGEST:.2g}, the range of float32: divide them first")
    return least, greatest


def numbered(
    path: str, labels: Mapping[str, tuple[str, NDArray[Any], int]]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The number of each label's class, and the names of all classes in order.

    Args:
        path: of their file, for messages.
        labels: (name, labels, number of samples) by side. Whole numbers, truth values or texts: (N,) or (N, 1).

    Raises:
        ZooError: labels of another number, or other values.
    """
    plain = {}
    for side, (name, given, n) in labels.items():
        found = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
        if found.dtype.kind == "O" and all(isinstance(label, str) for label in found.flat):  # as pandas has texts
            found = found.astype(np.str_)
        if found.shape != (n,):
            raise ZooError(f"{path}: {name} must be {n} labels, one per sample, and has the shape {given.shape}")
        if found.dtype.kind == "f" and not ((np.abs(found) <= WHOLE).all() and (found == np.round(found)).all()):
            raise ZooError(
                f"{path}: {name} holds real numbers; labels are classes: whole numbers or texts, one per sample"
            )
        if found.dtype.kind == "S":
            found = _decoded(path, name, found)
        if found.dtype.kind not in "biufSU":
            raise ZooError(f"{path}: {name} holds values of type {found.dtype}; labels are whole numbers or texts")
        plain[side] = found.astype(np.int64) if found.dtype.kind == "f" else found
    if not plain:
        return {}, ()
    classes, numbers = np.unique(np.concatenate(list(plain.values())), return_inverse=True)
    parts = torch.split(torch.from_numpy(numbers.astype(np.int64)), [len(found) for found in plain.values()])
    return dict(zip(plain, parts, strict=True)), tuple(map(str, classes.tolist()))


def _decoded(path: str, name: str, labels: NDArray[np.bytes_]) -> NDArray[np.str_]:
    """Labels in bytes as texts."""
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError as error:
        raise ZooError(f"{path}: {name} holds bytes that are no text in UTF-8; store labels as text") from error


def divided(
    name: str,
    images: Images,
    fraction: float,
    seed: int,
    classes: tuple[str, ...],
    form: Form | None = None,
    scaling: Scaling = "given",
) -> Source:
    """Split a set without test samples of its own, see `split_places`."""
    train, test = split_places(images.labels, len(classes) > 1, fraction, seed)
    return Source(name, images.subset(train), images.subset(test), classes, False, form, scaling)


def split_places(labels: Tensor, by_class: bool, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Split samples for training and testing at random, stratified by class.

    Samples in random order, sorted by class, are taken for testing at even distances, so each class has its share,
    rounded up or down. A class with a single member stays in the training part.

    Args:
        labels: (N,).
        by_class: whether the labels are classes.
        fraction: fraction of the samples for testing.
        seed: determines these samples.

    Returns:
        Places of training and of test samples, ascending.

    Raises:
        ZooError: a fraction that leaves one side without samples.
    """
    n = round(fraction * len(labels))
    if not 0 < n < len(labels):
        raise ZooError(
            f"data.source.test_fraction={fraction}: takes {n} of {len(labels)} samples; train and test need at least "
            "one"
        )
    order = shuffled(len(labels), torch.Generator().manual_seed(seed))
    if by_class:
        members = labels.bincount()[labels]
        several = order[members[order] > 1]
        pool = several if len(several) > n else order
        pool = pool[labels[pool].argsort(stable=True)]
        test = pool[((torch.arange(n, dtype=torch.float64) + 0.5) * len(pool) / n).long()]
        train = torch.ones(len(labels), dtype=torch.bool).index_fill(0, test.long(), False).nonzero()[:, 0].to(order)
    else:
        train, test = order[n:], order[:n]
    return ascending(train), ascending(test)


def _set(path: str, named: tuple[str, NDArray[Any]], form: Form) -> tuple[Images, Form, Scaling]:
    try:
        return images_of(named[1], form)
    except ZooError as error:
        raise ZooError(f"{path}: {named[0]}: {error}") from error
