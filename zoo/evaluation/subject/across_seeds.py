"""The codes of models that differ from the one under evaluation only in their seed."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from zoo.evaluation.measures.code_similarity import SeedSimilarity, centred, linear_cka, matched_correlation
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import Encoded
from zoo.model.io import load_model

ROWS = 10_000
SEED = 0


class AcrossSeeds(Encoded):
    """Similarity of the codes of models with other seeds.

    Attributes:
        RESTS_ON_SEEDS: properties whose value depends on which models of other seeds there are.
    """

    RESTS_ON_SEEDS: ClassVar[frozenset[str]] = frozenset({"seed_similarity"})

    @cached_property
    def seed_similarity(self) -> SeedSimilarity:
        """The model's codes of test samples (evenly spaced ones, at most 10,000) compared with those of other seeds.

        Raises:
            NotApplicable: there is no model of another seed.
        """
        if not self.siblings:
            raise NotApplicable(
                "there is no saved model of another seed: fit it with other seeds too, for example seed=0,1,2 in "
                "zoo run -m, and then measure by zoo evaluate run=<records> evaluation=stability"
            )
        own = centred(self.some(self.test_codes))
        cka, matched = {}, {}
        for seed, path in self.siblings.items():
            sibling = Encoded(load_model(path, self.chosen.trust), self.data, {})
            other = centred(self.some(sibling.test_codes))
            cka[seed], matched[seed] = linear_cka(own, other), matched_correlation(own, other)
        noise = torch.randn(2 * own.shape[1:], generator=torch.Generator().manual_seed(SEED), dtype=own.dtype)
        return SeedSimilarity(cka, matched, matched_correlation(own, own @ torch.linalg.qr(noise).Q), len(own))

    def some(self, codes: Tensor) -> Tensor:
        """Evenly spaced rows of codes (N, D), at most 10,000."""
        return codes[:: -(-len(codes) // ROWS)]
