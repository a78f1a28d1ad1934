"""PCA and truncated SVD by scikit-learn, written into the weights of a linear model."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from sklearn.decomposition import PCA, TruncatedSVD
from torch import Tensor

from zoo.data.splits import Splits
from zoo.fitting.closed_form import check_components, linear_layers, write_axes
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective
from zoo.types import FitReport


@dataclass(frozen=True)
class Svd:
    """encode(x) = V (x - m), decode(z) = V^T z + m, with m the mean image or zero.

    V: (D, P) holds the leading right singular vectors of the images minus m, which is the linear code of least squared
    error on the training images. C. Eckart, G. Young, "The approximation of one matrix by another of lower rank",
    Psychometrika 1, 1936.

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
        x = data.train[:].flatten(1).double()  # with near-equal eigenvalues, float32 has relative errors up to 1e-6
        width = encoder.out_features
        check_components(width, *x.shape)
        start = time.perf_counter()
        components, mean = self._solve(x, width, seed)
        write_axes(encoder, decoder, components, mean)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)

    def _solve(self, x: Tensor, width: int, seed: int) -> tuple[Tensor, Tensor]:
        """Components (D, P) and mean (P,)."""
        if self.centre:
            pca = PCA(width, svd_solver="covariance_eigh").fit(x.numpy())
            return torch.from_numpy(pca.components_), torch.from_numpy(pca.mean_)
        # ARPACK is exact but cannot compute all components; the randomised solver is exact for all of them
        algorithm = "arpack" if width < min(x.shape) else "randomized"
        svd = TruncatedSVD(width, algorithm=algorithm, random_state=seed).fit(x.numpy())
        return torch.from_numpy(svd.components_.copy()), x.new_zeros(x.shape[1])
