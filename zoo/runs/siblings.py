"""Saved models of one configuration under several seeds."""

from __future__ import annotations

from pathlib import Path

from zoo.runs.identity import digest


def siblings_of(model: Path) -> dict[int, Path]:
    """{seed: file} of the saved models beside a model file that differ from it only in the seed, by seed.

    A file counts if it says so itself, and not by its name alone.

    Args:
        model: <hash>-s<seed>.safetensors, which need not exist.
    """
    key = model.stem.rpartition("-s")[0]
    found = {path.stem.rpartition("-s")[2]: path for path in model.parent.glob(f"{key}-s*{model.suffix}")}
    others = {int(seed): found[seed] for seed in sorted(filter(str.isdigit, found), key=int) if found[seed] != model}
    return {seed: path for seed, path in others.items() if is_saved(path, key, seed)}


def is_saved(path: Path, key: str, seed: int) -> bool:
    """Whether a file is the model of a run: of this digest of its configuration, and this seed."""
    from safetensors import SafetensorError, safe_open

    from zoo.model.io import described  # torch takes a second to import

    if not path.is_file():
        return False
    try:
        with safe_open(str(path), framework="pt") as file:
            about = described(file.metadata())
    except (SafetensorError, OSError, KeyError, TypeError, ValueError):
        return False
    return digest(about["config"]) == key and about["seed"] == seed
