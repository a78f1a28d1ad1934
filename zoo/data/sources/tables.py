"""Rows of numbers of the user's own, and small tables of scikit-learn."""

from __future__ import annotations

from zoo.data.images import Source
from zoo.errors import ZooError


def table(
    path: str | None = None,
    label: str | None = None,
    counts: bool = False,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Source:
    """A table."""
    raise ZooError("data=table reads a file of your own: add data.source.path=table.csv")
