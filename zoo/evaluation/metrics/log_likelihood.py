"""Log-likelihoods of test images, where a model defines them.

Images are evaluated as real numbers under likelihoods of real numbers, whose densities may exceed 1 (and bits fall
below 0). Under likelihoods of binary pixels, encoder and decoder get images binarised at 0.5 (`Likelihood.target`).
"""

from __future__ import annotations

import math

from torch import Tensor

from zoo.evaluation.measures.bounds import Bounds
from zoo.evaluation.registry import metric


@metric("likelihood", "nats per image", "higher")
def elbo(bounds: Bounds) -> Tensor:
    """E_q[log p(x | z)] - KL(q(z | x) || p(z)), a lower bound on log p(x); mean over 50 samples per image."""
    return bounds.elbo


@metric("likelihood", "nats per image", "higher")
def elbo_reconstruction(bounds: Bounds) -> Tensor:
    """E_q[log p(x | z)], the first term of the ELBO; mean over 50 samples per image."""
    return bounds.reconstruction


@metric("likelihood", "nats per image", "none")
def elbo_kl(bounds: Bounds) -> Tensor:
    """KL(q(z | x) || p(z)), the second term of the ELBO; mean over 50 samples of log q(z | x) - log p(z)."""
    return bounds.kl


@metric("likelihood", "nats per image", "higher")
def iwae_50(bounds: Bounds) -> Tensor:
    """log 1/50 sum_k p(x | z_k) p(z_k) / q(z_k | x), z_k ~ q(z | x): the importance-weighted bound on log p(x)."""
    return bounds.iwae


@metric("likelihood", "bits per pixel", "lower")
def iwae_50_bits_per_pixel(bounds: Bounds, x: Tensor) -> Tensor:
    """-iwae_50 / (C H W ln 2); for likelihoods of real numbers, of a density over [0, 1].

    Add 8 to compare densities with code lengths of 8-bit pixels.

    Args:
        bounds: of the images.
        x: (N, C, H, W).
    """
    return bounds.iwae / (-math.log(2) * x[0].numel())


@metric("bound", "nats per image", "higher")
def iwae_5000(tight_bounds: Bounds) -> Tensor:
    """The importance-weighted bound on log p(x) with 5,000 samples per test image."""
    return tight_bounds.iwae


@metric("likelihood", "nats per image", "higher")
def linear_gaussian_log_likelihood(exact_log_likelihood: Tensor) -> Tensor:
    """Exact log-likelihood under the Gaussian that a linear model defines: its own, or that of probabilistic PCA.

    With a standard normal prior and Gaussian pixels (ppca, factor_analysis) it is N(b, V V' + noise). For other linear
    codes with orthonormal axes it is probabilistic PCA: the covariance of the training codes on the axes, and off them
    one variance, the mean squared residual of training images per dimension. M. Tipping, C. Bishop, "Probabilistic
    principal component analysis", 1999.

    Args:
        exact_log_likelihood: (N,).
    """
    return exact_log_likelihood
