"""Saved models of one configuration under several seeds."""

from __future__ import annotations

from pathlib import Path


def siblings_of(model: Path) -> dict[int, Path]:
    """{seed: file} of the saved models beside a model file that differ from it only in the seed, by seed.

    Args:
        model: <hash>-s<seed>.safetensors, which need not exist.
    """
    key = model.stem.rpartition("-s")[0]
    found = {path.stem.rpartition("-s")[2]: path for path in model.parent.glob(f"{key}-s*{model.suffix}")}
    return {int(seed): found[seed] for seed in sorted(filter(str.isdigit, found), key=int) if found[seed] != model}
