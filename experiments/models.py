"""Models from configuration, to a file and back: a file holds the weights and the configuration that rebuilds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors

from zoo.autoencoder import Autoencoder, build
from zoo.errors import ZooError
from zoo.types import Shape

TRUSTED = ("zoo.", "torch.nn.")
PARTS = ("network", "bottleneck", "likelihood", "corruption")


def make(node: dict[str, Any]) -> Any:
    """Instantiate a node of the configuration; what its constructor has to say to the user comes through as it is."""
    try:
        return instantiate(node)
    except InstantiationException as error:
        if isinstance(error.__cause__, ZooError):
            raise error.__cause__ from None
        raise


def build_model(config: dict[str, Any], shape: Shape, seed: int) -> Autoencoder:
    """A fresh model for images of `shape` from the determining configuration of a run."""
    parts = {axis: make(config[axis]) for axis in PARTS}
    return build(shape, **parts, seed=seed)


def save_model(path: Path, model: Autoencoder, config: dict[str, Any], shape: Shape, seed: int) -> None:
    """Write the weights, and the configuration that rebuilds the model, to one safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    about = {"config": json.dumps(config), "shape": json.dumps(shape), "seed": str(seed)}
    safetensors.save_model(model, str(partial), metadata=about)
    partial.replace(path)


def load_model(path: Path) -> Autoencoder:
    """Rebuild a saved model; nothing in the file is executed, and it can only name parts of the zoo and torch.nn.

    Raises:
        ZooError: no such file, not a model of the zoo, or one that names something else.
    """
    if not path.is_file():
        raise ZooError(f"{path}: no such model; fit it by `python -m experiments.run`")
    try:
        with safe_open(str(path), framework="pt") as file:
            about = file.metadata() or {}
        config = json.loads(about["config"])
        refuse_foreign(path, {part: config[part] for part in PARTS})  # nothing else of it is instantiated
        model = build_model(config, tuple(json.loads(about["shape"])), int(about["seed"]))
        safetensors.load_model(model, str(path))
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ZooError(f"{path}: not a model that this version of the zoo saved ({error}); fit it again") from error
    return model.eval()


def refuse_foreign(path: Path, node: Any) -> None:
    """ZooError if the configuration of a saved model names a target that is not a part of the zoo or of torch.nn."""
    if isinstance(node, list):
        for value in node:
            refuse_foreign(path, value)
    if isinstance(node, dict):
        for key, value in node.items():
            looked_up = key == "path" and node.get("_target_") == "hydra.utils.get_class"
            if (key == "_target_" or looked_up) and not is_part(str(value)):
                raise ZooError(
                    f"{path}: names {value}, which is no part of the zoo; do not load files you do not trust"
                )
            refuse_foreign(path, value)


def is_part(name: str) -> bool:
    """Is this the dotted name of something that the zoo or torch.nn defines, or of Hydra's look-up of a class?"""
    if name == "hydra.utils.get_class":
        return True
    if not name.startswith(TRUSTED):
        return False
    try:
        found = get_object(name)
    except ImportError:
        return False
    # where it is defined counts: a module of the zoo has names of other modules in it, os among them
    return str(getattr(found, "__module__", "")).startswith(TRUSTED)
