"""Scores of outliers on pixels that need no bottleneck: references for the scores of models."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.evaluation.measures.neighbours import nearest
from zoo.linear_algebra import principal_axes
from zoo.spacing import spaced

DETECTORS = (
    *("isolation forest", "local outlier factor", "kernel density", "nearest neighbours"),
    *("mean value", "compressed length"),
)
NEIGHBOURS = 5
LEADING = 16  # principal components that kernels describe
AVERAGED = 5_000  # training rows whose compressed lengths are averaged, at most
BANDWIDTHS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2)  # in mean standard deviations of the columns
SEED = 0


class PixelDetectors:
    """Six scores fitted to rows of pixels: four detectors with scikit-learn's default settings, and two trivial ones.

    - isolation forest: F. Liu, K. Ting, Z. Zhou, "Isolation forest", 2008;
    - local outlier factor of 20 neighbours: M. Breunig et al., "LOF: identifying density-based local outliers", 2000;
    - kernel density: a Gaussian kernel on each row (E. Parzen 1962), of the bandwidth with the largest likelihood of
      validation rows; on the leading 16 principal components and the distance from their span, because all pixels would
      take minutes and rank samples nearly as the nearest neighbour does;
    - nearest neighbours: distance to the 5th nearest row: S. Ramaswamy, R. Rastogi, K. Shim, "Efficient algorithms for
      mining outliers from large data sets", 2000;
    - mean value: how far the mean of a row is from the mean of all;
    - compressed length: how far the number of bytes of a row, with 8 bits a value and compressed by zlib, is from the
      mean of training rows. J. Serra et al., "Input complexity and out-of-distribution detection with likelihood-based
      generative models", 2020, arXiv:1909.11480.

    Args:
        train: (N, P), rows without outliers, N at least 2.
        validation: (M, P), rows that select the bandwidth.
    """

    def __init__(self, train: Tensor, validation: Tensor) -> None:
        from sklearn.ensemble import IsolationForest
        from sklearn.neighbors import KernelDensity, LocalOutlierFactor

        self.train, rows = train, train.numpy()
        self.forest = IsolationForest(random_state=SEED).fit(rows)
        self.factor = LocalOutlierFactor(n_neighbors=min(20, len(rows) - 1), novelty=True).fit(rows)
        mean, _, axes = principal_axes(train)
        self.mean, self.axes = mean.float(), axes[:, :LEADING].float()
        columns, held_out = self.columns(train), self.columns(validation)
        scale = float(columns.std(0).mean()) or 1.0
        kernels = [KernelDensity(bandwidth=h * scale).fit(columns) for h in BANDWIDTHS]
        self.kernel = max(kernels, key=lambda kernel: float(kernel.score(held_out)))
        self.low, self.high = float(train.min()), float(train.max())
        self.length = self.lengths(spaced(train, AVERAGED)).mean()

    def columns(self, x: Tensor) -> NDArray[np.float32]:
        """Leading principal components, and the distance from their span: (N, P) -> (N, 17)."""
        centred = x - self.mean
        lead = centred @ self.axes
        rest = (centred.square().sum(1) - lead.square().sum(1)).clamp(min=0).sqrt()
        return torch.cat([lead, rest[:, None]], 1).numpy()

    def lengths(self, x: Tensor) -> Tensor:
        """Bytes of compressed rows (N, P), 256 levels between the extreme values of training rows: (N,)."""
        levels = (x - self.low) * (255 / max(self.high - self.low, 1e-12))
        rows = levels.clamp(0, 255).round().to(torch.uint8).numpy()
        return torch.tensor([len(zlib.compress(row.tobytes(), 9)) for row in rows], dtype=torch.float64)

    def scores(self, x: Tensor) -> dict[str, Tensor]:
        """{detector: scores of rows (N, P)}: (N,), higher is more unusual."""
        rows = x.numpy()
        usual = (
            self.forest.score_samples(rows),
            self.factor.score_samples(rows),
            self.kernel.score_samples(self.columns(x)),
        )
        distance = nearest(x, self.train, min(NEIGHBOURS, len(self.train)))[0][:, -1]
        trivial = (x.double().mean(1) - self.mean.double().mean()).abs(), (self.lengths(x) - self.length).abs()
        return dict(zip(DETECTORS, (*(-torch.from_numpy(each) for each in usual), distance, *trivial), strict=True))
