"""Factor analysis of a covariance, by scikit-learn."""

from __future__ import annotations

import warnings

import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor


def factors(variances: Tensor, axes: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Loadings W: (P, D) and noise variances: (P,) of maximum likelihood, by the EM algorithm.

    The likelihood depends on the images only through their covariance, so that 2 P points with that covariance can
    replace them: plus and minus each principal axis, at sqrt(P) standard deviations from the mean. D. Barber,
    "Bayesian reasoning and machine learning", 2012, section 21.2.

    Args:
        variances: (P,), eigenvalues of the covariance.
        axes: (P, P), its unit eigenvectors as rows.
        width: D, number of factors.
    """
    points = axes * (len(axes) * variances[:, None]).sqrt()
    analysis = FactorAnalysis(width, svd_method="lapack")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the likelihood is unbounded in pixels that never vary
        analysis.fit(torch.cat([points, -points]).numpy())
    return torch.from_numpy(analysis.components_.T.copy()), torch.from_numpy(analysis.noise_variance_)
