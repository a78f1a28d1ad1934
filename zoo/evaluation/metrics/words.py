"""Words: whether words that people find similar have similar codes."""

from __future__ import annotations

import torch

from zoo.evaluation.measures.code_plane import plane_of
from zoo.evaluation.measures.influence import mean
from zoo.evaluation.measures.word_judgements import analogies, answered, shares, similarity, word_pairs
from zoo.evaluation.registry import Curve, NotApplicable, metric
from zoo.evaluation.subject.vocabulary import WordCodes

PROBES = (
    *("orbit", "doctor", "windows", "game", "god", "car", "gun", "government", "key", "disk", "israel", "encryption"),
    *("king", "water", "music", "red"),
)
NEIGHBOURS = 5


@metric("words", "rank correlation", "higher", version=2, kinds=("vector",))
def wordsim353(word_codes: WordCodes) -> Curve:
    """Spearman's rank correlation of the cosines of 353 word pairs with how related people judge them.

        corr(rank(cos(z_a, z_b)), rank(judgement of a, b)), over pairs of words (a, b)

    Pairs with a word outside the vocabulary do not count. L. Finkelstein et al., "Placing search in context", 2002.

    Misleads: judgements mix similarity with association, and rare words are not in the vocabulary, so the number of
    pairs differs between vocabularies.
    """
    return judged(word_codes, "wordsim353")


@metric("words", "rank correlation", "higher", version=2, kinds=("vector",))
def simlex999(word_codes: WordCodes) -> Curve:
    """Spearman's rank correlation of the cosines of 999 word pairs with how similar people judge them.

        corr(rank(cos(z_a, z_b)), rank(judgement of a, b)), over pairs of words (a, b)

    Related words that are not similar, such as coffee and cup, have low judgements. Pairs with a word outside the
    vocabulary do not count. F. Hill, R. Reichart, A. Korhonen, "SimLex-999", 2015.

    Misleads: contexts show association more than similarity, so all count-based codes score low; the number of pairs
    differs between vocabularies.
    """
    return judged(word_codes, "simlex999")


def judged(found: WordCodes, name: str) -> Curve:
    """The correlation, with the number of pairs."""
    pairs = word_pairs(name, found.judgements)
    over = similarity(found.codes, found.place, pairs)
    count = len(over.influence)
    table: dict[str, list[float] | list[str]] = {"pairs": [float(len(pairs))], "in the vocabulary": [float(count)]}
    return Curve(over.value, table, count, influence=(over.influence,))


@metric("words", "fraction", "higher", version=2, kinds=("vector",))
def analogy_accuracy(word_codes: WordCodes) -> Curve:
    """How often d is the word nearest to b - a + c, a, b and c excluded, for questions "a is to b as c is to d".

        1/Q sum_q [d = argmax_w cos(z_w, z_b - z_a + z_c)], w not a, b or c, codes z of unit length, over Q questions q

    Questions with a word outside the vocabulary do not count; the curve has each section. T. Mikolov et al., "Efficient
    estimation of word representations in vector space", 2013.

    Misleads: leaving out the words of the question does much of the work: the nearest remaining word to c alone is
    often right.
    """
    right, sections = answered(word_codes.codes, word_codes.place, analogies(word_codes.judgements))
    each, found = shares(right, sections), mean(right)
    table: dict[str, list[float] | list[str]] = {"section": [*each], "fraction": [*each.values()]}
    return Curve(found.value, table, len(right), influence=(found.influence,))


@metric("words", "cosine", "none", kinds=("vector",))
def word_neighbours(word_codes: WordCodes) -> Curve:
    """Mean cosine of sixteen words with their nearest neighbours; the curve has five neighbours of each.

        1/W sum_a max_(b != a) cos(z_a, z_b), a one of the W of sixteen words that are in the vocabulary, b any word

    Misleads: narrow codes have larger cosines: look at the neighbours, not at the value.
    """
    probes, best = neighbours(word_codes)
    near = [" ".join(word_codes.words[i] for i in row) for row in best.indices.tolist()]
    return Curve(best.values[:, 0].mean().item(), {"word": probes, "neighbours": near}, len(probes))


@metric("words", "fraction", "none", kinds=("vector",))
def word_map(word_codes: WordCodes) -> Curve:
    """Fraction of the variance of sixteen words and their neighbours on the plane of the two leading axes.

    Codes have unit length; the curve has the words' coordinates, for a picture.

    Misleads: the plane shows the widest differences, between subjects; neighbours in it may be far apart in the code.
    """
    probes, best = neighbours(word_codes)
    rows = [*dict.fromkeys([*(word_codes.place[word] for word in probes), *best.indices.flatten().tolist()])]
    return plane_of(word_codes.codes[rows], [word_codes.words[row] for row in rows]).as_curve("word")


def neighbours(found: WordCodes) -> tuple[list[str], torch.return_types.topk]:
    """Those of the sixteen words that are in the vocabulary, and the cosines and rows of five neighbours of each.

    Raises:
        NotApplicable: none of the sixteen is in the vocabulary.
    """
    probes = [word for word in PROBES if word in found.place]
    if not probes:
        raise NotApplicable("none of the words whose neighbours are shown is in the vocabulary")
    rows = [found.place[word] for word in probes]
    cosines = found.codes[rows] @ found.codes.T
    cosines[range(len(rows)), rows] = -2.0
    return probes, cosines.topk(min(NEIGHBOURS, len(found.words) - 1), 1)
