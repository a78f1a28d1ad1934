"""Where files lie, and how they are written: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

APP = "bottleneck-zoo"


def home() -> Path:
    """The folder below which data, results, models and caches lie by default.

    The environment variable ZOO_HOME; without it the current folder, if that is a checkout of the zoo, as a relative
    path; else the user's cache folder of this platform (Linux: ~/.cache/bottleneck-zoo).
    """
    if chosen := os.environ.get("ZOO_HOME"):
        return Path(chosen).expanduser()
    return Path() if in_checkout() else user_cache_path(APP)


def existing(path: str | Path) -> Path:
    """The path itself; if nothing is there, and something lies at the same path below `home()`, that place."""
    below = home() / path
    return below if not Path(path).exists() and below.exists() else Path(path)


def in_checkout() -> bool:
    """Whether the current folder is a checkout of the zoo."""
    return Path("conf/config.yaml").is_file() and Path("zoo/__init__.py").is_file()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: to a temporary neighbour first, then renamed over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise
