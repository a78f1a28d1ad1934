"""Bad files, made by code: what cannot be used, by what is wrong with it."""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

R = np.random.default_rng(0)
IMAGES = R.random((30, 8, 8)).astype(np.float32)


class Trap:
    """An object that makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("trap",)


def npy(array: np.ndarray, pickled: bool = False) -> bytes:
    """The bytes of a .npy file."""
    held = io.BytesIO()
    np.save(held, array, allow_pickle=pickled)
    return held.getvalue()


def npz(**arrays: Any) -> bytes:
    """The bytes of a .npz file."""
    held = io.BytesIO()
    np.savez(held, **arrays)
    return held.getvalue()


def claiming(shape: tuple[int, ...], descr: str = "<f4", content: bytes = b"") -> bytes:
    """A .npy file whose header promises more than it holds."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def zipped(name: str, content: bytes) -> bytes:
    """A zip file with one member."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr(name, content)
    return held.getvalue()


def png(array: np.ndarray) -> bytes:
    """The bytes of a picture."""
    held = io.BytesIO()
    Image.fromarray(array).save(held, "PNG")
    return held.getvalue()


def labelled(labels: Any) -> bytes:
    """A .npz file of images with labels."""
    return npz(X=IMAGES, y=np.asarray(labels))


GOOD, GOOD_NPZ = npy(IMAGES), npz(X=IMAGES, y=np.arange(30) % 2)
OBJECTS = np.array([Trap(), None], object)
ARRAYS = {  # file name: (content, what is told)
    "zero.npy": (b"", "no .npy or .npz file"),
    "zero.npz": (b"", "no .npy or .npz file"),
    "text.npy": (b"hello", "Python objects or other"),
    "header.npy": (GOOD[:20], "no .npy or .npz file"),
    "cut.npy": (GOOD[:-100], "no .npy or .npz file"),
    "claims.npy": (claiming((10**9, 1000, 1000)), "no .npy or .npz file"),
    "overflows.npy": (claiming((2**62, 2**62, 8)), "no .npy or .npz file"),
    "negative.npy": (claiming((-1, 8, 8), content=bytes(256)), "no .npy or .npz file"),
    "none.npy": (claiming((0, 8, 8)), "holds no values"),
    "nothing.npy": (claiming((10**12, 0, 8)), "holds no values"),
    "code.npy": (claiming((8, 8, 8), "__import__('os').mkdir('trap')"), "no .npy or .npz file"),
    "objects.npy": (npy(OBJECTS, pickled=True), "Python objects"),
    "pickle.npy": (pickle.dumps(Trap()), "Python objects"),
    "texts.npy": (npy(np.array([[["a"] * 3] * 3] * 5)), "samples are numbers"),
    "rows.npy": (npy(IMAGES[:, 0]), "rows of numbers"),
    "objects.npz": (npz(X=OBJECTS), "Python objects"),
    "half.npz": (GOOD_NPZ[: len(GOOD_NPZ) // 2], "no .npy or .npz file"),
    "end.npz": (GOOD_NPZ[:-10], "no .npy or .npz file"),
    "flipped.npz": (GOOD_NPZ[:300] + bytes([GOOD_NPZ[300] ^ 255]) + GOOD_NPZ[301:], "no .npy or .npz file"),
    "claims.npz": (zipped("X.npy", claiming((10**6, 1000, 1000))), "no .npy or .npz file"),
    "other.npz": (npz(A=IMAGES), "no array named train or X"),
    "empty.npz": (npz(), "no array named train or X"),
    "pictures.npz": (zipped("X.png", b"x"), "no array named train or X"),
    "one.npz": (npz(X=IMAGES[:1]), "train and test need at least one"),
    "one_train.npz": (npz(X=IMAGES[:1], test=IMAGES), "train and validation need at least one each"),
    "real.npz": (labelled(np.arange(30) / 7), "y holds real numbers"),
    "nan.npz": (labelled(np.full(30, np.nan)), "y holds real numbers"),
    "infinite.npz": (labelled(np.full(30, np.inf)), "y holds real numbers"),
    "large.npz": (labelled(np.arange(30) * 1e300), "y holds real numbers"),
    "one_hot.npz": (labelled(np.eye(30)), "y must be 30 labels"),
    "scalar.npz": (labelled(3), "y must be 30 labels"),
    "dates.npz": (labelled(np.zeros(30, "M8[s]")), "labels are whole numbers or texts"),
    "complex.npz": (labelled(np.ones(30) * 1j), "labels are whole numbers or texts"),
    "void.npz": (labelled(np.zeros(30, "V4")), "labels are whole numbers or texts"),
    "bytes.npz": (labelled([b"\xff", b"a"] * 15), "no text in UTF-8"),
}
TABLES = {
    "zero.csv": (b"", "an empty file"),
    "bytes.csv": (bytes(range(256)) * 20, "no text in UTF-8"),
    "names.csv": (b"a,b\n", "it needs rows of values"),
    "one.csv": (b"a,b\n1,2\n", "train and test need at least one"),
    "nul.csv": (b"a,b\n1,\x002\n3,4\n", "holds text or dates"),
    "huge.csv": (b"a,b\n" + b"1e400,2\n" * 20, "holds infinite values"),
    "large.csv": (b"a,b\n" + b"1e300,2\n" * 20, "beyond 3.4e"),
    "ragged.csv": (b"a,b\n1,2\n1,2,3\n" * 5, "no table that can be read"),
    "quote.csv": (b'a,b\n"1,2\n' * 5, "no table that can be read"),
    "magic.parquet": (b"PAR1xx", "no table that can be read"),
    "cut.parquet": (b"PAR1" + bytes(100) + b"PAR1", "no table that can be read"),
    "objects.npy": (npy(OBJECTS, pickled=True), "Python objects"),
    "images.npy": (GOOD, "data=table reads"),
}
PICTURES = {
    "empty.png": (b"", "no picture that Pillow can read"),
    "cut.png": (png(np.zeros((9, 9), np.uint8))[:40], "no picture that Pillow can read"),
    "text.jpg": (b"hello", "no picture that Pillow can read"),
    "bomb.png": (png(np.zeros((20_000, 20_000), bool)), "shrink or remove it"),
}


def pictures(folder: Path, n: int = 6) -> Path:
    """A folder of good pictures."""
    folder.mkdir()
    for place in range(n):
        (folder / f"{place}.png").write_bytes(png((R.random((9, 9, 3)) * 255).astype(np.uint8)))
    return folder


def with_pipes(folder: Path) -> Path:
    """A folder of good pictures, among pipes and sockets that nothing is ever written to, and a link to itself."""
    pictures(folder)
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe")
    (folder / "folder.png").mkdir()
    (folder / "again").symlink_to(folder)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(os.path.relpath(folder / "socket.png"))
    return folder
