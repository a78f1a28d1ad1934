"""A linear dictionary: what an overcomplete sparse code needs around it to train."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from zoo.networks import check_mirrored
from zoo.types import Shape


class UnitColumns(nn.Module):
    """W -> W with every column scaled to unit length.

    A gradient through it has no part along the column, so no optimiser step is lost on a length that is fixed.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """(P, D) -> (P, D)."""
        return F.normalize(weight, dim=0)


class Analysis(nn.Module):
    """h = W (x - b) + a, with the decoder's bias b as the origin of the code."""

    def __init__(self, synthesis: nn.Linear) -> None:
        super().__init__()
        self.weight = nn.Parameter(synthesis.weight.detach().T.clone())
        self.bias = nn.Parameter(torch.zeros(synthesis.in_features))
        self.origin = synthesis.bias

    @torch.no_grad()
    def start(self, images: Tensor) -> None:
        """Put the origin at the mean of images: (N, C, H, W)."""
        self.origin.copy_(images.flatten(1).mean(0))

    def forward(self, x: Tensor) -> Tensor:
        """(B, P) -> (B, D)."""
        return F.linear(x - self.origin, self.weight, self.bias)


def dictionary(shape: Shape, in_features: int, out_features: int, channels: int) -> tuple[nn.Module, nn.Module]:
    """h = W (x - b) + a, raw = V z + b: unit-norm columns in V, W initialised to V^T, b to the mean image.

    Without the shared start over half of the units of a wide code never become active. L. Gao et al., "Scaling and
    evaluating sparse autoencoders", 2024, arXiv:2406.04093, section 2 and appendix A.

    Raises:
        ZooError: the bottleneck or the likelihood is not as wide on one side as on the other.
    """
    check_mirrored("dictionary", (in_features, out_features), (shape[0], channels))
    synthesis = nn.Linear(out_features, math.prod(shape))
    nn.init.normal_(synthesis.weight)
    nn.init.zeros_(synthesis.bias)
    parametrize.register_parametrization(synthesis, "weight", UnitColumns())
    return (
        nn.Sequential(nn.Flatten(), Analysis(synthesis)),
        nn.Sequential(synthesis, nn.Unflatten(1, shape)),
    )
