"""Files of published data sets: downloaded where missing, and compared with published checksums."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from http.client import HTTPException
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ZooError
from zoo.files import partial_folder

CURRENT = Path("data")

# MD5 of the unpacked files; torchvision checks the archives only.
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


def published(
    root: str, folder: str, md5s: Mapping[str, str], page: str, fetch: Callable[[str], object]
) -> list[NDArray[np.uint8]]:
    """The bytes of a published data set, one array per file, downloaded where missing.

    Files are mapped into memory, so that processes share them; writing to an array changes no file.

    Args:
        root: folder of all data sets.
        folder: the set's folder below `root`.
        md5s: name and published MD5 of each of its files.
        page: see `download`.
        fetch: see `download`.

    Raises:
        ZooError: the download failed, or a file differs from the published one.
    """
    place = download(Path(root), [Path(folder) / file for file in md5s], page, fetch) / folder
    contents = []
    for file, expected in md5s.items():
        content = np.memmap(place / file, np.uint8, "c") if (place / file).stat().st_size else np.empty(0, np.uint8)
        found = hashlib.md5(content.data, usedforsecurity=False).hexdigest()
        if found != expected:
            known = {"MNIST": MNIST_MD5, "FashionMNIST": FASHION_MNIST_MD5}
            owner = next((f", that of {name}" for name, others in known.items() if found in others.values()), "")
            raise ZooError(
                f"{place / file}: its {len(content):,} bytes have the checksum {found}{owner}, not the "
                f"published {expected}; delete the folder {place} and run again to download it"
            )
        contents.append(content)
    return contents


def download(root: Path, files: Iterable[Path], page: str, fetch: Callable[[str], object]) -> Path:
    """Download those of `files` that are missing below `root`; each appears complete or not at all.

    One process downloads at a time; others wait, and find the files. What a killed download left is removed.

    Files that lie in `data` of the current folder, where torchvision's own examples put them, are used there.

    Args:
        root: folder of all data sets.
        files: paths below `root`.
        page: where users find the files, for the message when the download fails.
        fetch: downloads all files into a given folder.

    Returns:
        The folder below which the files lie.

    Raises:
        ZooError: the download failed.
    """
    files = list(files)
    for folder in (root, CURRENT):
        if all((folder / file).is_file() for file in files):
            return folder
    missing = files
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (
            partial_folder(root / "download") as partial,
            redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", DeprecationWarning)  # tarfile's, about torchvision's use of it
            warnings.simplefilter("ignore", UserWarning)  # scikit-learn's, when it tries again
            if missing := [file for file in files if not (root / file).is_file()]:
                fetch(str(partial))
            for file in missing:
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial / file, root / file)
    except (RuntimeError, OSError, HTTPException) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        names = ", ".join(file.name for file in missing)
        raise ZooError(
            f"{root / missing[0].parent} lacks {names}, and the download failed ({reason}); run again with a "
            f"network connection, or put the files of {page} there"
        ) from error
    return root
