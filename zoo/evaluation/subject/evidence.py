"""Log-likelihoods of the test images, exact or bounded."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import Distribution, Laplace, Normal, kl_divergence

from zoo.evaluation.batches import BATCH, in_batches
from zoo.evaluation.measures.bounds import (
    Bounds,
    calibrated_std,
    encoder_output,
    importance_bounds,
    linear_gaussian_log_likelihood,
    marginal_log_likelihood,
)
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import Encoded
from zoo.model.likelihoods import FittedGaussianLikelihood, GaussianLikelihood, OptimalGaussianLikelihood
from zoo.model.linear_decoder import columns
from zoo.types import DrawsCodes, HasPosterior, Likelihood

SEED, CALIBRATED = 0, 2_000  # validation images that the std of Gaussian pixels is found from, at most
ROUNDING = 1e-6  # of single precision: what is smaller, relative to the whole, is a residue of rounding
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
        """The test images as the likelihood evaluates them: (N, C, H, W).

        Binarised for one of binary pixels. Where it is a density and the images are stored as whole numbers, uniform
        noise of one level is added: the density of such images is bounded, and minus its logarithm is a number of bits
        that they can be coded in. L. Theis, A. van den Oord, M. Bethge, "A note on the evaluation of generative
        models", 2015, arXiv:1511.01844, section 3.1.
        """
        return self.as_evaluated(self.x)

    def as_evaluated(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) as the likelihood evaluates them, see `target`."""
        return self.dequantised(self.model.likelihood.target(x))

    def dequantised(self, x: Tensor) -> Tensor:
        """Images with noise within one level about their grey level; as they are where there are no levels."""
        if self.level is None:
            return x
        noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(SEED))
        return x + (noise - 0.5) * self.level

    @property
    def level(self) -> float | None:
        """The distance of two grey levels, of images that are stored as whole numbers under a density; else None."""
        pixels, scale = self.data.test.pixels, self.data.test.scale
        if self.data.kind != "image" or self.model.likelihood.discrete or pixels.dtype.is_floating_point:
            return None
        return 1 / scale if isinstance(scale, float) else None

    @property
    def pixel_level(self) -> float:
        """`level`; NotApplicable where there is none."""
        if self.level is None:
            raise NotApplicable("the samples are not stored as whole numbers, so that no number of bits describes them")
        return self.level

    @cached_property
    def likelihood(self) -> Likelihood:
        """The model's likelihood, its Gaussian noise as the test images need it.

        A std that was set, or learned during the fit, is replaced by the best one on validation images. One that was
        fitted in closed form stays, plus the variance of the noise added to the test images.
        """
        own = self.model.likelihood
        if isinstance(own, GaussianLikelihood | OptimalGaussianLikelihood):
            images = self.dequantised(self.data.validation.spaced(CALIBRATED)[:]).to(self.device)
            return GaussianLikelihood(calibrated_std(self.model, self.draws_codes, images, 8, SEED))
        if isinstance(own, FittedGaussianLikelihood):
            noisy = FittedGaussianLikelihood()
            noisy.std = (own.std.square() + self.added_variance).sqrt()
            return noisy
        return own

    @property
    def added_variance(self) -> float:
        """The variance of the uniform noise that `dequantised` adds to a pixel."""
        return 0.0 if self.level is None else self.level**2 / 12

    def with_likelihood(self, kind: str) -> Evidence:
        """Itself, if the model gives samples a "probability" or a "density", as required; NotApplicable otherwise."""
        own, see = ("probability", "elbo") if self.model.likelihood.discrete else ("density", "density_elbo")
        if kind != own:
            _ = self.draws_codes
            raise NotApplicable(f"the model gives samples a {own} and no {kind}: see {see} and its like")
        return self

    @property
    def probability_bounds(self) -> Bounds:
        """Bounds on the log-probability of the test samples from 50 samples each."""
        return self.with_likelihood("probability").bounds

    @property
    def density_bounds(self) -> Bounds:
        """Bounds on the log-density of the test samples from 50 samples each."""
        return self.with_likelihood("density").bounds

    @property
    def tight_probability_bounds(self) -> Bounds:
        """Bounds on the log-probability of the test samples from 5,000 samples each."""
        return self.with_likelihood("probability").tight_bounds

    @property
    def tight_density_bounds(self) -> Bounds:
        """Bounds on the log-density of the test samples from 5,000 samples each."""
        return self.with_likelihood("density").tight_bounds

    @cached_property
    def bounds(self) -> Bounds:
        """Bounds on the log-likelihood of the test images from 50 samples each."""
        return self.bounds_of(50)

    @cached_property
    def tight_bounds(self) -> Bounds:
        """Bounds on the log-likelihood of the test images from 5,000 samples each."""
        return self.bounds_of(5_000)

    def bounds_of(self, samples: int) -> Bounds:
        """Bounds from so many samples of each image's posterior."""
        return self.bounds_on(self.x, samples)

    def bounds_on(self, x: Tensor, samples: int) -> Bounds:
        """Bounds on the log-likelihood of images x: (N, C, H, W) from so many samples of each one's posterior."""
        target = self.as_evaluated(x).to(self.device)
        return importance_bounds(self.model, self.draws_codes, target, samples, SEED, self.likelihood)

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
        outputs = (encoder_output(self.model, x.to(self.device)) for x in in_batches(self.target))
        return torch.cat([kl_divergence(bottleneck.posterior(h), prior).cpu() for h in outputs])

    def prior_is(self, bottleneck: HasPosterior, unit: Distribution) -> bool:
        """Whether a bottleneck's prior is the product of one and the same distribution per unit."""
        z = self.test_codes[:BATCH]
        log_prob: Tensor = unit.log_prob(z)
        return close(bottleneck.log_prior(z.to(self.device)).cpu(), log_prob.sum(1))

    @property
    def exact_log_likelihood(self) -> Tensor:
        """Log-density of the test images under the Gaussian that a linear model defines: (N,), in nats.

        With a standard normal prior and Gaussian noise this is the model's own marginal likelihood; otherwise it is
        that of probabilistic PCA on the axes of the decoder, which have to be orthonormal.

        Raises:
            NotApplicable: the decoder is not linear, or its axes are not orthonormal or leave no noise to estimate.
        """
        width, shape = self.test_codes.shape[1], self.x.shape[1:]
        origin = self.decode(torch.zeros(1, width))
        axes = columns(self.decode, width, origin).flatten(1)
        decoded = (self.x_hat - origin).flatten(1), self.test_codes @ axes
        target, added = self.target.flatten(1), self.added_variance
        if close(*decoded) and (std := self.own_noise) is not None:
            return marginal_log_likelihood(target, axes, origin.flatten(), (std.square() + added).sqrt())
        z = ((self.x - origin).flatten(1) @ axes.T, self.test_codes)
        if not all(close(*pair) for pair in (z, decoded, (axes @ axes.T, torch.eye(width)))):
            raise NotApplicable("undefined: it needs a linear decoder with orthonormal columns")
        if width >= shape.numel():
            raise NotApplicable("undefined: the code is as wide as the image, so no residual is left to estimate noise")
        if torch.linalg.matrix_rank(self.train_codes.double(), rtol=10 * ROUNDING) < width:
            raise NotApplicable("undefined: the covariance of the training codes is singular")
        codes = (target - origin.flatten()) @ axes.T
        lost = (target - origin.flatten()).square().sum(1) - codes.square().sum(1)
        train = self.data.train
        power = sum((x - origin).square().sum(dtype=torch.float64).item() for x in train.batches(BATCH)) / len(train)
        train_lost = power - self.train_codes.double().square().sum(1).mean().item()
        if added == 0 and train_lost <= ROUNDING * power:
            raise NotApplicable("undefined: the code loses nothing of the training samples, which leaves no noise")
        return linear_gaussian_log_likelihood(self.train_codes, codes, train_lost, lost, shape.numel(), added)

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
