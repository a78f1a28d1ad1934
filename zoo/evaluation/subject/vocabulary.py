"""Words under evaluation: the codes of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from zoo.evaluation.measures.word_judgements import unit_length
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import Encoded


@dataclass(frozen=True)
class WordCodes:
    """Words, most frequent first, and their codes.

    Attributes:
        words: V of them.
        codes: (V, D), of unit length.
        place: {word: row}.
    """

    words: tuple[str, ...]
    codes: Tensor
    place: dict[str, int]


class Vocabulary(Encoded):
    """Samples that are the words of a vocabulary, and whose features are named after them."""

    @cached_property
    def word_codes(self) -> WordCodes:
        """The codes of all words, among them those of validation; NotApplicable where samples are no words."""
        if self.data.name != "words":
            raise NotApplicable(f"the samples of {self.data.name} are no words")
        samples, form = self.data.source.train, self.data.form
        codes = unit_length(self.encode(samples))
        return WordCodes(form.features, codes, {word: row for row, word in enumerate(form.features)})
