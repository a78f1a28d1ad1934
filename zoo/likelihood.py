"""p(x | raw): what the decoder's output means; each class satisfies `zoo.types.Likelihood`."""

from __future__ import annotations

import math

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
