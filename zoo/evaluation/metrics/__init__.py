"""Importing this package registers every metric."""

from zoo.evaluation.metrics import reconstruction  # isort: skip
from zoo.evaluation.metrics import damage, knowledge, code, holes, generation, likelihood, rate, cost  # isort: skip

__all__ = ["code", "cost", "damage", "generation", "holes", "knowledge", "likelihood", "rate", "reconstruction"]
