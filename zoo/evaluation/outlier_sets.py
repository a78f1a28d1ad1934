"""Inliers and outliers of a data set, and their scores on pixels: what depends on the data alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

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
FITTED = 10_000  # training images that the detectors on pixels are fitted to, at most
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
    """

    def __init__(self, data: Splits, outside: Mapping[str, Images]) -> None:
        self.data, self.outside = data, outside
        self._scored: dict[str, dict[str, Tensor]] = {}

    @cached_property
    def inliers(self) -> Tensor:
        """Every other one of evenly spaced test images: (N, C, H, W)."""
        return self.data.test[evenly(2 * MOST, len(self.data.test))[::2]]

    def named(self, name: str) -> OutlierSet:
        """The outliers of a name: "other", "left_out" or "corrupted"."""
        found = {"other": self.other, "left_out": self.left_out, "corrupted": self.corrupted}[name]()
        n = min(len(self.inliers) // len(found), *map(len, found.values()))  # of each kind
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
        """Test images under each corruption at its weakest level, an equal share under each."""
        rest = self.data.test[evenly(2 * MOST, len(self.data.test))[1::2]]
        found = {}
        for place, (name, series) in enumerate(SERIES.items()):
            generator = torch.Generator().manual_seed(SEED)
            found[name], _ = series.weakest(rest[place :: len(SERIES)], generator)
        return found

    @cached_property
    def detectors(self) -> PixelDetectors:
        """Detectors fitted to the pixels of evenly spaced training images, at most 10,000."""
        train, validation = self.data.train.spaced(FITTED), self.data.validation.spaced(HELD_OUT)
        return PixelDetectors(train[:].flatten(1), validation[:].flatten(1))

    @cached_property
    def inlier_scores(self) -> dict[str, Tensor]:
        """Scores of the inliers on pixels: {detector: (N,)}."""
        return self.detectors.scores(self.inliers.flatten(1))

    def outlier_scores(self, name: str, outliers: Tensor) -> dict[str, Tensor]:
        """Scores of the outliers of a name on pixels: {detector: (N,)}."""
        if name not in self._scored:
            self._scored[name] = self.detectors.scores(outliers.flatten(1))
        return self._scored[name]
