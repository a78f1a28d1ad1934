"""What a .npz file holds, before NumPy opens it."""

from __future__ import annotations

import zipfile

from zoo.errors import ZooError

MAGIC = b"\x93NUMPY"  # the first bytes of an array


def check_members(path: str) -> None:
    """ZooError if a member of a .npz file that is named as an array is none: NumPy would return its bytes."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.endswith(".npy"):
                continue
            try:
                with archive.open(name) as member:
                    begins = member.read(len(MAGIC))
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
                raise ZooError(f"{path}: its member {name} cannot be read ({error})") from error
            if begins != MAGIC:
                raise ZooError(f"{path}: its member {name} is no array; write the file with numpy.savez")
