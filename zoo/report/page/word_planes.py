"""The tab Words: word embeddings on planes, side by side, and the nearest neighbours of each word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from zoo.catalogue import title_of, variants
from zoo.data.splits import Splits
from zoo.evaluation.measures.code_plane import plane_of
from zoo.evaluation.metrics.words import PROBES
from zoo.evaluation.subject import Subject
from zoo.model.autoencoder import Autoencoder
from zoo.report.page.portable import float16

SHOWN = 800  # words
SHORTEST = 3  # letters of a word that is shown
NEIGHBOURS = 6


@dataclass(frozen=True)
class Embedding:
    """A model fitted to words.

    Attributes:
        name: of its row in tables.
        variant: its variant.
        model: in evaluation mode.
        data: the words as it reads them.
    """

    name: str
    variant: str
    model: Autoencoder
    data: Splits


def content(name: str, embeddings: Sequence[Embedding]) -> dict[str, Any]:
    """What the tab shows of one vocabulary: its most frequent words, and a plane for each embedding of them.

    Args:
        name: of the data set.
        embeddings: of its words, each with the same vocabulary.
    """
    first = embeddings[0]
    often = Counter(embedding.variant for embedding in embeddings)
    rows = shown(first.data.form.features)
    words = [first.data.form.features[row] for row in rows]
    return {
        "name": name,
        "title": title_of(name),
        "words": words,
        "vocabulary": len(first.data.form.features),
        "first": next((words.index(word) for word in PROBES if word in words), 0),
        "methods": [
            {"name": each.variant if often[each.variant] == 1 else each.name, **plane(each, rows, words)}
            for each in embeddings
        ],
    }


def shown(vocabulary: Sequence[str]) -> list[int]:
    """Places of the most frequent words, without stop words such as "the" and stumps such as "ll"."""
    found = [row for row, word in enumerate(vocabulary) if len(word) >= SHORTEST and word not in ENGLISH_STOP_WORDS]
    return found[:SHOWN]


@torch.no_grad()
def plane(embedding: Embedding, rows: Sequence[int], words: Sequence[str]) -> dict[str, Any]:
    """One embedding: its words on the two leading axes of their codes, and the neighbours of each, nearest first."""
    codes = Subject(embedding.model, embedding.data, {}).word_codes.codes[rows]
    found = plane_of(codes, words)
    cosines = (codes @ codes.T).fill_diagonal_(-2.0)
    neighbours = cosines.topk(min(NEIGHBOURS, len(words) - 1), 1).indices
    return {
        "about": next((variant.method for variant in variants() if variant.name == embedding.variant), ""),
        "width": embedding.model.bottleneck.out_features,
        "share": round(found.share, 4),
        "points": float16([found.points]),
        "neighbours": neighbours.flatten().tolist(),
    }
