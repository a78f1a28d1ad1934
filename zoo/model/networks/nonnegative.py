"""A linear decoder without offset, and the non-negative code of least squared error as encoder."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.checks import check_count
from zoo.model.networks import check_mirrored
from zoo.types import Shape

TOLERANCE = 1e-6  # change of a code, relative to the largest, below which the search ends


class NonnegativeLeastSquares(nn.Module):
    """z = argmin_{z >= 0} |x - V z|^2 for the decoder's V; it has no weights of its own, and no gradient.

    By coordinate descent: unit after unit is set to its optimum given the others, z_i += (V^T (x - V z))_i / |v_i|^2,
    and at least to 0. V. Franc, V. Hlaváč, M. Navara, "Sequential coordinate-wise algorithm for the non-negative least
    squares problem", 2005.

    Args:
        parts: the decoder's layer.
        sweeps: over all units, at most.
    """

    def __init__(self, parts: nn.Linear, sweeps: int) -> None:
        super().__init__()
        self.parts, self.sweeps = parts, sweeps

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """(B, P) -> (B, D)."""
        v = self.parts.weight.float()
        gram, projected = v.T @ v, x.float() @ v
        size = gram.diagonal().clamp(min=torch.finfo(gram.dtype).tiny)
        z = torch.zeros_like(projected)
        for _ in range(self.sweeps):
            before = z.clone()
            for unit in range(z.shape[1]):
                gap = projected[:, unit] - z @ gram[:, unit]
                z[:, unit] = (z[:, unit] + gap / size[unit]).clamp(min=0)
            if (z - before).abs().max() <= TOLERANCE * z.max():
                break
        return z


def nonnegative(
    shape: Shape, in_features: int, out_features: int, channels: int, sweeps: int = 100
) -> tuple[nn.Module, nn.Module]:
    """raw = V z; the encoder searches the non-negative z of least squared error.

    Args:
        shape: (C, H, W) of the samples.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input, equal to `in_features`.
        channels: channels of the decoder's output, equal to C.
        sweeps: of the encoder over all units, at most.

    Raises:
        ZooError: the bottleneck's widths or the numbers of channels differ; fewer than one sweep.
    """
    check_mirrored("nonnegative", (in_features, out_features), (shape[0], channels))
    parts = nn.Linear(out_features, math.prod(shape), bias=False)
    nn.init.uniform_(parts.weight, 0, 1 / math.sqrt(out_features))
    encoder = NonnegativeLeastSquares(parts, check_count(sweeps, "network.sweeps"))
    return nn.Sequential(nn.Flatten(), encoder), nn.Sequential(parts, nn.Unflatten(1, shape))
