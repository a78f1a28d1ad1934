"""The bottleneck zoo: PCA, autoencoders and VAEs as one idea, fitted and compared by the same code.

What this module promises: `advise` which method to use, `fit` it to an array and use the `Model`, `save` and `load` it,
`evaluate` it, `variants` to list the methods, and `ZooError`, the one exception for a user's mistakes. Everything else
may move between versions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.advice.halving import advise
    from zoo.api import Model, evaluate, fit, load, save
    from zoo.catalogue import variants

__all__ = ["Model", "ZooError", "advise", "evaluate", "fit", "load", "save", "variants"]

LATE = dict.fromkeys(("Model", "evaluate", "fit", "load", "save"), "zoo.api") | {"variants": "zoo.catalogue"}
LATE |= {"advise": "zoo.advice.halving"}


def __getattr__(name: str) -> Any:
    """Import on first use: torch takes more than a second."""
    if name not in LATE:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(LATE[name]), name)
