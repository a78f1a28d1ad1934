"""Importing this package registers every metric."""

from zoo.evaluation.metrics import reconstruction  # isort: skip
from zoo.evaluation.metrics import code, cost

__all__ = ["code", "cost", "reconstruction"]
