"""The bottleneck zoo: PCA, autoencoders and VAEs as one idea, fitted and compared by the same code.

What this module promises: `advise` which method to use, `fit` it to an array and use the `Model`, `save` and `load` it,
`evaluate` it, `show` it in pictures, rank `outliers`, `export` it, share it with its `card` or by `push_to_hub`,
`variants` to list the methods, and `ZooError`, the one exception for a user's mistakes. Everything else may move
between versions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.advice.halving import advise
    from zoo.api import Model, evaluate, fit, load, save
    from zoo.catalogue import variants
    from zoo.use.card import card, push_to_hub
    from zoo.use.export import export
    from zoo.use.ranking import outliers
    from zoo.use.show import show

__all__ = [
    "Model",
    "ZooError",
    "advise",
    "card",
    "evaluate",
    "export",
    "fit",
    "load",
    "outliers",
    "push_to_hub",
    "save",
    "show",
    "variants",
]

LATE = dict.fromkeys(("Model", "evaluate", "fit", "load", "save"), "zoo.api") | {"variants": "zoo.catalogue"}
LATE |= {"advise": "zoo.advice.halving", "card": "zoo.use.card", "push_to_hub": "zoo.use.card"}
LATE |= {"export": "zoo.use.export", "outliers": "zoo.use.ranking", "show": "zoo.use.show"}


def __getattr__(name: str) -> Any:
    """Import on first use: torch takes more than a second."""
    if name not in LATE:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(LATE[name]), name)


def __dir__() -> list[str]:
    """What is promised, for completion."""
    return sorted(__all__)
