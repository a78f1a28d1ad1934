"""Sparsity by competition: in each feature map one place wins, and of a map's winners those of few images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.bottlenecks import check_width, follow
from zoo.errors import ZooError
from zoo.types import Code


class WinnerTakeAll(nn.Module):
    """z_mp = h_mp if h_mp is the largest of map m, and among the B k/M largest winners of m in the batch; else 0.

    The first contest, over the places p of a map, is spatial sparsity; the second, over the images of a batch, lifetime
    sparsity, which keeps any map from serving all images or none. A. Makhzani, B. Frey, "Winner-take-all
    autoencoders", 2014, arXiv:1409.2752, sections 2 and 3. There h is behind a ReLU. Here it is not, and winners may be
    negative: a map that is below zero everywhere would win nothing and never learn (16 maps of 64 on MNIST).

    The paper drops the second contest after the fit and asks the code for features only. Here reconstructions are asked
    for, so a running mean of the smallest winner let through stands for it, one threshold per map: a code in use
    depends on its own image alone.

    Args:
        units: D = M x places, map by map.
        k: units that are active at a time, on average over images.
        maps: M.

    Raises:
        ZooError: the units do not part into so many maps, or k is not in 1..maps.
    """

    threshold: Tensor

    def __init__(self, units: int, k: int, maps: int = 64) -> None:
        super().__init__()
        self.in_features = self.out_features = check_width(units, "bottleneck.units")
        self.maps, self.k = check_width(maps, "bottleneck.rule.maps"), check_width(k, "bottleneck.k")
        if units % maps:
            raise ZooError(
                f"bottleneck.rule.maps={maps}: {units} units do not part into so many maps; choose a divisor"
            )
        if k > maps:
            raise ZooError(
                f"bottleneck.k={k}: each of bottleneck.rule.maps={maps} maps has one winner; choose a smaller width, "
                "or more maps of as many more units"
            )
        self.places = units // maps
        self.register_buffer("threshold", torch.full((maps,), torch.nan))

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D), at most one unit of each map not zero."""
        best, place = h.view(len(h), self.maps, -1).max(2)
        cut = self._cut(best) if self.training else self.threshold.nan_to_num(0.0)
        winners = F.one_hot(place, self.places).to(h) * (best * (best >= cut))[:, :, None]
        z = winners.flatten(1)
        return Code(z, z)

    @torch.no_grad()
    def _cut(self, best: Tensor) -> Tensor:
        """Of winners (B, M), the smallest of each map that is let through: (M,)."""
        share = max(1, round(len(best) * self.k / self.maps))
        cut = best.topk(share, dim=0, sorted=False).values.amin(0)
        follow(self.threshold, cut)
        return cut
