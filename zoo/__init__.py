"""The bottleneck zoo: PCA, autoencoders and VAEs as one idea, fitted and compared by the same code.

What this module promises: `load` a saved model, `save` one, `variants` to list the methods, and `ZooError`, the one
exception for a user's mistakes. Everything else may move between versions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.catalogue import variants
    from zoo.model.io import load_model as load
    from zoo.model.io import save_model as save

__all__ = ["ZooError", "load", "save", "variants"]

LATE = {
    "load": ("zoo.model.io", "load_model"),
    "save": ("zoo.model.io", "save_model"),
    "variants": ("zoo.catalogue", "variants"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: torch takes more than a second."""
    if name not in LATE:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    module, attribute = LATE[name]
    return getattr(import_module(module), attribute)
