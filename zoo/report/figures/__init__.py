"""One pure function per figure: records in, a matplotlib figure out, or None where they hold nothing to draw.

Importing this package registers the zoo's own figures; `figure` registers another.
"""

from zoo.report.figures.register import FIGURES, figure

# in the order of a report's page
from zoo.report.figures import pictures, average_ranks, curves, measured_curves, outlier_dots, factor_dots  # isort: skip
from zoo.report.figures import texts  # isort: skip

__all__ = [
    "FIGURES",
    "average_ranks",
    "curves",
    "factor_dots",
    "figure",
    "measured_curves",
    "outlier_dots",
    "pictures",
    "texts",
]
