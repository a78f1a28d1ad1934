"""Finite scalar quantisation: every unit is rounded to one of a few levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.checks import MOST, check_count, is_whole
from zoo.errors import ZooError
from zoo.model.bottlenecks.vq import straight_through
from zoo.types import Bottleneck, Code

EPSILON = 1e-3  # keeps the outermost levels inside the range of tanh


class FSQ(Bottleneck):
    """z_i = round(f_i(h_i)) / floor(L_i / 2), f_i a scaled tanh onto an interval that contains L_i whole numbers.

    A symbol is a group of units, one per entry of `levels`; its codebook is the grid of their levels, with prod(levels)
    entries. The codebook is not learned, so that no entry can die. F. Mentzer, D. Minnen, E. Agustsson, M. Tschannen,
    "Finite scalar quantization: VQ-VAE made simple", 2023, arXiv:2309.15505, section 3.1 and appendix A.1.

    Where this differs from the paper: h = 0 lies in the middle of the levels, between two of them where L is even.
    There, the paper shifts h so that 0 is a level; with L = 2, nearly all codes then start at the same level.

    Args:
        positions: M, symbols per image.
        levels: L of each unit of a symbol; [8, 6, 5] is the paper's choice for about 8 bits (240 entries).

    Raises:
        ZooError: no levels, a unit with fewer than two, `positions` below 1, or 2^31 entries or more.
    """

    levels: Tensor

    def __init__(self, positions: int, levels: Sequence[int] = (8, 6, 5)) -> None:
        levels = list(levels)
        if not levels or not all(is_whole(level) and level >= 2 for level in levels):
            raise ZooError(
                f"bottleneck.levels={levels}: a symbol needs at least one unit, and each unit at least two levels"
            )
        if (entries := math.prod(levels)) > MOST:
            raise ZooError(f"bottleneck.levels={levels}: a codebook of {entries:,} entries; at most {MOST:,}")
        units = check_count(positions, "bottleneck.positions") * len(levels)
        super().__init__(units, units)
        self.positions = self.codebooks = positions
        self.codebook_size = entries
        self.register_buffer("levels", torch.tensor(levels), persistent=False)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, M U) -> point: (B, M U) in [-1, 1]; z: the same values with the gradient of f, straight through."""
        half = (self.levels - 1) * (1 - EPSILON) / 2
        offset = torch.where(self.levels % 2 == 0, 0.5, 0.0)  # an even number of levels: -L/2 to L/2 - 1
        units = h.float().view(-1, self.positions, len(self.levels))
        bounded = units.tanh() * half - offset
        z = (straight_through(bounded, bounded.round()) / (self.levels // 2)).view_as(h)
        return Code(z, z.detach())

    def indices(self, point: Tensor) -> Tensor:
        """The entries nearest to codes or other points (B, M U): (B, M) int64; the first unit varies fastest."""
        middle = self.levels // 2
        digits = (point.view(-1, self.positions, len(self.levels)) * middle + middle).round().long()
        return (digits.clamp(min=0).minimum(self.levels - 1) * self._places()).sum(2)

    def points(self, indices: Tensor) -> Tensor:
        """The codes of entries (B, M): (B, M U)."""
        middle = self.levels // 2
        digits = indices[..., None] // self._places() % self.levels
        return ((digits - middle) / middle).flatten(1)

    def _places(self) -> Tensor:
        return self.levels.cumprod(0) // self.levels
