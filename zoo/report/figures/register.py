"""The register of figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from zoo.report.figures.style import styled
from zoo.runs.records import Record

Draw = Callable[[Sequence[Record]], Figure | None]

FIGURES: dict[str, Draw] = {}


def figure(draw: Draw) -> Draw:
    """Register a figure under its function's name, which is also that of its file, and give it the zoo's style.

    Raises:
        ValueError: the name is taken.
    """
    name = draw.__name__
    if name in FIGURES:
        raise ValueError(f"two figures are named {name!r}")
    FIGURES[name] = styled(draw)
    return FIGURES[name]
