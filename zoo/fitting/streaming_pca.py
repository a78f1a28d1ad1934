"""PCA of data larger than memory, which is read in batches."""

from __future__ import annotations

import time
from dataclasses import dataclass

from zoo.arithmetic import one_thread
from zoo.checks import check_count
from zoo.data.splits import Splits
from zoo.fitting.closed_form import linear_layers, write_axes
from zoo.fitting.principal_axes import leading_axes
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective
from zoo.types import FitReport


@dataclass(frozen=True)
class StreamingPca:
    """encode(x) = V (x - m), decode(z) = V^T z + m, with V: (D, P) the leading eigenvectors of the covariance.

    Up to 4,096 pixels, one pass over the images updates mean and covariance, and memory grows with the square of the
    number of pixels. Larger images need several passes, see `zoo.fitting.principal_axes.leading_axes`, and so do few.

    Args:
        batch_size: largest number of images read at a time; the result does not depend on it.

    Raises:
        ZooError: a number out of range.
    """

    batch_size: int = 1024

    def __post_init__(self) -> None:
        check_count(self.batch_size, "fit.batch_size")

    @one_thread()
    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Set the model's two linear layers to the solution on `data.train`; the objective is not used.

        Raises:
            ZooError: the model is not linear, or its code has more units than there are principal components.
        """
        encoder, decoder = linear_layers(model)
        start = time.perf_counter()
        width = encoder.out_features
        found = leading_axes(data.train, width, batch_size=self.batch_size, seed=seed)
        write_axes(encoder, decoder, found.axes[:width], found.mean)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)
