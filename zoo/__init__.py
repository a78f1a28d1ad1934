"""The bottleneck zoo: PCA, autoencoders and VAEs, fitted and compared by the same code.

The stable interface: `advise` recommends a method, `fit` fits it to an array and returns a `Model`, `save` and `load`
store it, `evaluate` measures it, `show` draws it, `outliers` ranks samples, `export` writes it as ONNX, `card` and
`push_to_hub` share it, `variants` lists the methods, and `ZooError` is the one exception for mistakes of a user.
Everything else may change between versions.
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
    """The stable names, for completion."""
    return sorted(__all__)
