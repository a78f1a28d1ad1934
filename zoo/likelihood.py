"""p(x | raw): what the decoder's output means; each class satisfies `zoo.types.Likelihood`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.errors import ZooError


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
        """(B, C, H, W) twice -> (B,), nats per image."""
        # float32 because sums over hundreds of pixels in bf16 lose what distinguishes two models
        error = (raw.float() - x).square() / (2 * self.std**2) + (math.log(self.std) + math.log(2 * math.pi) / 2)
        return (error if weight is None else error * weight).flatten(1).sum(1)

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
        """(B, C, H, W) twice -> (B,), nats per image."""
        error = ((raw.float() - x) / self.std).square() / 2 + (self.std.log() + math.log(2 * math.pi) / 2)
        return (error if weight is None else error * weight).flatten(1).sum(1)

    def mean(self, raw: Tensor) -> Tensor:
        """The decoder's output is the mean."""
        return raw.float()


def _take_shape_of_std(module: FittedGaussian, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Before loading: a fitted std has the images' shape, which a fresh likelihood does not know."""
    if (std := state.get(f"{prefix}std")) is not None:
        module.std = module.std.new_empty(std.shape)
