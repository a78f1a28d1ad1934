"""Probabilistic PCA and factor analysis: the linear Gaussian latent-variable model by maximum likelihood."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor, nn

from zoo.autoencoder import Autoencoder
from zoo.bottlenecks.diagonal import Diagonal
from zoo.data.datamodule import ImageData
from zoo.errors import ZooError
from zoo.fit import FitReport
from zoo.fit.streaming_pca import principal_axes
from zoo.fit.svd import sole_layers
from zoo.likelihood import FittedGaussian
from zoo.objective import Objective


@dataclass(frozen=True)
class LinearGaussian:
    """x = W z + m + e, z ~ N(0, I), e ~ N(0, Psi), so that p(x) = N(m, W W^T + Psi).

    The model is a linear variational autoencoder at its global optimum: W is turned so that W^T Psi^-1 W = diag(d),
    which leaves p(x) as it is and makes the true posterior diagonal,

        p(z | x) = N((1 + d)^-1 W^T Psi^-1 (x - m), diag((1 + d)^-1)),

    and that is what the encoder returns: the evidence lower bound is the log-likelihood. J. Lucas et al., "Don't blame
    the ELBO!", 2019, arXiv:1911.02469.

    Args:
        isotropic: Psi = s^2 I, in closed form: M. Tipping, C. Bishop, "Probabilistic principal component analysis",
            1999, eq. 7 and 8. Otherwise one variance per pixel, by the EM algorithm: factor analysis.
        least_std: the noise is nowhere less; in pixels that never vary the likelihood would have no maximum.
    """

    isotropic: bool = True
    least_std: float = 0.01

    def __call__(self, model: Autoencoder, data: ImageData, objective: Objective, seed: int) -> FitReport:
        """Write the solution on all of `data.train` into the model; the objective is not read.

        Raises:
            ZooError: the model is not a linear one with a Gaussian code and a fitted noise, or its code is wider than
                the data allow.
        """
        encoder, decoder, likelihood = parts_of(model)
        width = decoder.in_features
        start = time.perf_counter()
        mean, variances, axes = principal_axes(data.train, width)
        if self.isotropic:
            rest = variances[width:]
            noise = (rest.mean() if len(rest) else rest.new_zeros(())).clamp(min=self.least_std**2)
            w = axes[:width].T * (variances[:width] - noise).clamp(min=0).sqrt()
            noise = noise.expand(len(axes))
        else:
            w, noise = factors(variances, axes, width)
            noise = noise.clamp(min=self.least_std**2)
        d, turn = torch.linalg.eigh(w.T @ (w / noise[:, None]))
        w, d = w @ turn.flip(1), d.flip(0)
        gain = (w / noise[:, None]).T / (1 + d[:, None])
        with torch.no_grad():
            encoder.weight.copy_(torch.cat([gain, torch.zeros_like(gain)]))
            encoder.bias.copy_(torch.cat([-gain @ mean, -d.log1p()]))
            decoder.weight.copy_(w)
            decoder.bias.copy_(mean)
        likelihood.std = noise.sqrt().to(decoder.weight).view(data.shape)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)


def factors(variances: Tensor, axes: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Loadings W: (P, D) and noise variances (P,) of the factor analysis of a covariance, by scikit-learn.

    The likelihood depends on the images through their covariance alone, so 2 P points that have it stand in for them:
    plus and minus each principal axis, sqrt(P) standard deviations from the mean. D. Barber, "Bayesian reasoning and
    machine learning", 2012, section 21.2.
    """
    points = axes * (len(axes) * variances[:, None]).sqrt()
    analysis = FactorAnalysis(width, svd_method="lapack")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the likelihood still rises in pixels that never vary
        analysis.fit(torch.cat([points, -points]).numpy())
    return torch.from_numpy(analysis.components_.T.copy()), torch.from_numpy(analysis.noise_variance_)


def parts_of(model: Autoencoder) -> tuple[nn.Linear, nn.Linear, FittedGaussian]:
    """Encoder's and decoder's only layers and the likelihood; ZooError where the model is of another kind."""
    layers, likelihood = sole_layers(model), model.likelihood
    if layers is None or not isinstance(model.bottleneck, Diagonal) or not isinstance(likelihood, FittedGaussian):
        raise ZooError(
            "fit=ppca and fit=factor_analysis solve network=linear with bottleneck=diagonal and "
            "likelihood=gaussian_fitted only; give another model fit=gradient"
        )
    return *layers, likelihood
