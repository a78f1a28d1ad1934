"""Model folders on the Hugging Face hub; needs the extra `hub`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from zoo.errors import ZooError

ADDRESS = "hf://"
KEPT = ("model.safetensors", "config.json", "README.md")  # the files of a model folder


def download(address: str) -> Path:
    """A model folder of the hub, in the hub's own cache on this machine.

    Args:
        address: hf://user/name, or hf://user/name@revision.

    Raises:
        ZooError: no such model, no network, or the extra is missing.
    """
    name, _, revision = address.removeprefix(ADDRESS).partition("@")
    hub = _library()
    try:
        return Path(hub.snapshot_download(name, revision=revision or None, allow_patterns=list(KEPT)))
    except Exception as error:  # of which class depends on the HTTP library beneath
        raise ZooError(f"{address}: cannot be loaded from the hub ({_told(error)})") from error


def upload(folder: Path, name: str, private: bool = False) -> str:
    """Put a model folder on the hub, in a new repository or as a new commit, and return its address.

    Args:
        folder: of `zoo.card`.
        name: user/name.
        private: whether a new repository is private.

    Raises:
        ZooError: not logged in, no network, or the extra is missing.
    """
    hub = _library()
    try:
        hub.create_repo(name, private=private, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=str(folder), allow_patterns=list(KEPT))
    except Exception as error:  # of which class depends on the HTTP library beneath
        raise ZooError(f"{name}: cannot be written to the hub ({_told(error)}); `hf auth login` logs you in") from error
    return f"{ADDRESS}{name}"


def _library() -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise ZooError("the Hugging Face hub needs another package: pip install 'bottleneck-zoo[hub]'") from error


def _told(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
