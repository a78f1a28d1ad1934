"""PCA and truncated SVD by scikit-learn, written into the weights of a linear model."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse.linalg import ArpackError
from sklearn.decomposition import PCA, TruncatedSVD
from torch import Tensor, nn

from zoo.arithmetic import one_thread
from zoo.checks import is_finite
from zoo.data.images import Images
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.closed_form import check_components, linear_layers, write_axes
from zoo.fitting.principal_axes import DECOMPOSED, leading_axes
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective
from zoo.types import FitReport

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BATCH = 1024
ROUNDING = 1e-6  # of the largest unit: a smaller one is a rounding error
CONVERTED = 1 << 29  # bytes of float64 up to which N >= P images are converted at once


@dataclass(frozen=True)
class Svd:
    """encode(x) = S^(p - 1) V (x - m), decode(z) = V^T S^(1 - p) z + m, with m the mean image or zero, and p = 1.

    V: (D, P) holds the leading right singular vectors of the images minus m, which is the linear code of least squared
    error on the training images, and S the singular values over the root of N. C. Eckart, G. Young, "The approximation
    of one matrix by another of lower rank", Psychometrika 1, 1936. The power p changes no reconstruction. With 0, codes
    are whitened; words that are compared by the angles of their codes gain from it: O. Levy, Y. Goldberg, I. Dagan,
    "Improving distributional similarity with lessons learned from word embeddings", 2015, section 3.3.

    Solvers by shape, for N images of P pixels: up to 512 MiB as float64 with N >= P, the eigenvectors of the covariance
    (P x P) or, uncentred, scikit-learn's truncated SVD; up to 128 MiB with N < P, a thin SVD of the images; larger sets
    are read in blocks and never converted as a whole, see `zoo.fitting.principal_axes.leading_axes`. Sparse samples
    stay sparse: ARPACK, by scikit-learn.

    Args:
        centre: m is the mean image (principal component analysis); otherwise m = 0 (truncated SVD).
        power: p, of the singular values in the code, from 0 to 1; None for 1.

    Raises:
        ZooError: a power out of range.
    """

    centre: bool = True
    power: float | None = None

    def __post_init__(self) -> None:
        if self.power is not None and (not is_finite(self.power) or not 0 <= self.power <= 1):
            raise ZooError(f"fit.power={self.power}: must be between 0 and 1, or null")

    @one_thread()
    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Set the model's two linear layers to the solution on `data.train`; the objective is not used.

        Raises:
            ZooError: the model is not linear, or its code has more units than there are principal components.
        """
        encoder, decoder = linear_layers(model)
        width, n, p = encoder.out_features, len(data.train), math.prod(data.shape)
        check_components(width, n, p)
        if (matrix := data.train.sparse) is not None and width < min(n, p):
            start = time.perf_counter()
            try:
                components, mean = self._solve_sparse(matrix, width, seed)
            except ArpackError:  # of a matrix without a variance
                components, mean = self._solve_in_blocks(data.train, width, seed)
        elif 8 * n * p <= (CONVERTED if n >= p else DECOMPOSED):
            x = data.train[:].flatten(1).double()  # with near-equal eigenvalues, float32 has relative errors up to 1e-6
            start = time.perf_counter()
            components, mean = self._solve(x, width, seed)
        else:
            start = time.perf_counter()
            components, mean = self._solve_in_blocks(data.train, width, seed)
        write_axes(encoder, decoder, components, mean)
        if self.power is not None:
            weigh_units(encoder, decoder, data.train, self.power)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)

    def _solve_sparse(self, x: csr_matrix, width: int, seed: int) -> tuple[Tensor, Tensor]:
        """Components (D, P) and mean (P,)."""
        if self.centre:
            pca = PCA(width, svd_solver="arpack", random_state=seed).fit(x.astype(np.float64))
            return torch.from_numpy(pca.components_.copy()), torch.from_numpy(pca.mean_)
        with np.errstate(divide="ignore", invalid="ignore"):  # of equal samples, its shares of the variance are x / 0
            svd = TruncatedSVD(width, algorithm="arpack", random_state=seed).fit(x.astype(np.float64))
        return torch.from_numpy(svd.components_.copy()), torch.zeros(x.shape[1], dtype=torch.float64)

    def _solve_in_blocks(self, images: Images, width: int, seed: int) -> tuple[Tensor, Tensor]:
        """Components (D, P) and mean (P,)."""
        found = leading_axes(images, width, self.centre, seed=seed)
        return found.axes[:width], found.mean

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


@torch.no_grad()
def weigh_units(encoder: nn.Linear, decoder: nn.Linear, images: Images, power: float) -> None:
    """Give each unit its root mean square over images to the power `power`, and the decoder the inverse factor.

    Units beyond the rank of the images, whose values are rounding errors, stay as they are.
    """
    squares = torch.zeros(encoder.out_features, dtype=torch.float64)
    for x in images.batches(BATCH):
        squares += encoder(x.flatten(1)).square().sum(0, dtype=torch.float64)
    size = (squares / len(images)).sqrt()
    factor = torch.where(size > ROUNDING * size.max(), size, 1.0).pow(power - 1).to(encoder.weight)
    encoder.weight.mul_(factor[:, None])
    encoder.bias.mul_(factor)
    decoder.weight.div_(factor)
