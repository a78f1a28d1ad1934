"""p(x | raw): what the decoder's output means; each class satisfies `zoo.types.Likelihood`.

Images (B, C, H, W) stand beside the outputs of any number of samples each, (K*B, C, H, W), sample by sample.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import ZooError

LEAST_VARIANCE = 1e-6  # a quarter of a grey level of 256: what is rounded away holds no likelihood


class Bernoulli(nn.Module):
    """p(x | raw) = prod_pixels sigmoid(raw)^x (1 - sigmoid(raw))^(1 - x), of binary pixels: x > 0.5 counts as 1.

    A probability, where the cross-entropy of grey pixels is none. The encoder should see the same pixels:
    corruption=binarise while fitting; the evaluator's bounds are of binary images as well.

    Attributes:
        binary: tells the evaluator.
    """

    binary = True

    def channels(self, image_channels: int) -> int:
        """One logit per channel."""
        return image_channels

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(K*B, C, H, W) and (B, C, H, W) -> (K*B,), nats per image."""
        # 1 - sigmoid(raw) = sigmoid(-raw): one function of one product, where the cross-entropy takes three
        return summed(F.softplus(by_sample(raw, x) * torch.where(x > 0.5, -1.0, 1.0)), weight)

    def mean(self, raw: Tensor) -> Tensor:
        """The probability of a white pixel."""
        return raw.float().sigmoid()


class OptimalGaussian(nn.Module):
    """p(x | raw) = N(x; raw, std^2) with the one std that makes the images of a batch most probable.

    std^2 = mean over images and pixels of (x - raw)^2, so that nll = P / 2 (1 + log(2 pi std^2)) in the mean over the
    batch, P pixels. While fitting, std is that of the batch, and a running mean of its square is kept, which stands for
    it in evaluation. O. Rybkin, K. Daniilidis, S. Levine, "Simple and effective VAE training with calibrated decoders",
    2021, arXiv:2006.13202, eq. 5 and 6.

    Args:
        momentum: share of the newest batch in the running mean.

    Attributes:
        variance: std^2, in units of the squared pixel range.
    """

    variance: Tensor

    def __init__(self, momentum: float = 0.05) -> None:
        super().__init__()
        if not 0 < momentum <= 1:
            raise ZooError(f"likelihood.momentum={momentum}: a share of the newest batch is in (0, 1]")
        self.momentum = momentum
        self.register_buffer("variance", torch.tensor(0.2**2))

    def channels(self, image_channels: int) -> int:
        """One mean per channel."""
        return image_channels

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(K*B, C, H, W) and (B, C, H, W) -> (K*B,), nats per image."""
        squares = squared(raw, x)
        weight = torch.ones_like(squares) if weight is None else weight.expand_as(squares)
        variance = self.variance
        if self.training:
            variance = ((squares * weight).sum() / weight.sum()).clamp(min=LEAST_VARIANCE)
            self.variance.lerp_(variance.detach(), self.momentum)
        return summed((squares / variance + variance.log() + math.log(2 * math.pi)) / 2, weight)

    def mean(self, raw: Tensor) -> Tensor:
        """The decoder's output is the mean."""
        return raw.float()


class Gaussian(nn.Module):
    """p(x | raw) = N(x; raw, std^2), pixel by pixel, with one fixed std.

    nll = sum_pixels weight * ((x - raw)^2 / (2 std^2) + log std + log(2 pi) / 2). The std is the exchange rate between
    squared error and nats of penalty: at 1 the reconstruction of images in [0, 1] drowns in a VAE's KL term.

    Args:
        std: in units of the pixel range [0, 1].
    """

    def __init__(self, std: float = 0.2) -> None:
        super().__init__()
        if not std > 0:
            raise ZooError(f"likelihood.std={std}: a standard deviation is greater than 0")
        self.std = std

    def channels(self, image_channels: int) -> int:
        """One mean per channel."""
        return image_channels

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(K*B, C, H, W) and (B, C, H, W) -> (K*B,), nats per image."""
        squares = squared(raw, x)
        pixels = x[0].numel() if weight is None else summed(torch.ones_like(squares), weight)
        return summed(squares, weight) / (2 * self.std**2) + pixels * (math.log(self.std) + math.log(2 * math.pi) / 2)

    def mean(self, raw: Tensor) -> Tensor:
        """The decoder's output is the mean."""
        return raw.float()


class FittedGaussian(nn.Module):
    """p(x | raw) = N(x; raw, std^2) with the std that a closed-form fit found, one for all pixels or one for each.

    Attributes:
        std: (C, H, W), or a scalar, in units of the pixel range [0, 1]; 0.2 until the fit sets it.
    """

    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("std", torch.tensor(0.2))
        self.register_load_state_dict_pre_hook(_take_shape_of_std)  # type: ignore[no-untyped-call]

    def channels(self, image_channels: int) -> int:
        """One mean per channel."""
        return image_channels

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """(K*B, C, H, W) and (B, C, H, W) -> (K*B,), nats per image."""
        squares = ((by_sample(raw, x) - x) / self.std).square()
        return summed(squares / 2 + (self.std.log() + math.log(2 * math.pi) / 2), weight)

    def mean(self, raw: Tensor) -> Tensor:
        """The decoder's output is the mean."""
        return raw.float()


def by_sample(raw: Tensor, x: Tensor) -> Tensor:
    """Decoder outputs (K*B, C, H, W) of images x: (B, C, H, W) as (K, B, C, H, W).

    In float32, because sums over hundreds of pixels in bf16 lose what distinguishes two models.
    """
    return raw.float().view(-1, *x.shape)


def squared(raw: Tensor, x: Tensor) -> Tensor:
    """(x - raw)^2, sample by sample: (K, B, C, H, W)."""
    raw = by_sample(raw, x)
    # torch takes this loss in one pass forth and one back, a difference and its square in two and four
    return F.mse_loss(raw, x.expand_as(raw), reduction="none")


def summed(terms: Tensor, weight: Tensor | None) -> Tensor:
    """Sum over pixels, weighted where there is a weight, of terms: (K, B, C, H, W) -> (K*B,)."""
    return (terms if weight is None else terms * weight).flatten(2).sum(2).flatten()


def _take_shape_of_std(module: FittedGaussian, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Before loading: a fitted std has the images' shape, which a fresh likelihood does not know."""
    if (std := state.get(f"{prefix}std")) is not None:
        module.std = module.std.new_empty(std.shape)
