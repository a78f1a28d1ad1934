"""Importing this package registers every metric."""

from zoo.evaluation.metrics import reconstruction  # isort: skip
from zoo.evaluation.metrics import knowledge, code, cost  # isort: skip

__all__ = ["code", "cost", "knowledge", "reconstruction"]
