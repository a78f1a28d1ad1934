"""PCA and truncated SVD by scikit-learn, written into the weights of a linear model."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA, TruncatedSVD
from torch import Tensor

from zoo.data.splits import Splits
from zoo.fitting.closed_form import check_components, linear_layers, write_axes
from zoo.fitting.principal_axes import DECOMPOSED, leading_axes
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective
from zoo.types import FitReport

CONVERTED = 1 << 29  # bytes of float64 up to which N >= P images are converted at once


@dataclass(frozen=True)
class Svd:
    """encode(x) = V (x - m), decode(z) = V^T z + m, with m the mean image or zero.

    V: (D, P) holds the leading right singular vectors of the images minus m, which is the linear code of least squared
    error on the training images. C. Eckart, G. Young, "The approximation of one matrix by another of lower rank",
    Psychometrika 1, 1936.

    Solvers by shape, for N images of P pixels: up to 512 MiB as float64 with N >= P, the eigenvectors of the covariance
    (P x P) or, uncentred, scikit-learn's truncated SVD; up to 128 MiB with N < P, a thin SVD of the images; larger sets
    are read in blocks and never converted as a whole, see `zoo.fitting.principal_axes.leading_axes`.

    Args:
        centre: m is the mean image (principal component analysis); otherwise m = 0 (truncated SVD).
    """

    centre: bool = True

    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Set the model's two linear layers to the solution on `data.train`; the objective is not used.

        Raises:
            ZooError: the model is not linear, or its code has more units than there are principal components.
        """
        encoder, decoder = linear_layers(model)
        width, n, p = encoder.out_features, len(data.train), math.prod(data.shape)
        check_components(width, n, p)
        if 8 * n * p <= (CONVERTED if n >= p else DECOMPOSED):
            x = data.train[:].flatten(1).double()  # with near-equal eigenvalues, float32 has relative errors up to 1e-6
            start = time.perf_counter()
            components, mean = self._solve(x, width, seed)
        else:
            start = time.perf_counter()
            found = leading_axes(data.train, width, self.centre, seed=seed)
            components, mean = found.axes[:width], found.mean
        write_axes(encoder, decoder, components, mean)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)

    def _solve(self, x: Tensor, width: int, seed: int) -> tuple[Tensor, Tensor]:
        """Components (D, P) and mean (P,)."""
        if self.centre:
            solver = "covariance_eigh" if len(x) >= x.shape[1] else "full"
            with np.errstate(invalid="ignore"):  # of equal images, its shares of the variance are 0 / 0
                pca = PCA(width, svd_solver=solver).fit(x.numpy())
            return torch.from_numpy(pca.components_), torch.from_numpy(pca.mean_)
        if x.shape[1] == 1 or not x.any():  # which scikit-learn refuses; of black images, all axes are equally good
            return torch.eye(width, x.shape[1], dtype=x.dtype), x.new_zeros(x.shape[1])
        # ARPACK is exact but cannot compute all components; the randomised solver is exact for all of them
        algorithm = "arpack" if width < min(x.shape) else "randomized"
        with np.errstate(divide="ignore", invalid="ignore"):  # as above
            svd = TruncatedSVD(width, algorithm=algorithm, random_state=seed).fit(x.numpy())
        return torch.from_numpy(svd.components_.copy()), x.new_zeros(x.shape[1])
