"""Finite scalar quantisation: every unit is rounded to a few levels, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from zoo.bottlenecks import check_width
from zoo.bottlenecks.vq import straight_through
from zoo.errors import ZooError
from zoo.types import Code

EPSILON = 1e-3  # keeps the outermost levels within reach of tanh


class FSQ(nn.Module):
    """z_i = round(f_i(h_i)) / floor(L_i / 2), f_i a shifted tanh onto an interval that holds L_i whole numbers.

    A symbol is a group of units, one per entry of `levels`; its codebook, of prod(levels) entries, is the grid they
    span. Nothing is learned and no entry can die. F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen, "Finite scalar
    quantization: VQ-VAE made simple", 2023, arXiv:2309.15505, section 3.1 and appendix A.1.

    Args:
        positions: M, symbols per image.
        levels: L of each of a symbol's units; [8, 6, 5] is the paper's choice for about 8 bits (240 entries).

    Raises:
        ZooError: a unit has fewer than two levels.
    """

    levels: Tensor

    def __init__(self, positions: int, levels: Sequence[int] = (8, 6, 5)) -> None:
        super().__init__()
        levels = list(levels)
        if not levels or min(levels) < 2:
            raise ZooError(f"bottleneck.levels={levels}: a symbol needs units, each of two levels or more")
        self.positions = check_width(positions, "bottleneck.positions")
        self.in_features = self.out_features = positions * len(levels)
        self.codebook_size = math.prod(levels)
        self.register_buffer("levels", torch.tensor(levels), persistent=False)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, M U) -> point: (B, M U) in [-1, 1]; z the same, with the gradient of what was rounded."""
        half = (self.levels - 1) * (1 - EPSILON) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0)  # an even number of levels is not symmetric about 0
        units = h.float().view(-1, self.positions, len(self.levels))
        bounded = (units + (offset / half).tan()).tanh() * half - offset
        z = (straight_through(bounded, bounded.round()) / (self.levels // 2)).view_as(h)
        return Code(z, z.detach())

    def indices(self, point: Tensor) -> Tensor:
        """The grid points that codes (B, M U) are made of: (B, M) int64, numbered with the first unit fastest."""
        middle = self.levels // 2
        digits = (point.view(-1, self.positions, len(self.levels)) * middle + middle).round().long()
        return (digits * self._places()).sum(2)

    def points(self, indices: Tensor) -> Tensor:
        """The point codes of grid points (B, M): (B, M U)."""
        middle = self.levels // 2
        digits = indices[..., None] // self._places() % self.levels
        return ((digits - middle) / middle).flatten(1)

    def _places(self) -> Tensor:
        return self.levels.cumprod(0) // self.levels
