"""Where images come from: one function per data set, each returning a `Source` with its own test split.

Every function reads once per process and hands the same `Source` to whoever asks with the same arguments.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from functools import cache
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from zoo.data.images import Images, Source
from zoo.errors import ZooError

# MD5 of the unpacked files; torchvision knows those of the archives, and checks nothing once unpacked.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
DIGITS = tuple("0123456789")


@cache
def digits(test_fraction: float = 0.2, split_seed: int = 0) -> Source:
    """1,797 handwritten digits, 1x8x8, in 17 grey levels; they come with scikit-learn.

    The set has no published split. Ours is stratified by digit and fixed by `split_seed`: numbers on it
    compare with one another, not with those of other papers.

    Args:
        test_fraction: share of the images that test, in (0, 1).
        split_seed: determines which.

    Raises:
        ZooError: `test_fraction` out of range, or too small or large for each digit to stand on both sides.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits (its test part), UCI, 1998.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    if not 0 < test_fraction < 1:
        raise ZooError(f"test_fraction is {test_fraction}; it must lie between 0 and 1, both excluded")
    published = load_digits()
    labels = torch.from_numpy(published.target.astype(np.int64))
    images = Images(torch.from_numpy(published.images.astype(np.uint8))[:, None], labels, scale=16.0)
    try:
        train, test = train_test_split(
            np.arange(len(labels)),
            test_size=test_fraction,
            random_state=split_seed,
            stratify=published.target,
        )
    except ValueError as error:
        raise ZooError(
            f"test_fraction is {test_fraction}, and train or test lacks a digit; choose one nearer to 0.2"
        ) from error
    train, test = (torch.from_numpy(np.sort(index)) for index in (train, test))
    return Source("digits", images.subset(train), images.subset(test), DIGITS)


@cache
def mnist(root: str = "data") -> Source:
    """60,000 + 10,000 handwritten digits, 1x28x28, with the published test split; downloaded where missing.

    Args:
        root: folder that holds, or will hold, `MNIST/raw`, as torchvision lays it out.

    Raises:
        ZooError: files are missing and cannot be downloaded, or differ from the published ones.

    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, 1998; CC BY-SA 3.0.
    """
    return _idx_source("mnist", "MNIST", Path(root), MNIST_MD5, DIGITS)


@cache
def fashion_mnist(root: str = "data") -> Source:
    """60,000 + 10,000 articles of clothing, 1x28x28, with the published test split; downloaded where missing.

    Args:
        root: folder that holds, or will hold, `FashionMNIST/raw`, as torchvision lays it out.

    Raises:
        ZooError: files are missing and cannot be downloaded, or differ from the published ones.

    Source: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747; MIT licence.
    """
    classes = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    return _idx_source("fashion_mnist", "FashionMNIST", Path(root), FASHION_MNIST_MD5, classes)


def _idx_source(
    name: str, dataset: str, root: Path, md5s: Mapping[str, str], classes: tuple[str, ...]
) -> Source:
    """Read a data set of torchvision's MNIST family, downloading and checking its files."""
    from torchvision import datasets

    kind = getattr(datasets, dataset)
    folder = Path(dataset) / "raw"
    _download(root, [folder / file for file in md5s], kind.mirrors[0], lambda to: kind(to, download=True))
    _verify(root / folder, md5s)
    parts = (kind(root, train=train) for train in (True, False))
    train, test = (Images(part.data[:, None], part.targets) for part in parts)
    return Source(name, train, test, classes)


def _download(root: Path, files: Iterable[Path], publisher: str, fetch: Callable[[str], object]) -> None:
    """Bring those of `files` that are missing below `root`, each whole or not at all.

    Args:
        root: folder of all data sets.
        files: paths below `root`.
        publisher: address to name where the download fails.
        fetch: downloads all files below the folder it is given.

    Raises:
        ZooError: the download failed.
    """
    missing = [file for file in files if not (root / file).is_file()]
    if not missing:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (
            TemporaryDirectory(dir=root, prefix=".download-") as partial,
            redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            fetch(partial)
            for file in missing:
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(partial) / file, root / file)
    except (RuntimeError, OSError, HTTPException) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        names = ", ".join(file.name for file in missing)
        raise ZooError(
            f"{root / missing[0].parent} lacks {names}; downloading from {publisher} failed ({reason}): "
            "run again with a network, or put the files there"
        ) from error


def _verify(folder: Path, md5s: Mapping[str, str]) -> None:
    """Compare the files in `folder` with their published MD5.

    Raises:
        ZooError: a file differs.
    """
    for file, expected in md5s.items():
        content = (folder / file).read_bytes()
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found == expected:
            continue
        known = {"MNIST": MNIST_MD5, "FashionMNIST": FASHION_MNIST_MD5}
        owner = next((f", that of {name}" for name, others in known.items() if found in others.values()), "")
        raise ZooError(
            f"{folder / file}: its {len(content):,} bytes have the checksum {found}{owner}, not the "
            f"published {expected}; delete the folder {folder} and run again to download it"
        )
