"""Likelihoods of the test images, where a model has one."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from zoo.evaluation.bounds import (
    Bounds,
    Stochastic,
    Variational,
    importance_bounds,
    linear_gaussian_log_likelihood,
    marginal_log_likelihood,
)
from zoo.evaluation.metrics.registry import NotApplicable
from zoo.evaluation.references import BATCH
from zoo.evaluation.subject.basis import Basis, in_batches
from zoo.likelihood import FittedGaussian, Gaussian

SEED = 0


class Likely(Basis):
    """Bounds on the log-likelihood of the test images, or the log-likelihood itself."""

    @property
    def stochastic(self) -> Stochastic:
        """The bottleneck, if it has a distribution of codes; NotApplicable otherwise."""
        if not isinstance(self.model.bottleneck, Stochastic):
            raise NotApplicable("the code has no distribution: the model is not variational")
        return self.model.bottleneck

    @property
    def judged(self) -> Tensor:
        """The test images as the likelihood takes them: binarised at 0.5 where it is one of binary pixels."""
        return (self.x > 0.5).float() if getattr(self.model.likelihood, "binary", False) else self.x

    @cached_property
    def bounds(self) -> Bounds:
        """Bounds on the log-likelihood of the test images from 50 samples each."""
        return importance_bounds(self.model, self.stochastic, self.judged.to(self.device), 50, SEED)

    @cached_property
    def tight_bounds(self) -> Bounds:
        """Bounds on the log-likelihood of the test images from 5,000 samples each."""
        return importance_bounds(self.model, self.stochastic, self.judged.to(self.device), 5_000, SEED)

    @property
    def posterior_kl(self) -> Tensor:
        """KL from N(0, 1) of each unit's posterior for each test image: (N, D), in nats."""
        bottleneck, standard = self.stochastic, Normal(0.0, 1.0)
        if not isinstance(bottleneck, Variational):
            raise NotApplicable("the code's posterior is not one distribution per unit")
        posteriors = (bottleneck.posterior(self.model.encoder(x.to(self.device))) for x in in_batches(self.judged))
        return torch.cat([kl_divergence(q, standard).cpu() for q in posteriors])

    @property
    def exact_log_likelihood(self) -> Tensor:
        """Log-likelihood of the test images under the Gaussian that a linear model stands for: (N,).

        That is the model's own, where it has a prior and a noise, and otherwise that of a code with orthonormal axes.

        Raises:
            NotApplicable: the decoder is not linear; the axes are not orthonormal, or none are left.
        """
        width, shape = self.test_codes.shape[1], self.x.shape[1:]
        origin = self.decode(torch.zeros(1, width))
        axes = (self.decode(torch.eye(width)) - origin).flatten(1)
        decoded = (self.x_hat - origin).flatten(1), self.test_codes @ axes
        if close(*decoded) and (std := self.own_noise) is not None:
            return marginal_log_likelihood(self.x.flatten(1), axes, origin.flatten(), std)
        z = ((self.x - origin).flatten(1) @ axes.T, self.test_codes)
        if not all(close(*pair) for pair in (z, decoded, (axes @ axes.T, torch.eye(width)))):
            raise NotApplicable("the code is not linear with orthonormal axes, so it stands for no Gaussian")
        if width >= shape.numel():
            raise NotApplicable("the code is as wide as the image, so nothing is left to tell the noise from")
        if torch.linalg.matrix_rank(self.train_codes.double()) < width:
            raise NotApplicable("some direction of the code never varies, so it stands for no Gaussian")
        lost = (self.x - self.x_hat).square().flatten(1).sum(1)
        train = self.data.train
        seen = sum((x - origin).square().sum(dtype=torch.float64).item() for x in train.batches(BATCH)) / len(train)
        train_lost = seen - self.train_codes.double().square().sum(1).mean().item()
        return linear_gaussian_log_likelihood(self.train_codes, self.test_codes, train_lost, lost, shape.numel())

    @property
    def own_noise(self) -> Tensor | None:
        """Std of a model with standard normal codes and Gaussian pixels: (P,) or a scalar; None for other models."""
        bottleneck, likelihood = self.model.bottleneck, self.model.likelihood
        if not isinstance(bottleneck, Variational) or not isinstance(likelihood, Gaussian | FittedGaussian):
            return None
        z = self.test_codes
        if not close(bottleneck.log_prior(z.to(self.device)).cpu(), -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)):
            return None
        return torch.as_tensor(likelihood.std).flatten().cpu()


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same but for the rounding of float32 through a few layers."""
    return torch.allclose(a, b, rtol=1e-3, atol=1e-3)
