"""Probabilistic PCA and factor analysis: the linear Gaussian latent-variable model by maximum likelihood."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoo.arithmetic import one_thread
from zoo.checks import check_positive
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.closed_form import check_components, sole_layers
from zoo.fitting.principal_axes import PrincipalAxes, leading_axes
from zoo.linear_algebra import eigh
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import FAMILIES, DiagonalPosterior
from zoo.model.likelihoods import FittedGaussianLikelihood
from zoo.model.priors.standard import NormalPrior
from zoo.objective.objective import Objective
from zoo.types import FitReport

Solver = Callable[[PrincipalAxes, int], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class LinearGaussian:
    """x = W z + m + e, z ~ N(0, I), e ~ N(0, Psi), so that p(x) = N(m, W W^T + Psi).

    The model is a linear variational autoencoder at its global optimum: W is rotated so that W^T Psi^-1 W = diag(d),
    which leaves p(x) unchanged and makes the true posterior diagonal,

        p(z | x) = N((1 + d)^-1 W^T Psi^-1 (x - m), diag((1 + d)^-1)).

    The encoder returns this posterior, so that the evidence lower bound equals the log-likelihood. J. Lucas et al.,
    "Don't blame the ELBO!", 2019, arXiv:1911.02469.

    Args:
        isotropic: Psi = s^2 I, in closed form: M. Tipping, C. Bishop, "Probabilistic principal component analysis",
            1999, eq. 7 and 8. Otherwise one variance per pixel, by the EM algorithm: factor analysis.
        least_std: lower limit of the noise's std, in units of the pixel range; without it, pixels that never vary have
            no maximum of the likelihood.

    Raises:
        ZooError: a number out of range.
    """

    isotropic: bool = True
    least_std: float = 0.01

    def __post_init__(self) -> None:
        check_positive(self.least_std, "fit.least_std")

    @one_thread()
    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Set the model to the solution on `data.train`; the objective is not used.

        Raises:
            ZooError: the model is not linear with a Gaussian posterior and a fitted noise, or its code has more units
                than there are principal components.
        """
        encoder, decoder, likelihood = parts_of(model)
        width, solve = decoder.in_features, self._solver()
        start = time.perf_counter()
        check_components(width, len(data.train), math.prod(data.shape))
        # the EM algorithm needs all axes, which are the covariance
        count = width if self.isotropic else min(len(data.train), math.prod(data.shape))
        found = leading_axes(data.train, count, seed=seed)
        mean, (w, noise) = found.mean, solve(found, width)
        d, turn = eigh(w.T @ (w / noise[:, None]))
        w, d = w @ turn.flip(1), d.flip(0)
        gain = (w / noise[:, None]).T / (1 + d[:, None])
        with torch.no_grad():
            encoder.weight.copy_(torch.cat([gain, torch.zeros_like(gain)]))
            encoder.bias.copy_(torch.cat([-gain @ mean, -d.log1p()]))
            decoder.weight.copy_(w)
            decoder.bias.copy_(mean)
        likelihood.std = noise.sqrt().to(decoder.weight).view(data.shape)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)

    def _solver(self) -> Solver:
        """The function that finds loadings W: (P, D) and noise variances (P,) from principal axes and the width."""
        if self.isotropic:
            return self._principal
        from zoo.fitting.factor_analysis import factors  # scikit-learn is imported only where it is needed

        def limited(found: PrincipalAxes, width: int) -> tuple[Tensor, Tensor]:
            w, noise = factors(found.variances, found.axes, width)
            return w, noise.clamp(min=self.least_std**2)

        return limited

    def _principal(self, found: PrincipalAxes, width: int) -> tuple[Tensor, Tensor]:
        noise = found.mean_of_rest(width).clamp(min=self.least_std**2)
        w = found.axes[:width].T * (found.variances[:width] - noise).clamp(min=0).sqrt()
        return w, noise.expand(len(w))


def parts_of(model: Autoencoder) -> tuple[nn.Linear, nn.Linear, FittedGaussianLikelihood]:
    """Encoder's and decoder's only layers, and the likelihood.

    Raises:
        ZooError: the model is a different one.
    """
    layers, bottleneck, likelihood = sole_layers(model), model.bottleneck, model.likelihood
    gaussian = (
        isinstance(bottleneck, DiagonalPosterior)
        and bottleneck.family is FAMILIES["normal"]
        and isinstance(bottleneck.prior, NormalPrior)
    )
    if layers is None or not gaussian or not isinstance(likelihood, FittedGaussianLikelihood):
        raise ZooError(
            "fit=ppca and factor_analysis need network=linear, bottleneck=gaussian_posterior, prior=normal and "
            "likelihood=gaussian_fitted; give another model fit=gradient"
        )
    return *layers, likelihood
