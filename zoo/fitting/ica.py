"""Independent component analysis by scikit-learn, written into the weights of a linear model."""

from __future__ import annotations

import logging
import time
import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from zoo.arithmetic import one_thread
from zoo.checks import check_count, check_positive
from zoo.data.images import Images
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.closed_form import linear_layers, write_axes
from zoo.fitting.principal_axes import leading_axes
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective
from zoo.types import FitReport

LOG = logging.getLogger(__name__)
Contrast = Literal["logcosh", "exp", "cube"]
NOISE = 1e-6  # of the largest variance; to scale an axis of less to variance 1 would amplify rounding errors
NUMBERS = 1 << 24  # of codes that are rotated, at most
BATCH = 1024


@dataclass(frozen=True)
class Ica:
    """encode(x) = R diag(s)^-1 V (x - m), decode(z) = V^T diag(s) R^T z + m: units that are independent of each other.

    m, V: (D, P) and s: (D,) are the mean, the principal axes and the standard deviations along them, and R: (D, D) is
    the rotation of the whitened codes that makes units least Gaussian, by the fixed-point iteration of FastICA. As R is
    a rotation, reconstructions are those of PCA. A. Hyvärinen, "Fast and robust fixed-point algorithms for independent
    component analysis", 1999; A. Hyvärinen, E. Oja, "Independent component analysis: algorithms and applications",
    2000.

    Units have variance 1 on the training images, come in the order of the variance that they explain, |column of the
    decoder|^2, and have the sign that makes the largest entry of this column positive. Axes with a millionth of the
    largest variance or less hold no sources; they follow as they are in PCA.

    Limitations: where units are nearly Gaussian, or the iteration oscillates (as on sprites), it ends at its limit
    without having converged, and another seed finds other units; a warning says so. Reconstructions are the same. Of
    large sets, evenly spaced images determine R: at most 256 MiB, and 16 million numbers of codes.

    Args:
        contrast: function whose mean measures how Gaussian a unit is: log cosh(u), -exp(-u^2 / 2) or u^4 / 4.
        max_iterations: at most.
        tolerance: change of a unit's direction, 1 - |cos|, below which the iteration ends.

    Raises:
        ZooError: a number out of range, or another contrast.
    """

    contrast: Contrast = "logcosh"
    max_iterations: int = 1000
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        if self.contrast not in get_args(Contrast):
            raise ZooError(f"fit.contrast={self.contrast}: choose one of {', '.join(get_args(Contrast))}")
        check_count(self.max_iterations, "fit.max_iterations")
        check_positive(self.tolerance, "fit.tolerance")

    @one_thread()
    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Set the model's two linear layers to the solution on `data.train`; the objective is not used.

        Raises:
            ZooError: the model is not linear, or its code has more units than there are principal components.
        """
        encoder, decoder = linear_layers(model)
        start = time.perf_counter()
        width = encoder.out_features
        found = leading_axes(data.train, width, seed=seed)
        variances, axes, mean = found.variances[:width], found.axes[:width], found.mean
        sources = int((variances > NOISE * variances[0]).sum())
        std, kept = variances[:sources].sqrt()[:, None], axes[:sources]
        rotation = self._rotation(whitened(data.train, kept / std, mean), seed)
        mixing = rotation @ (std * kept)
        order = mixing.square().sum(1).argsort(descending=True, stable=True)
        largest = mixing.gather(1, mixing.abs().argmax(1, keepdim=True))
        rotation, mixing = ((largest.sign() * part)[order] for part in (rotation, mixing))
        unmixing = torch.cat([rotation @ (kept / std), axes[sources:]])
        write_axes(encoder, decoder, unmixing, mean, torch.cat([mixing, axes[sources:]]))
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)

    def _rotation(self, codes: Tensor, seed: int) -> Tensor:
        """R: (D, D), orthogonal, of whitened codes (N, D)."""
        if not codes.shape[1]:
            return codes.new_zeros(0, 0)
        ica = FastICA(
            whiten=False, fun=self.contrast, max_iter=self.max_iterations, tol=self.tolerance, random_state=seed
        )
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always", ConvergenceWarning)
            ica.fit(codes.numpy())
        if any(issubclass(each.category, ConvergenceWarning) for each in raised):
            text = (
                "ica: not converged after %d iterations: another seed finds other units, with the same reconstructions"
            )
            LOG.warning(text, self.max_iterations)
        return torch.from_numpy(ica.components_)


def whitened(images: Images, axes: Tensor, mean: Tensor) -> Tensor:
    """A (x - m) of evenly spaced images, with A: (D, P) and m: (P,): (N, D) float64."""
    chosen = images.spaced(max(1, NUMBERS // max(1, len(axes))))
    return torch.cat([(x.flatten(1).double() - mean) @ axes.T for x in chosen.batches(BATCH)])
