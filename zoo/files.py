"""Where files are, and how they are written: completely or not at all, by one process at a time."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from zoo.errors import ZooError

APP = "bottleneck-zoo"
LOCK, PARTIAL = ".lock", ".part"  # ends of hidden names: a lock, and a folder of what is being written


def home() -> Path:
    """The folder for data, results, models and caches by default.

    The environment variable ZOO_HOME; without it the current folder, if that is a checkout of the zoo, as a relative
    path; else the user's cache folder of this platform (Linux: ~/.cache/bottleneck-zoo).
    """
    if chosen := os.environ.get("ZOO_HOME"):
        return Path(chosen).expanduser()
    return Path() if in_checkout() else user_cache_path(APP)


def existing(path: str | Path) -> Path:
    """The path itself, or, if it does not exist, the same path below `home()` if that exists."""
    below = home() / path
    return below if not Path(path).exists() and below.exists() else Path(path)


def in_checkout() -> bool:
    """Whether the current folder is a checkout of the zoo."""
    return Path("conf/config.yaml").is_file() and Path("zoo/__init__.py").is_file()


def check_writable(name: str, folder: Path) -> None:
    """ZooError if a folder, which need not exist yet, cannot be written to.

    Args:
        name: the setting, for the message.
        folder: value of the setting.
    """
    above = next((path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()), folder)
    if not above.is_dir():
        raise ZooError(f"{name}={folder}: {above} is a file, and a folder is needed")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ZooError(f"{name}={folder}: nothing can be written to {above}; name another folder")


@contextmanager
def locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file's name, which one process has at a time; yields whether it is held.

    The lock is one of the operating system (flock) on a hidden file beside `path`, so it ends with the process in any
    case. The hidden file is removed afterwards; `sweep` removes those of killed processes.

    Args:
        path: the file, which need not exist.
        wait: wait until no other process holds the lock; otherwise yield False if another one does.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_lock_path(path), mode=0o664, poll_interval=0.1)
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        _lock_path(path).unlink(missing_ok=True)  # while locked: waiting processes notice and try again
        lock.release()


@contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """Hold the lock of a file's name; yields a hidden folder beside it, which is removed at the end.

    Such folders left by killed processes are removed.
    """
    with locked(path):
        _remove_partial(path)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=PARTIAL))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Write a file completely or not at all: yields another path, which is renamed to `path` at the end.

    The file that a link leads to is written, and the link stays.

    Raises:
        OSError: naming `path` where the system names no file, as when the disk is full.
        ZooError: a device or a pipe is there.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ZooError(f"{path}: there is no regular file that could be replaced; name another place")
    path = path.resolve() if path.is_symlink() else path
    with partial_folder(path) as folder:
        try:
            yield folder / path.name
            os.chmod(folder / path.name, 0o644)
            _flush(folder / path.name)
        except OSError as error:
            if error.filename is None:
                error.filename = str(path)
            raise
        os.replace(folder / path.name, path)
        _flush(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """`writing` of bytes."""
    with writing(path) as partial:
        partial.write_bytes(content)


def sweep(folder: Path) -> None:
    """Remove locks and partial files of killed processes from a folder; those of running processes stay."""
    left = [*folder.glob(f".*{LOCK}"), *folder.glob(f".*{PARTIAL}")]
    for name in {_name_of(path) for path in left}:
        with locked(folder / name, wait=False) as held:
            if held:
                _remove_partial(folder / name)


def abandoned(path: Path) -> bool:
    """Whether a process that held the lock of `path` was killed."""
    if not _lock_path(path).exists():
        return False
    with locked(path, wait=False) as held:
        return held


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}{LOCK}")


def _name_of(left: Path) -> str:
    """The name of the file that the lock or partial folder `left` belongs to."""
    name = left.name.removeprefix(".")
    return name.removesuffix(LOCK) if name.endswith(LOCK) else name.removesuffix(PARTIAL).rpartition(".")[0]


def _remove_partial(path: Path) -> None:
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{PARTIAL}"):
        shutil.rmtree(left, ignore_errors=True)


def _flush(path: Path) -> None:
    """Flush what was written to a file or a folder to the disk."""
    if os.name == "nt" and path.is_dir():  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
