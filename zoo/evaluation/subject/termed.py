"""Documents under evaluation: halves of them, retrieval, and the terms that units stand for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from zoo.evaluation.measures.code_plane import CodePlane, plane_of
from zoo.evaluation.measures.retrieval import Retrieval, retrieval
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import Encoded
from zoo.linear_algebra import varying_columns

RETRIEVED = (1, 3, 7, 10, 15, 31, 63, 127, 255, 511, 1023, 2047, 4095)
TERMS = 10  # of a topic
SHOWN = 300  # documents on a plane
SEED = 0


@dataclass(frozen=True)
class Topics:
    """The terms that each unit of a code adds most to, and how often these occur together.

    Attributes:
        terms: for each unit, ten terms.
        coherence: (D,), mean normalised pointwise mutual information of all pairs of them.
    """

    terms: list[tuple[str, ...]]
    coherence: Tensor


class Termed(Encoded):
    """Samples whose features are named terms."""

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the features; NotApplicable where they have none."""
        form = self.data.form
        if not form.features:
            raise NotApplicable(f"the features of {self.data.name} have no names")
        return form.features

    @cached_property
    def halves(self) -> tuple[Tensor, Tensor]:
        """The words of each test document in two random halves, the first of them larger by one: (N, 1, 1, D) each."""
        rng, x = np.random.default_rng(SEED), self.x.flatten(1).long().numpy()
        seen = np.stack([rng.multivariate_hypergeometric(row, (row.sum() + 1) // 2) for row in x])
        return tuple(torch.from_numpy(half).float().view(self.x.shape) for half in (seen, x - seen))  # type: ignore[return-value]

    @property
    def held_out_words(self) -> Tensor:
        """Counts of each test document's second half: (N, D)."""
        return self.halves[1].flatten(1)

    @cached_property
    def term_log_probabilities(self) -> Tensor:
        """Log of each term's share in the reconstruction of a document's first half: (N, D) float64.

        Of Gaussian and other outputs, negative counts are taken as 0. Each term has at least a thousandth of an equal
        share, since a term of probability 0 that occurs would make the perplexity infinite.
        """
        again = self.decode(self.encode(self.halves[0])).flatten(1).double().clamp(min=0)
        share = again / again.sum(1, keepdim=True).clamp(min=1e-300)
        floor = 1e-3 / share.shape[1]
        return (share * (1 - 1e-3) + floor).log()

    @cached_property
    def code_retrieval(self) -> Retrieval:
        """Retrieval of test samples by their codes; NotApplicable without labels."""
        return self.retrieved(self.test_codes)

    @cached_property
    def term_retrieval(self) -> Retrieval:
        """Retrieval of test samples by their features themselves; NotApplicable without labels."""
        return self.retrieved(self.x.flatten(1))

    def retrieved(self, codes: Tensor) -> Retrieval:
        """Retrieval of test samples by codes (N, D); NotApplicable without labels, or for fewer than 11 samples."""
        labels = self.test_labels
        if len(codes) <= TERMS:
            raise NotApplicable(f"{len(codes)} test samples: there are no 10 others to retrieve")
        return retrieval(codes, labels, tuple(number for number in RETRIEVED if number < len(codes)))

    @cached_property
    def document_plane(self) -> CodePlane:
        """At most 300 evenly spaced test samples, with the names of their labels; NotApplicable without labels."""
        every = -(-len(self.x) // SHOWN)
        labels = self.test_labels[::every].tolist()
        return plane_of(self.test_codes[::every], [self.data.classes[label] for label in labels])

    @cached_property
    def topics(self) -> Topics:
        """The ten terms that each unit adds most to when it grows by its standard deviation over training codes.

        Units that are the same for all training samples add to no term and have no topic.

        Coherence of a pair of terms is log(p(a, b) / (p(a) p(b))) / -log p(a, b), with the fractions p of training
        documents that hold them, and -1 for a pair that never occurs together. G. Bouma, "Normalized (pointwise)
        mutual information in collocation extraction", 2009; as a measure of topics: J. Lau, D. Newman, T. Baldwin,
        "Machine reading tea leaves", 2014.
        """
        names, codes = self.terms, self.train_codes
        varying = varying_columns(codes)
        if not varying.any():
            raise NotApplicable("the codes of all training samples are equal")
        steps, middle = torch.diag(codes.std(0))[varying], codes.mean(0, keepdim=True)
        moved = self.decode(torch.cat([middle, middle + steps])).flatten(1)
        best = (moved[1:] - moved[:1]).topk(min(TERMS, len(names)), 1).indices
        chosen, place = torch.unique(best, return_inverse=True)
        present = torch.cat([x.flatten(1)[:, chosen] > 0 for x in self.data.train.batches(1024)]).double()
        together = present.T @ present / len(present)
        alone = together.diagonal()
        pmi = (together / (alone[:, None] * alone)).log() / -together.log()
        pmi = torch.where(together > 0, pmi.nan_to_num(1.0), -1.0)
        pairs = torch.combinations(torch.arange(best.shape[1]))
        coherence = pmi[place[:, pairs[:, 0]], place[:, pairs[:, 1]]].mean(1)
        return Topics([tuple(names[i] for i in row) for row in best.tolist()], coherence)
