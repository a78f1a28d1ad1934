"""Discrete codes, and what codes cost in bits."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from zoo.density.autoregressive import Autoregressive
from zoo.evaluation.metrics.registry import NotApplicable
from zoo.evaluation.rate import RateDistortion, code_lengths, rate_distortion
from zoo.evaluation.references import BATCH
from zoo.evaluation.subject.basis import not_applicable
from zoo.evaluation.subject.samples import Samples

SEED = 0


@runtime_checkable
class Discrete(Protocol):
    """A bottleneck whose codes are entries of a codebook."""

    codebook_size: int

    def indices(self, point: Tensor) -> Tensor:
        """The entries that point codes (B, D) are made of: (B, M) int64 in 0..codebook_size-1."""
        ...

    def points(self, indices: Tensor) -> Tensor:
        """The point codes that entries (B, M) stand for: (B, D)."""
        ...


class Coded(Samples):
    """Maps of convolutional codes, indices of discrete ones, and rate and distortion of all."""

    @property
    def test_maps(self) -> Tensor:
        """Point codes of the test images, map by map: (N, M, places); one place where a unit is a map of its own."""
        places = getattr(self.model.bottleneck, "places", 1)
        return self.test_codes.view(len(self.test_codes), -1, places)

    @property
    def discrete(self) -> Discrete:
        """The bottleneck, if its codes are discrete; NotApplicable otherwise."""
        if not isinstance(self.model.bottleneck, Discrete):
            raise NotApplicable("the code is not discrete: it has no codebook")
        return self.model.bottleneck

    @property
    def codebook_size(self) -> int:
        """Entries of the codebook; NotApplicable where the code is not discrete."""
        return self.discrete.codebook_size

    @cached_property
    def code_indices(self) -> Tensor:
        """Codebook entries of the test images: (N, M) int64; NotApplicable where the code is not discrete."""
        return self.indices(self.test_codes)

    def indices(self, codes: Tensor) -> Tensor:
        """Codebook entries of point codes (N, D): (N, M) int64, M positions."""
        bottleneck = self.discrete
        return torch.cat([bottleneck.indices(z.to(self.device)).cpu() for z in torch.split(codes, BATCH)])

    @cached_property
    def index_density(self) -> Autoregressive:
        """The autoregressive prior, fitted to the training codes; NotApplicable where the code is not discrete."""
        bottleneck = self.discrete

        def points(indices: Tensor) -> Tensor:
            return torch.cat([bottleneck.points(i.to(self.device)).cpu() for i in torch.split(indices, BATCH)])

        with not_applicable():
            return Autoregressive(bottleneck.codebook_size, self.indices, points).fit(self.train_codes)

    @property
    def index_bits(self) -> Tensor:
        """Bits of each test image's indices under the autoregressive prior: (N,); NotApplicable likewise."""
        return -self.index_density.log_prob(self.test_codes) / math.log(2)

    @cached_property
    def index_samples(self) -> Tensor:
        """Features of decoded samples of the autoregressive prior: (M, 64); NotApplicable likewise."""
        return self.in_features(self.decode(self.index_density.sample(self.samples, SEED)))

    @cached_property
    def rate_curve(self) -> RateDistortion:
        """Rate and distortion of the point codes, or of the indices of a discrete code."""
        if not isinstance(self.model.bottleneck, Discrete):
            return rate_distortion(self.train_codes, self.test_codes, self.x, self.decode)
        bits, entropy = code_lengths(self.indices(self.train_codes), self.code_indices)
        mse = (self.x_hat - self.x).square().mean(dtype=torch.float64).item()
        return RateDistortion([0.0], [bits.sum().item()], [entropy.sum().item()], [mse], len(self.x))

    @property
    def pca_curve(self) -> RateDistortion:
        """Rate and distortion of PCA."""
        return self.references.pca_curve

    @property
    def jpeg_curve(self) -> RateDistortion:
        """Rate and distortion of JPEG."""
        return self.references.jpeg_curve

    @property
    def webp_curve(self) -> RateDistortion:
        """Rate and distortion of lossy WebP."""
        return self.references.webp_curve
