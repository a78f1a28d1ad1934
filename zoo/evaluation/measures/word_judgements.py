"""Human judgements of pairs of words, and analogies; the files come with the package gensim."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.evaluation.registry import NotApplicable

FILES = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt", "analogies": "questions-words.txt"}
CHUNK = 1024
Pairs = list[tuple[str, str, float]]
Questions = list[tuple[str, tuple[str, str, str, str]]]


def lines_of(name: str) -> list[str]:
    """The lines of a file of judgements; NotApplicable where gensim is not installed."""
    spec = find_spec("gensim")
    if spec is None or not spec.submodule_search_locations:
        raise NotApplicable("judgements of words come with gensim: pip install 'bottleneck-zoo[words]'")
    path = Path(spec.submodule_search_locations[0]) / "test" / "test_data" / FILES[name]
    return path.read_text(encoding="utf-8").splitlines()


@cache
def word_pairs(name: str) -> Pairs:
    """Two words in lower case, and how similar people judge them.

    "wordsim353": relatedness, L. Finkelstein et al., "Placing search in context", 2002. "simlex999": similarity, not
    relatedness, F. Hill, R. Reichart, A. Korhonen, "SimLex-999", 2015.
    """
    rows = (line.split("\t") for line in lines_of(name) if line and not line.startswith("#"))
    return [(a.lower(), b.lower(), float(value)) for a, b, value in rows]


@cache
def analogies() -> Questions:
    """Sections with questions "a is to b as c is to d": T. Mikolov et al., "Efficient estimation ...", 2013."""

    def found() -> Iterator[tuple[str, tuple[str, str, str, str]]]:
        section = ""
        for line in lines_of("analogies"):
            words = line.lower().split()
            if line.startswith(":"):
                section = words[-1]
            elif len(words) == 4:
                yield section, (words[0], words[1], words[2], words[3])

    return list(found())


def similarity(vectors: Tensor, place: Mapping[str, int], pairs: Pairs) -> tuple[float, int]:
    """Spearman's rank correlation of cosines with judgements, and the number of pairs of which both words are known.

    Args:
        vectors: (V, D), of unit length.
        place: {word: row}.
        pairs: words and judgements.

    Raises:
        NotApplicable: fewer than three pairs are known.
    """
    from scipy.stats import spearmanr

    known = [(place[a], place[b], value) for a, b, value in pairs if a in place and b in place]
    if len(known) < 3:
        raise NotApplicable(f"{len(known)} of the {len(pairs)} pairs are in the vocabulary")
    a, b, judged = (torch.tensor(column) for column in zip(*known, strict=True))
    cosines = (vectors[a] * vectors[b]).sum(1)
    if (cosines == cosines[0]).all():
        raise NotApplicable("all words have the same cosine")
    return float(spearmanr(cosines.numpy(), judged.numpy()).statistic), len(known)


def answered(vectors: Tensor, place: Mapping[str, int], questions: Questions) -> tuple[Tensor, list[str]]:
    """Whether the word nearest to b - a + c, these three left out, is d: (Q,) booleans, and the questions' sections.

    Args:
        vectors: (V, D), of unit length.
        place: {word: row}.
        questions: those whose four words are known count.

    Raises:
        NotApplicable: there is none.
    """
    known = [(section, [place[w] for w in words]) for section, words in questions if all(w in place for w in words)]
    if not known:
        raise NotApplicable("the vocabulary holds the four words of no question")
    a, b, c, d = torch.tensor([rows for _, rows in known]).T
    right = []
    for part in torch.split(torch.arange(len(known)), CHUNK):
        cosines = (vectors[b[part]] - vectors[a[part]] + vectors[c[part]]) @ vectors.T
        for word in (a, b, c):
            cosines[torch.arange(len(part)), word[part]] = -torch.inf
        right.append(cosines.argmax(1) == d[part])
    return torch.cat(right), [section for section, _ in known]


def unit_length(vectors: Tensor) -> Tensor:
    """Vectors (V, D) divided by their lengths."""
    return torch.nn.functional.normalize(vectors.float(), dim=1)


def shares(right: Tensor, sections: list[str]) -> dict[str, float]:
    """The fraction of right answers of each section."""
    names = np.array(sections)
    return {name: float(right.numpy()[names == name].mean()) for name in dict.fromkeys(sections)}
