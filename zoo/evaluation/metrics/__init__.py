"""The metrics: each module here is imported with this package, and so registers its metrics."""

from importlib import import_module
from pkgutil import iter_modules

for found in iter_modules(__path__):
    import_module(f"{__name__}.{found.name}")
