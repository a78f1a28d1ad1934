"""Factor analysis of a covariance, by scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from zoo.arithmetic import one_thread


@one_thread()  # scikit-learn is loaded later than the caller sets it
def factors(variances: Tensor, axes: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Loadings W: (P, D) and noise variances: (P,) of maximum likelihood, by the EM algorithm.

    The likelihood depends on the images only through their covariance, so that 2 R points with that covariance can
    replace them: plus and minus each of R principal axes, at sqrt(R) standard deviations from the mean. D. Barber,
    "Bayesian reasoning and machine learning", 2012, section 21.2.

    Limitation: each iteration decomposes a matrix of 2 R x P numbers; thousands of images of thousands of pixels take
    hours.

    Args:
        variances: (R,), all eigenvalues of the covariance that are not zero.
        axes: (R, P), their unit eigenvectors as rows.
        width: D, number of factors.
    """
    points = axes * (len(axes) * variances[:, None]).sqrt()
    analysis = FactorAnalysis(width, svd_method="lapack")
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):  # of equal images, log 0 - log 0
        warnings.simplefilter("ignore", ConvergenceWarning)  # the likelihood is unbounded in pixels that never vary
        analysis.fit(torch.cat([points, -points]).numpy())
    return torch.from_numpy(analysis.components_.T.copy()), torch.from_numpy(analysis.noise_variance_)
