"""Winner-take-all sparsity: one active position per feature map, and few active images per map."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_count, check_width
from zoo.errors import ZooError
from zoo.model.bottlenecks import update_running_mean
from zoo.types import Bottleneck, CalibratesOnValidation, Code


class WinnerTakeAll(Bottleneck, CalibratesOnValidation):
    """z_mp = h_mp if h_mp is the largest of map m, and among the B k/M largest of these in the batch; else 0.

    The first selection, over the positions p of a map, is spatial sparsity; the second, over the images of a batch,
    lifetime sparsity, which prevents maps that are active for all images or for none. A. Makhzani, B. Frey,
    "Winner-take-all autoencoders", 2014, arXiv:1409.2752, sections 2 and 3.

    Where this differs from the paper: h has no ReLU, so that winners may be negative; with it, a map that is negative
    everywhere is never selected and gets no gradient (16 maps of 64 on MNIST). In evaluation, where the paper drops
    lifetime sparsity and uses the code as features only, one threshold per map replaces it, so that a code depends on
    its own image only: during training the running mean of the smallest winner of a batch, which also selects in
    batches too small for a winner in each map; after it, the value that k/M of the validation images reach.

    Args:
        units: D = M x positions, map by map.
        k: active units per image, on average.
        maps: M.

    Raises:
        ZooError: `maps` does not divide `units`, or k is not in 1..maps.
    """

    threshold: Tensor

    def __init__(self, units: int, k: int, maps: int = 64) -> None:
        super().__init__(check_width(units, "bottleneck.units"), units)
        self.maps, self.k = check_count(maps, "bottleneck.rule.maps"), check_count(k, "bottleneck.k")
        if units % maps:
            raise ZooError(
                f"bottleneck.rule.maps={maps}: {units} units cannot be divided into so many maps; choose a divisor"
            )
        if k > maps:
            raise ZooError(
                f"bottleneck.k={k}: each of bottleneck.rule.maps={maps} maps has one winner; choose a smaller width, "
                "or more maps and as many more units"
            )
        self.places = units // maps
        self.register_buffer("threshold", torch.full((maps,), torch.nan))

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D), at most one unit of each map non-zero."""
        best, place = h.view(len(h), self.maps, -1).max(2)
        threshold = self._smallest_winners(best) if self.training else self.threshold.nan_to_num(0.0)
        winners = F.one_hot(place, self.places).to(h) * (best * (best >= threshold))[:, :, None]
        z = winners.flatten(1)
        return Code(z, z)

    def calibrate(self, inputs: Iterable[Tensor]) -> None:
        """Set the thresholds that k/M of the images of inputs, each (B, D), reach in each map."""
        best = torch.cat([h.view(len(h), self.maps, -1).amax(2) for h in inputs])
        self.threshold.copy_(smallest_of(best, max(1, self._active(best))))

    @torch.no_grad()
    def _smallest_winners(self, best: Tensor) -> Tensor:
        """The smallest active value of each map: (M,), of the largest values per image: (B, M)."""
        images = self._active(best)
        if not images and not self.threshold.isnan().any():
            return self.threshold
        smallest = smallest_of(best, max(1, images))
        update_running_mean(self.threshold, smallest)
        return smallest

    def _active(self, best: Tensor) -> int:
        """Number of active images of a map, of the largest values per image: (B, M)."""
        return round(len(best) * self.k / self.maps)


def smallest_of(best: Tensor, images: int) -> Tensor:
    """The smallest of the `images` largest values of each map: (M,), of (B, M)."""
    return best.topk(images, dim=0, sorted=False).values.amin(0)
