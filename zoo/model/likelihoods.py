"""Likelihoods p(x | raw) of images given the decoder's output; each class is a `zoo.types.Likelihood`.

For images (B, C, H, W), decoder outputs may hold K samples of each image, (K*B, C, H, W), sample by sample.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_positive, is_finite
from zoo.errors import ZooError
from zoo.types import Likelihood, Serves, StartsFromData

LEAST_VARIANCE = 1e-6  # a std of a quarter of a grey level of 256, which rounding hides


class BernoulliLikelihood(Likelihood, Serves):
    """p(x | raw) = prod_pixels sigmoid(raw)^x (1 - sigmoid(raw))^(1 - x) of binary pixels; x is rounded at 0.5.

    With binary pixels this is a probability, unlike the cross-entropy of grey pixels. Train with corruption=binarise,
    so that the encoder receives the same pixels; the evaluator's bounds are those of binary images, too.
    """

    kinds = ("image",)
    discrete = True

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(K*B, C, H, W) and (B, C, H, W) -> (K*B,), nats per image."""
        # 1 - sigmoid(raw) = sigmoid(-raw): one function of one product; the cross-entropy needs three
        return summed(F.softplus(by_sample(raw, x) * torch.where(x > 0.5, -1.0, 1.0)), weight)

    def target(self, x: Tensor) -> Tensor:
        """1 where a pixel is above 0.5, else 0."""
        return (x > 0.5).to(x.dtype)

    def mean(self, raw: Tensor) -> Tensor:
        """The probability that a pixel is 1."""
        return raw.float().sigmoid()

    def raw_of_mean(self, mean: Tensor) -> Tensor:
        """The logit, of probabilities within [0.001, 0.999], as in the code of Burda et al. 2015."""
        return mean.logit(0.001)


