"""Log-likelihoods of test samples, where a model defines them.

Probabilities (of binary pixels, of counts) and densities (of real numbers) do not compare: `elbo`, `iwae_50`,
`iwae_5000` are log-probabilities, `density_*` log-densities. For likelihoods of binary pixels, encoder and decoder
receive images binarised at 0.5 (`Likelihood.target`). Densities are measured on images with uniform noise of one grey
level added; Gaussian pixels have the standard deviation that maximises the ELBO of validation images.
"""

from __future__ import annotations

import math

from torch import Tensor

from zoo.evaluation.measures.bounds import Bounds
from zoo.evaluation.registry import metric


@metric("likelihood", "nats per sample", "higher", version=2)
def elbo(probability_bounds: Bounds) -> Tensor:
    """E_q[log p(x | z)] - KL(q(z | x) || p(z)), a lower bound on the log-probability; mean over 50 draws per sample.

    Misleads: a loose bound looks like a bad model: the difference is the divergence of q(z | x) from the true
    posterior. A high likelihood also says little about the quality of samples.
    """
    return probability_bounds.elbo


@metric("likelihood", "nats per sample", "higher", version=2)
def iwae_50(probability_bounds: Bounds) -> Tensor:
    """log 1/50 sum_k p(x | z_k) p(z_k) / q(z_k | x), z_k ~ q(z | x), a tighter bound on the log-probability.

    Misleads: it is still a bound, and models with a poor q(z | x) gain more from further draws than others.
    """
    return probability_bounds.iwae


@metric("bound", "nats per sample", "higher", version=2)
def iwae_5000(tight_probability_bounds: Bounds) -> Tensor:
    """The importance-weighted bound on the log-probability with 5,000 draws per test sample.

        log 1/5000 sum_k p(x | z_k) p(z_k) / q(z_k | x), z_k ~ q(z | x)

    Misleads: it is still a bound, and tight only where q(z | x) is good; a high likelihood says little about how good
    samples are.
    """
    return tight_probability_bounds.iwae


@metric("likelihood", "nats per sample", "higher")
def density_elbo(density_bounds: Bounds) -> Tensor:
    """E_q[log p(x | z)] - KL(q(z | x) || p(z)), a lower bound on the log-density; mean over 50 draws per sample.

    Gaussian pixels have the standard deviation that maximises the ELBO of validation samples, except in ppca and
    factor_analysis, which fit it in closed form to training samples.

    Misleads: densities of nearly constant pixels can be arbitrarily high, so a blank background dominates; they never
    compare with probabilities. factor_analysis has a standard deviation for each pixel, and all others one in all.
    """
    return density_bounds.elbo


@metric("likelihood", "nats per sample", "higher")
def density_iwae_50(density_bounds: Bounds) -> Tensor:
    """log 1/50 sum_k p(x | z_k) p(z_k) / q(z_k | x), z_k ~ q(z | x), a tighter bound on the log-density.

    Misleads: densities of nearly constant pixels can be arbitrarily high, so a blank background dominates; they never
    compare with probabilities. factor_analysis has a standard deviation for each pixel, and all others one in all.
    """
    return density_bounds.iwae


@metric("bound", "nats per sample", "higher")
def density_iwae_5000(tight_density_bounds: Bounds) -> Tensor:
    """The importance-weighted bound on the log-density with 5,000 draws per test sample.

        log 1/5000 sum_k p(x | z_k) p(z_k) / q(z_k | x), z_k ~ q(z | x)

    Misleads: densities of nearly constant pixels can be arbitrarily high, so a blank background dominates; they never
    compare with probabilities. factor_analysis has a standard deviation for each pixel, and all others one in all.
    """
    return tight_density_bounds.iwae


@metric("likelihood", "nats per sample", "none", version=2)
def elbo_reconstruction(bounds: Bounds) -> Tensor:
    """E_q[log p(x | z)], the first term of the ELBO, of a probability or a density; mean over 50 draws per sample.

    Misleads: it is one of two terms: it rises when the code carries more information, which elbo_kl pays for.
    """
    return bounds.reconstruction


@metric("likelihood", "nats per sample", "none")
def elbo_kl(bounds: Bounds) -> Tensor:
    """KL(q(z | x) || p(z)), the second term of the ELBO; mean over 50 samples of log q(z | x) - log p(z).

    Misleads: neither a small nor a large value is good: 0 means that the code is not used at all.
    """
    return bounds.kl


@metric("likelihood", "bits per pixel", "lower", version=2)
def iwae_50_bits_per_pixel(density_bounds: Bounds, x: Tensor, pixel_level: float) -> Tensor:
    """Bits in which a grey level can be coded: -density_iwae_50 / (C H W ln 2) - log2 of the distance of two levels.

    Misleads: blank pixels cost almost nothing, so images with much background need few bits whatever the model.

    Args:
        density_bounds: of the images.
        x: (N, C, H, W).
        pixel_level: the distance of two grey levels, 1 / 255 for bytes.
    """
    return density_bounds.iwae / (-math.log(2) * x[0].numel()) - math.log2(pixel_level)


@metric("likelihood", "nats per sample", "higher", version=3)
def linear_gaussian_log_likelihood(exact_log_likelihood: Tensor) -> Tensor:
    """Exact log-density under the Gaussian that a linear model defines, its own or that of probabilistic PCA.

        log N(x; b, K + u I), K = V V' + noise with a standard normal prior, else V S V' + s^2 (I - V V')

    With a standard normal prior and Gaussian pixels (ppca, factor_analysis) it is N(b, V V' + noise). For other linear
    codes with orthonormal axes V it is probabilistic PCA: the second moment S of the training codes on the axes, and
    off them one variance s^2, the mean squared residual of training samples per dimension. b is decode(0), and u the
    variance of the noise of one grey level that is added to images. M. Tipping, C. Bishop, "Probabilistic principal
    component analysis", 1999.

    Misleads: it is the density of a Gaussian around the model's subspace: samples are not Gaussian, and a better fit of
    their covariance need not be a better model of samples.

    Args:
        exact_log_likelihood: (N,).
    """
    return exact_log_likelihood
