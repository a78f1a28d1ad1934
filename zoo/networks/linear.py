"""Linear encoder and decoder: the space in which PCA is the best there is."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.networks import check_mirrored
from zoo.types import Shape


class Transposed(nn.Module):
    """z -> z W + b, where W is the weight of another layer, h = x W^T: the decoder of a tied autoencoder.

    The weight is the same `Parameter`, so both layers' gradients add up in it.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.weight = layer.weight
        self.bias = nn.Parameter(torch.zeros(layer.in_features))

    def forward(self, z: Tensor) -> Tensor:
        """(B, D) -> (B, P)."""
        return F.linear(z, self.weight.T, self.bias)


def linear(
    shape: Shape, in_features: int, out_features: int, channels: int, tied: bool = False
) -> tuple[nn.Module, nn.Module]:
    """h = W x + a, raw = V z + b on flattened images; with `tied`, V = W^T.

    With squared error and a gradient fit the optimum spans the principal subspace: P. Baldi, K. Hornik, "Neural
    networks and principal component analysis", Neural Networks 2, 1989.

    Raises:
        ZooError: `tied`, and the bottleneck or the likelihood is not as wide on one side as on the other.
    """
    if tied:
        check_mirrored("linear_tied", (in_features, out_features), (shape[0], channels))
    encoder = nn.Linear(math.prod(shape), in_features)
    decoder = Transposed(encoder) if tied else nn.Linear(out_features, channels * shape[1] * shape[2])
    return (
        nn.Sequential(nn.Flatten(), encoder),
        nn.Sequential(decoder, nn.Unflatten(1, (channels, *shape[1:]))),
    )
