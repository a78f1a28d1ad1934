"""One pure function per figure: records in, a Figure out, or None where they hold nothing to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from zoo.figures.answers import damage_curves, rate_distortion
from zoo.figures.curves import (
    error_against_cost,
    error_against_width,
    explained_variance_against_l0,
    training_curves,
)
from zoo.figures.pictures import damage, overview, reconstructions, samples
from zoo.records import Record

FIGURES: dict[str, Callable[[Sequence[Record]], Figure | None]] = {
    figure.__name__: figure
    for figure in (
        overview,
        reconstructions,
        error_against_width,
        explained_variance_against_l0,
        error_against_cost,
        training_curves,
        damage,
        damage_curves,
        rate_distortion,
        samples,
    )
}
