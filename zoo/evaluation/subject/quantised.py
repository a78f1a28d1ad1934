"""Entries of discrete codes, and what codes cost in bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from zoo.evaluation.chosen_densities import Kind
from zoo.evaluation.measures.rate_distortion import RateDistortion, code_lengths, rate_distortion
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import not_applicable
from zoo.evaluation.subject.sampled import Sampled
from zoo.types import BindsCodebook, Density, Discrete

SEED = 0
INDEX_DENSITY = "autoregressive"


class Quantised(Sampled):
    """Entries of discrete codes, and rate and distortion of all codes."""

    RESTS_ON: ClassVar[Mapping[str, tuple[Kind, ...]]] = {
        **Sampled.RESTS_ON,
        "index_density": ("discrete",),
        "index_bits": ("discrete",),
        "index_samples": ("discrete",),
    }

    @property
    def codebook_size(self) -> int:
        """Number of entries of the codebook; NotApplicable where the code is not discrete."""
        return self.codebook.codebook_size

    @property
    def codebooks(self) -> int:
        """Number of codebooks, which a code's symbols take in turn; NotApplicable where it is not discrete."""
        return self.codebook.codebooks

    @cached_property
    def code_indices(self) -> Tensor:
        """Codebook entries of the test images: (N, M) int64; NotApplicable where the code is not discrete."""
        return self.codebook.indices(self.test_codes)

    @cached_property
    def index_density(self) -> Density:
        """The density of codebook entries, fitted to the training codes; NotApplicable where the code is not discrete.

        It is the one named "autoregressive".
        """
        codebook, chosen = self.codebook, self.chosen.of_kind("discrete")
        if INDEX_DENSITY not in chosen:
            raise NotApplicable(f"the density {INDEX_DENSITY} is not among those chosen")
        density = chosen[INDEX_DENSITY]
        assert isinstance(density, BindsCodebook)
        density.bind_codebook(codebook)
        with not_applicable():
            return density.fit(self.train_codes)

    @property
    def index_bits(self) -> Tensor:
        """Bits of each test image's entries under `index_density`: (N,)."""
        return -self.index_density.log_prob(self.test_codes) / math.log(2)

    @cached_property
    def index_samples(self) -> Tensor:
        """Features of decoded samples of `index_density`: (M, 64)."""
        return self.references.features(self.decode(self.index_density.sample(self.samples, SEED)))

    @cached_property
    def rate_curve(self) -> RateDistortion:
        """Rate and distortion of the deterministic codes, or of the entries of a discrete code."""
        if not isinstance(self.model.bottleneck, Discrete):
            return rate_distortion(self.train_codes, self.test_codes, self.x, self.decode)
        bits, entropy = code_lengths(self.codebook.indices(self.train_codes), self.code_indices)
        mse = (self.x_hat - self.x).square().mean(dtype=torch.float64).item()
        return RateDistortion([0.0], [bits.sum().item()], [entropy.sum().item()], [mse], len(self.x))
