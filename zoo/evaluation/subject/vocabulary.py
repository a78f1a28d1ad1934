"""Words under evaluation: the codes of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

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
        judgements: folder with your own files of judgements; None for those of gensim.
    """

    words: tuple[str, ...]
    codes: Tensor
    place: dict[str, int]
    judgements: Path | None = None


class Vocabulary(Encoded):
    """Samples that are the words of a vocabulary, and whose features are named after them.

    Class attributes:
        RESTS_ON_JUDGEMENTS: properties that may depend on the user's own files of judgements.
    """

    RESTS_ON_JUDGEMENTS: ClassVar[frozenset[str]] = frozenset({"word_codes"})

    @cached_property
    def word_codes(self) -> WordCodes:
        """The codes of all words, among them those of validation; NotApplicable where samples are no words."""
        if self.data.name != "words":
            raise NotApplicable(f"the samples of {self.data.name} are no words")
        samples, form = self.data.source.train, self.data.form
        codes = unit_length(self.encode(samples))
        place = {word: row for row, word in enumerate(form.features)}
        return WordCodes(form.features, codes, place, self.judgements)
