"""Models to a file and back: a file holds the weights, and the options that rebuild the model as plain data."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder, build
from zoo.options import Node
from zoo.options import build as build_part
from zoo.types import Shape

PARTS = ("network", "bottleneck", "likelihood", "corruption")
ABOUT = "zoo"  # one key, as safetensors writes several in random order


def build_model(config: Mapping[str, Node], shape: Shape, seed: int, trust: tuple[str, ...] = ()) -> Autoencoder:
    """A fresh model for images of `shape`.

    Args:
        config: the options of the axes by name and value; those of `PARTS` are read.
        shape: (C, H, W).
        seed: determines every initial weight.
        trust: packages from elsewhere whose parts may be built.
    """
    parts = {axis: build_part(axis, config[axis], trust) for axis in PARTS}
    return build(shape, **parts, seed=seed)


def save_model(path: Path, model: Autoencoder, config: Mapping[str, Node], shape: Shape, seed: int) -> None:
    """Write the weights, and the options that rebuild the model, to one safetensors file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"config": dict(config), "shape": list(shape), "seed": seed}
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        safetensors.save_model(model, partial, metadata={ABOUT: json.dumps(about, sort_keys=True)})
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def load_model(path: str | Path, trust: tuple[str, ...] = ()) -> Autoencoder:
    """Rebuild a saved model, in evaluation mode.

    Nothing in the file is executed or interpolated: it names options and plain values, and the option files of the zoo
    (and of packages in `trust`) say which code these stand for.

    Args:
        path: the file.
        trust: packages from elsewhere whose parts may be built.

    Raises:
        ZooError: no such file, not a model of the zoo, or one with parts from elsewhere.
    """
    path = Path(path)
    if not path.is_file():
        raise ZooError(f"{path}: no such model; fit it by `zoo run`")
    try:
        with safe_open(str(path), framework="pt") as file:
            about = described(file.metadata())
        model = build_model(about["config"], about["shape"], about["seed"], trust)
        safetensors.load_model(model, str(path))
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ZooError(f"{path}: not a model that this version of the zoo saved ({error}); fit it again") from error
    return model.eval()


def described(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    """What a file's metadata describes: "config", "shape" and "seed", checked to be of these kinds."""
    about = json.loads((metadata or {})[ABOUT])
    shape = tuple(about["shape"])
    if len(shape) != 3 or not all(type(side) is int and side > 0 for side in shape) or type(about["seed"]) is not int:
        raise ValueError(f"shape {about['shape']}, seed {about['seed']}")
    if not isinstance(about["config"], dict):
        raise ValueError("its configuration is no mapping")
    return {"config": about["config"], "shape": shape, "seed": about["seed"]}
