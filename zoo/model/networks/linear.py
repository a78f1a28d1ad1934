"""Linear encoder and decoder, as in PCA; the weights may be tied."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.model.networks import check_mirrored
from zoo.model.networks.last_layer import LastLinear
from zoo.types import Shape, StartsAtMean


class Transposed(nn.Module, StartsAtMean):
    """z -> z W + b, where W is the weight of another layer, h = x W^T: the decoder of a tied autoencoder.

    The weight is the same `Parameter`, so that the gradients of both layers add up in it.

    Args:
        layer: the layer whose weight is shared.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bias = nn.Parameter(torch.zeros(layer.in_features))

    def forward(self, z: Tensor) -> Tensor:
        """(B, D) -> (B, P)."""
        return F.linear(z, self.weight.T, self.bias)

    @torch.no_grad()
    def start_at_mean(self, mean: Tensor, raw_of_mean: Callable[[Tensor], Tensor]) -> None:
        """One bias per pixel of the mean image: (C, H, W)."""
        self.bias.copy_(raw_of_mean(mean).flatten())


def linear(
    shape: Shape, in_features: int, out_features: int, channels: int, tied: bool = False
) -> tuple[nn.Module, nn.Module]:
    """h = W x + a, raw = V z + b on flattened images; with `tied`, V = W^T.

    With squared error and a gradient fit the optimum spans the principal subspace: P. Baldi, K. Hornik, "Neural
    networks and principal component analysis", Neural Networks 2, 1989.

    Args:
        shape: (C, H, W) of the images.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input.
        channels: channels of the decoder's output.
        tied: the decoder's weight is the encoder's, transposed.

    Raises:
        ZooError: `tied`, and the bottleneck's widths or the numbers of channels differ.
    """
    if tied:
        check_mirrored("linear_tied", (in_features, out_features), (shape[0], channels))
    encoder = nn.Linear(math.prod(shape), in_features)
    decoder = Transposed(encoder) if tied else LastLinear(out_features, channels * shape[1] * shape[2])
    return (
        nn.Sequential(nn.Flatten(), encoder),
        nn.Sequential(decoder, nn.Unflatten(1, (channels, *shape[1:]))),
    )