class MultinomialLikelihood(Likelihood, Serves, StartsFromData):
    """p(x | raw) = n! / prod_i x_i! prod_i p_i^x_i of counts x with n = sum_i x_i, and p = softmax(raw).

    The number n of a sample's counts is taken as given. For decoded samples it is the mean number of the training
    samples. D. Liang, R. Krishnan, M. Hoffman, T. Jebara, "Variational autoencoders for collaborative filtering", 2018,
    arXiv:1802.05814, eq. 2 (which leaves out the factor without parameters).

    Attributes:
        total: mean number of counts of a training sample.
    """

    kinds = ("counts",)
    discrete = True
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.tensor(1.0))

    def start_from_data(self, images: Tensor) -> None:
        """Take the mean number of counts of (N, 1, 1, D)."""
        self.total.copy_(images.flatten(1).sum(1).mean())

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(K*B, 1, 1, D) and (B, 1, 1, D) -> (K*B,), nats per sample."""
        log_p = by_sample(raw, x).flatten(2).log_softmax(2).view(-1, *x.shape)
        factor = torch.lgamma(x.flatten(1).sum(1) + 1) - torch.lgamma(x + 1).flatten(1).sum(1)
        return summed(-x * log_p, weight) - factor.repeat(len(log_p))

    def mean(self, raw: Tensor) -> Tensor:
        """Expected counts of a sample with `total` counts."""
        return self.total * raw.float().flatten(1).softmax(1).view(raw.shape)

    def raw_of_mean(self, mean: Tensor) -> Tensor:
        """Log shares of the features in all counts, each of 0.001 / D or more."""
        least = 0.001 / mean.numel()
        return (mean / mean.sum().clamp(min=least)).clamp(min=least).log()


class OptimalGaussianLikelihood(Likelihood):
    """p(x | raw) = N(x; raw, std^2) with the single std that maximises the likelihood of a batch.

    std^2 = mean over images and pixels of (x - raw)^2, so that the batch's mean nll is P / 2 (1 + log(2 pi std^2)) for
    P pixels. In training, `nll` uses the batch's std, and `observe` updates a running mean of std^2, which evaluation
    uses. O. Rybkin, K. Daniilidis, S. Levine, "Simple and effective VAE training with calibrated decoders", 2021,
    arXiv:2006.13202, eq. 5 and 6.

    Args:
        momentum: weight of the newest batch in the running mean.

    Attributes:
        variance: the running mean of std^2, in units of the squared pixel range.

    Raises:
        ZooError: momentum is not in (0, 1].
    """

    variance: Tensor

    def __init__(self, momentum: float = 0.05) -> None:
        super().__init__()
        if not is_finite(momentum) or not 0 < momentum <= 1:
            raise ZooError(f"likelihood.momentum={momentum}: must be in (0, 1]")
        self.momentum = momentum
        self.register_buffer("variance", torch.tensor(0.2**2))

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(K*B, C, H, W) and (B, C, H, W) -> (K*B,), nats per image."""
        squares = squared(raw, x)
        weight = torch.ones_like(squares) if weight is None else weight.expand_as(squares)
        variance = optimal_variance(squares, weight) if self.training else self.variance
        return summed((squares / variance + variance.log() + math.log(2 * math.pi)) / 2, weight)

    @torch.no_grad()
    def observe(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> None:
        """Move the running mean towards the batch's std^2."""
        squares = squared(raw, x)
        weight = torch.ones_like(squares) if weight is None else weight.expand_as(squares)
        self.variance.lerp_(optimal_variance(squares, weight), self.momentum)

    def noise_std(self) -> Tensor:
        """The running estimate of the std: a scalar."""
        return self.variance.sqrt()

    def mean(self, raw: Tensor) -> Tensor:
        """The decoder's output is the mean."""
        return raw.float()

    def raw_of_mean(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean


class GaussianLikelihood(Likelihood):
    """p(x | raw) = N(x; raw, std^2), pixel by pixel, with one fixed std.

    nll = sum_pixels weight * ((x - raw)^2 / (2 std^2) + log std + log(2 pi) / 2). The std sets the weight of the
    squared error relative to penalties in nats: with std 1 and images in [0, 1], a VAE's KL term outweighs the
    reconstruction.

    Args:
        std: standard deviation, in units of the pixel range [0, 1].

    Raises:
        ZooError: a std that is not above 0, or not finite.
    """

    def __init__(self, std: float = 0.2) -> None:
        super().__init__()
        self.std = check_positive(std, "likelihood.std")

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(K*B, C, H, W) and (B, C, H, W) -> (K*B,), nats per image."""
        squares = squared(raw, x)
        pixels = x[0].numel() if weight is None else summed(torch.ones_like(squares), weight)
        return summed(squares, weight) / (2 * self.std**2) + pixels * (math.log(self.std) + math.log(2 * math.pi) / 2)

    def noise_std(self) -> Tensor:
        """The fixed std: a scalar."""
        return torch.tensor(self.std)

    def mean(self, raw: Tensor) -> Tensor:
        """The decoder's output is the mean."""
        return raw.float()

    def raw_of_mean(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean


class FittedGaussianLikelihood(Likelihood):
    """p(x | raw) = N(x; raw, std^2) with a std that a closed-form fit sets, one for all pixels or one per pixel.

    Attributes:
        std: (C, H, W), or a scalar, in units of the pixel range [0, 1]; 0.2 before the fit.
    """

    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("std", torch.tensor(0.2))
        self.register_load_state_dict_pre_hook(_take_shape_of_std)  # type: ignore[no-untyped-call]

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(K*B, C, H, W) and (B, C, H, W) -> (K*B,), nats per image."""
        squares = ((by_sample(raw, x) - x) / self.std).square()
        return summed(squares / 2 + (self.std.log() + math.log(2 * math.pi) / 2), weight)

    def noise_std(self) -> Tensor:
        """The fitted std: (C, H, W), or a scalar."""
        return self.std

    def mean(self, raw: Tensor) -> Tensor:
        """The decoder's output is the mean."""
        return raw.float()

    def raw_of_mean(self, mean: Tensor) -> Tensor:
        """The mean itself."""
        return mean


def optimal_variance(squares: Tensor, weight: Tensor) -> Tensor:
    """The weighted mean of squared errors (K, B, C, H, W), with a lower limit: the variance of largest likelihood."""
    return ((squares * weight).sum() / weight.sum()).clamp(min=LEAST_VARIANCE)


def by_sample(raw: Tensor, x: Tensor) -> Tensor:
    """Decoder outputs (K*B, C, H, W) of images x: (B, C, H, W) as (K, B, C, H, W).

    In float32: sums over hundreds of pixels in bf16 are too coarse to compare models.
    """
    return raw.float().view(-1, *x.shape)


def squared(raw: Tensor, x: Tensor) -> Tensor:
    """(x - raw)^2, sample by sample: (K, B, C, H, W)."""
    raw = by_sample(raw, x)
    # one pass forward and one backward in torch; a difference and its square need two and four
    return F.mse_loss(raw, x.expand_as(raw), reduction="none")


def summed(terms: Tensor, weight: Tensor | None) -> Tensor:
    """Sum over pixels, weighted where there is a weight, of terms: (K, B, C, H, W) -> (K*B,)."""
    return (terms if weight is None else terms * weight).flatten(2).sum(2).flatten()


def _take_shape_of_std(module: FittedGaussianLikelihood, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Before loading, give `std` the shape of the stored one, which a new likelihood does not know."""
    if (std := state.get(f"{prefix}std")) is not None:
        module.std = module.std.new_empty(std.shape)
