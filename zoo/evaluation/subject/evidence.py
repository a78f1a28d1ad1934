"""Log-likelihoods of the test images, exact or bounded."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal, kl_divergence

from zoo.evaluation.batches import BATCH, in_batches
from zoo.evaluation.measures.bounds import (
    Bounds,
    importance_bounds,
    linear_gaussian_log_likelihood,
    marginal_log_likelihood,
)
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import Encoded
from zoo.types import DrawsCodes, HasPosterior

SEED = 0
UNIT_PRIORS = (Normal(0.0, 1.0), Laplace(0.0, 1.0))


class Evidence(Encoded):
    """Bounds on the log-likelihood of the test images, or the log-likelihood itself."""

    @property
    def draws_codes(self) -> DrawsCodes:
        """The bottleneck, if it samples codes of an image; NotApplicable otherwise."""
        if not isinstance(self.model.bottleneck, DrawsCodes):
            raise NotApplicable("the model is not variational: its code has no posterior")
        return self.model.bottleneck

    @property
    def target(self) -> Tensor:
        """The test images as the likelihood evaluates them: (N, C, H, W), binarised for one of binary pixels."""
        return self.model.likelihood.target(self.x)

    @cached_property
    def bounds(self) -> Bounds:
        """Bounds on the log-likelihood of the test images from 50 samples each."""
        return importance_bounds(self.model, self.draws_codes, self.target.to(self.device), 50, SEED)

    @cached_property
    def tight_bounds(self) -> Bounds:
        """Bounds on the log-likelihood of the test images from 5,000 samples each."""
        return importance_bounds(self.model, self.draws_codes, self.target.to(self.device), 5_000, SEED)

    @property
    def posterior_kl(self) -> Tensor:
        """KL divergence of each unit's posterior from its prior for each test image: (N, D), in nats."""
        bottleneck = self.model.bottleneck
        if not isinstance(bottleneck, HasPosterior):
            _ = self.draws_codes
            raise NotApplicable("the posterior is not a product of one distribution per unit")
        prior = next((each for each in UNIT_PRIORS if self.prior_is(bottleneck, each)), None)
        if prior is None:
            raise NotApplicable("the prior is not a product of one standard distribution per unit")
        posteriors = (bottleneck.posterior(self.model.encoder(x.to(self.device))) for x in in_batches(self.target))
        return torch.cat([kl_divergence(q, prior).cpu() for q in posteriors])

    def prior_is(self, bottleneck: HasPosterior, unit: Distribution) -> bool:
        """Whether a bottleneck's prior is the product of one and the same distribution per unit."""
        z = self.test_codes[:BATCH]
        log_prob: Tensor = unit.log_prob(z)
        return close(bottleneck.log_prior(z.to(self.device)).cpu(), log_prob.sum(1))

    @property
    def exact_log_likelihood(self) -> Tensor:
        """Log-likelihood of the test images under the Gaussian that a linear model defines: (N,), in nats.

        With a standard normal prior and Gaussian noise this is the model's own marginal likelihood; otherwise it is
        that of probabilistic PCA on the axes of the decoder, which have to be orthonormal.

        Raises:
            NotApplicable: the decoder is not linear, or its axes are not orthonormal or leave no noise to estimate.
        """
        width, shape = self.test_codes.shape[1], self.x.shape[1:]
        origin = self.decode(torch.zeros(1, width))
        axes = (self.decode(torch.eye(width)) - origin).flatten(1)
        decoded = (self.x_hat - origin).flatten(1), self.test_codes @ axes
        if close(*decoded) and (std := self.own_noise) is not None:
            return marginal_log_likelihood(self.x.flatten(1), axes, origin.flatten(), std)
        z = ((self.x - origin).flatten(1) @ axes.T, self.test_codes)
        if not all(close(*pair) for pair in (z, decoded, (axes @ axes.T, torch.eye(width)))):
            raise NotApplicable("undefined: it needs a linear decoder with orthonormal columns")
        if width >= shape.numel():
            raise NotApplicable("undefined: the code is as wide as the image, so no residual is left to estimate noise")
        if torch.linalg.matrix_rank(self.train_codes.double()) < width:
            raise NotApplicable("undefined: the covariance of the training codes is singular")
        lost = (self.x - self.x_hat).square().flatten(1).sum(1)
        train = self.data.train
        power = sum((x - origin).square().sum(dtype=torch.float64).item() for x in train.batches(BATCH)) / len(train)
        train_lost = power - self.train_codes.double().square().sum(1).mean().item()
        return linear_gaussian_log_likelihood(self.train_codes, self.test_codes, train_lost, lost, shape.numel())

    @property
    def own_noise(self) -> Tensor | None:
        """Std of a model with standard normal codes and Gaussian pixels: (P,) or (1,); None for other models."""
        bottleneck, std = self.model.bottleneck, self.model.likelihood.noise_std()
        if not isinstance(bottleneck, HasPosterior) or std is None:
            return None
        return std.flatten().cpu() if self.prior_is(bottleneck, UNIT_PRIORS[0]) else None


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal up to the rounding of float32 through a few layers."""
    return torch.allclose(a, b, rtol=1e-3, atol=1e-3)
