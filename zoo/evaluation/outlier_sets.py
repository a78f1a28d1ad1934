"""Inliers and outliers of a data set, and their scores on pixels: what depends on the data alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.data.images import Images
from zoo.evaluation.measures.corruption_series import SERIES
from zoo.evaluation.measures.pixel_detectors import PixelDetectors
from zoo.evaluation.registry import NotApplicable
from zoo.spacing import evenly

if TYPE_CHECKING:
    from zoo.data.splits import Splits

MOST = 5_000  # inliers, and outliers of a set
FITTED = 50_000  # training images that the detectors on pixels are fitted to, at most
PRODUCTS = 2e12  # multiplications for the distances between all of these, at most: a minute
HELD_OUT = 500  # validation images that select a bandwidth, at most
SEED = 0


@dataclass(frozen=True)
class OutlierSet:
    """Outliers, and as many inliers.

    Attributes:
        inliers: (N,) int64, which of `OutlierSets.inliers` they are compared with.
        outliers: (N, C, H, W).
        kinds: {kind: (M,) int64}, which of the outliers are of that kind.
    """

    inliers: Tensor
    outliers: Tensor
    kinds: Mapping[str, Tensor]


class OutlierSets:
    """Inliers and sets of outliers, each computed on first use.

    Inliers are every other test image, at most 5,000; corrupted outliers are made of the rest, so that no image is on
    both sides.

    Args:
        data: the splits.
        outside: {name: test images of another data set}, of the same shape.
        kept: (name, function) -> the function's result as plain data, from a cache where it is there.
    """

    def __init__(
        self,
        data: Splits,
        outside: Mapping[str, Images],
        kept: Callable[[str, Callable[[], Any]], Any] = lambda _, compute: compute(),
    ) -> None:
        self.data, self.outside, self.kept = data, outside, kept
        self._scored: dict[str, dict[str, Tensor]] = {}

    @cached_property
    def inliers(self) -> Tensor:
        """Every other one of evenly spaced test images: (N, C, H, W)."""
        return self.data.test[evenly(2 * MOST, len(self.data.test))[::2]]

    def named(self, name: str) -> OutlierSet:
        """The outliers of a name: "other", "left_out" or "corrupted"."""
        found = {"other": self.other, "left_out": self.left_out, "corrupted": self.corrupted}[name]()
        n = min((len(self.inliers) // len(found), *map(len, found.values())) if found else [0])  # of each kind
        if not n:
            raise NotApplicable(f"{len(self.data.test)} test samples are too few to make inliers and outliers of")
        outliers = torch.cat([x[evenly(n, len(x))] for x in found.values()])
        kinds = dict(zip(found, torch.split(torch.arange(len(outliers)), n), strict=True))
        return OutlierSet(evenly(len(outliers), len(self.inliers)), outliers, kinds)

    def other(self) -> dict[str, Tensor]:
        """Test images of other data sets."""
        if not self.outside:
            raise NotApplicable("no other data set was given: evaluation.outliers=<data set>")
        return {name: images.spaced(MOST, share=0.5)[:] for name, images in self.outside.items()}

    def left_out(self) -> dict[str, Tensor]:
        """Test images of the class that was left out."""
        if self.data.left_out is None:
            raise NotApplicable("no class was left out of training: data.source.without=<class>")
        return {"left out": self.data.left_out.spaced(MOST, share=0.5)[:]}

    def corrupted(self) -> dict[str, Tensor]:
        """Test images under each corruption at its weakest level, an equal share under each; changed ones only."""
        rest = self.data.test[evenly(2 * MOST, len(self.data.test))[1::2]]
        found = {}
        for place, (name, series) in enumerate(SERIES.items()):
            x, generator = rest[place :: len(SERIES)], torch.Generator().manual_seed(SEED)
            images = as_stored(series.weakest(x, generator)[0], self.data.test)
            changed = (images != x).flatten(1).any(1)
            if changed.any() or not len(x):
                found[name] = images[changed]
        return found

    @cached_property
    def detectors(self) -> PixelDetectors:
        """Detectors fitted to the pixels of training images: evenly spaced ones of large sets, or of large images."""
        most = min(FITTED, int(math.sqrt(PRODUCTS / math.prod(self.data.train.shape))))
        train, validation = self.data.train.spaced(most), self.data.validation.spaced(HELD_OUT)
        return PixelDetectors(train[:].flatten(1), validation[:].flatten(1))

    @cached_property
    def inlier_scores(self) -> dict[str, Tensor]:
        """Scores of the inliers on pixels: {detector: (N,)}."""
        return self.pixel_scores("inliers", self.inliers)

    def outlier_scores(self, name: str, outliers: Tensor) -> dict[str, Tensor]:
        """Scores of the outliers of a name on pixels: {detector: (N,)}."""
        if name not in self._scored:
            self._scored[name] = self.pixel_scores(name, outliers)
        return self._scored[name]

    def pixel_scores(self, name: str, images: Tensor) -> dict[str, Tensor]:
        """Scores of images on pixels: {detector: (N,) float64}."""

        def scores() -> dict[str, list[float]]:
            found = self.detectors.scores(images.flatten(1))
            return {detector: each.double().tolist() for detector, each in found.items()}

        kept = self.kept(f"outlier-scores-{name}", scores)
        return {detector: torch.tensor(each, dtype=torch.float64) for detector, each in kept.items()}


def as_stored(x: Tensor, images: Images) -> Tensor:
    """Images x (N, C, H, W) within [0, 1], and on the levels of a set that is stored as whole numbers.

    Values that no image has, such as those below 0, would give corrupted images away.
    """
    x = x.clamp(0, 1)
    if images.pixels.dtype == torch.uint8 and isinstance(images.scale, float):
        return (x * images.scale).round() / images.scale
    return x
