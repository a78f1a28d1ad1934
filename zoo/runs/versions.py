"""Versions of the packages that results depend on, and whether a worker has those of the study."""

from __future__ import annotations

import hashlib
import platform
import socket
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from zoo.errors import ZooError
from zoo.options import folders

PACKAGES = ("torch", "lightning", "torchvision", "scikit-learn", "numpy", "hydra-core", "bottleneck-zoo")
CODE = "code"  # of the zoo, and of trusted packages


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that results depend on."""
    return {"python": platform.python_version(), **{name: installed(name) for name in PACKAGES}}


def installed(package: str) -> str | None:
    """The version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def needed(trust: tuple[str, ...] = ()) -> dict[str, str | None]:
    """What must be equal in all processes of a study: {package: version}, and a digest of code and option files.

    Args:
        trust: packages from elsewhere, whose code and option files count, too.
    """
    whole = hashlib.sha256()
    code = [Path(__file__).parents[1], *(place.parent for place in folders(trust)[1:])]
    for root, pattern in [*((place, "*.py") for place in code), *((place, "*.yaml") for place in folders(trust))]:
        for path in sorted(root.rglob(pattern)):
            whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return {**{name: installed(name) for name in PACKAGES}, CODE: whole.hexdigest()[:10]}


def check_worker(expected: Mapping[str, str | None], trust: tuple[str, ...] = ()) -> None:
    """ZooError if this process has other versions, or other code, than the study that sends it runs.

    Args:
        expected: what is `needed`, where the study was started.
        trust: see there.
    """
    here = needed(trust)
    if other := [name for name in expected if here[name] != expected[name]]:
        differ = ", ".join(f"{name} {here[name]} instead of {expected[name]}" for name in other)
        raise ZooError(f"the worker on {socket.gethostname()} has {differ}: install there what is installed here")
