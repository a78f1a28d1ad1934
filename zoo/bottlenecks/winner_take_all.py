"""Sparsity over places and over images: one place per feature map, in few of the images."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.bottlenecks.sparse import RunningCut
from zoo.errors import ZooError
from zoo.types import Code


class WinnerTakeAll(nn.Module):
    """Of every map the largest place, if it is positive and among the B k / maps largest winners of its map.

    Spatial sparsity, then lifetime sparsity over the batch; in evaluation a running threshold per map takes the
    batch's place. A. Makhzani, B. Frey, "Winner-take-all autoencoders", 2014, arXiv:1409.2752, sections 2 and 3.

    Args:
        units: D = maps x places, map by map, as convolutions flatten them.
        k: maps that are active at a time, on average over images.
        maps: feature maps.

    Raises:
        ZooError: the maps do not divide the units, or are fewer than k.
    """

    def __init__(self, units: int, k: int, maps: int) -> None:
        super().__init__()
        self.in_features = self.out_features = units
        self.k, self.maps = k, maps
        if units % maps or maps < k:
            raise ZooError(f"bottleneck.rule.maps={maps}: must divide the {units} units and be k={k} or more")
        self.cut = RunningCut(maps)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        winner, place = h.relu().view(len(h), self.maps, -1).max(2, keepdim=True)
        cut = self.cut(winner.squeeze(2), math.ceil(len(h) * self.k / self.maps))
        winner = winner * (winner >= cut[:, None])
        z = h.new_zeros(len(h), self.maps, h.shape[1] // self.maps).scatter(2, place, winner).flatten(1)
        return Code(z, z)
