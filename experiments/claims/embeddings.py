"""Word embeddings are linear bottlenecks: SVD of co-occurrences, skip-gram, and autoencoders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

import zoo
from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots
from experiments.claims.lab import Lab
from zoo.data.images import Source
from zoo.data.sources.contexts import words
from zoo.data.sources.corpora import MODULES, docstrings_of
from zoo.data.splits import Splits
from zoo.evaluation.measures.word_judgements import similarity, unit_length, word_pairs
from zoo.evaluation.registry import NotApplicable
from zoo.files import home
from zoo.fitting.skip_gram import SkipGram
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.objective.objective import Objective

SVD, LINEAR, DEEP, SKIP_GRAM = "SVD", "linear autoencoder", "deep autoencoder", "skip-gram"
METHODS = (SVD, LINEAR, DEEP, SKIP_GRAM)
VOCABULARY, WIDTH, PAIRS = {"newsgroups": 1_500, "docstrings": 500}, {"newsgroups": 50, "docstrings": 20}, 5_000
EPOCHS, PASSES = 10, 6  # of autoencoders, and of skip-gram
ALIKE, SAME = 0.4, 0.9
PROBES = {
    "newsgroups": ("space", "car", "god", "windows", "gun", "doctor", "game"),
    "docstrings": ("file", "thread", "date", "socket", "list", "error", "time"),
}
AGREES = "rank correlation of cosines with those of SVD"
JUDGED = "rank correlation of cosines with people's judgements (WordSim-353)"
Values = NDArray[np.float64]


def fits(data: str) -> dict[str, list[str]]:
    """None: words are no images of a data set."""
    return {}


def measure(lab: Lab) -> Found:
    """How alike the cosines of words are between methods, and how they agree with people."""
    rows, one_hot = sources(lab.data)
    known: tuple[str, ...] = rows.form.features if rows.form is not None else ()
    codes = {name: [unit_length(each) for each in codes_of(name, rows, one_hot, lab)] for name in METHODS}
    pairs = np.random.default_rng(0).integers(0, len(known), (PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    ranks = {name: [standard_ranks(cosines(each, pairs)) for each in found] for name, found in codes.items()}
    numbers: dict[str, Number] = {}
    for name in METHODS[1:]:
        numbers[f"{AGREES}, {name}"] = statistics.mean([each * ranks[SVD][0] for each in ranks[name]])
    numbers |= judgements(codes, known)
    near = {
        word: {name: neighbours(codes[name][0], known, word) for name in METHODS}
        for word in PROBES[lab.data]
        if word in known
    }
    return Found(numbers, {"near": near})


def sources(data: str) -> tuple[Source, Source]:
    """Words of a corpus as vectors of contexts (PPMI), and as one-hot vectors."""
    size = VOCABULARY[data]
    if data == "newsgroups":
        ppmi, one_hot = (words(str(home() / "data"), vocabulary=size, vectors=each) for each in ("ppmi", "one_hot"))
        return ppmi, one_hot
    with TemporaryDirectory() as folder:
        path = Path(folder) / "docstrings.txt"
        path.write_text("\n\n".join(text for name in MODULES for text in docstrings_of(name)), encoding="utf-8")
        ppmi, one_hot = (words("", str(path), vocabulary=size, vectors=each) for each in ("ppmi", "one_hot"))
        return ppmi, one_hot


def codes_of(name: str, rows: Source, one_hot: Source, lab: Lab) -> list[Tensor]:
    """Codes of all words, one set for each seed: (V, D)."""
    width = WIDTH[lab.data]
    if name == SKIP_GRAM:
        return [skip_gram(one_hot, width, seed) for seed in range(lab.seeds)]
    x = rows.train[:].flatten(1)
    variant = {SVD: "svd", LINEAR: "linear_ae", DEEP: "deep_ae"}[name]
    chosen = {DEEP: {"hidden": [4 * width]}}.get(name, {})
    found = []
    for seed in range(1 if name == SVD else lab.seeds):
        model = zoo.fit(
            variant,
            x,
            width=width,
            epochs=EPOCHS,
            batch_size=64,
            seed=seed,
            kind="vector",
            standardise=False,
            progress=False,
            settings=chosen,
        )
        found.append(torch.from_numpy(model.encode(x)))
    return found


def skip_gram(one_hot: Source, width: int, seed: int) -> Tensor:
    """Codes of all words by skip-gram with negative sampling: (V, D)."""
    data = Splits(one_hot)
    model = build(data.shape, linear, lambda: Pointwise(width), GaussianLikelihood(), NoCorruption(), seed)
    SkipGram(epochs=PASSES)(model, data, Objective(), seed)
    with torch.no_grad():
        return model.encode(one_hot.train[:])


def cosines(codes: Tensor, pairs: NDArray[np.int64]) -> Values:
    """Cosines of pairs of words, of codes of unit length: (N,)."""
    a, b = torch.from_numpy(pairs).T
    found: Values = (codes[a] * codes[b]).sum(1).double().numpy()
    return found


def standard_ranks(values: Values) -> Values:
    """Ranks with mean 0 and variance 1: a mean of products of two is Spearman's correlation."""
    ranks = rankdata(values)
    found: Values = (ranks - ranks.mean()) / ranks.std()
    return found


def judgements(codes: Mapping[str, list[Tensor]], known: tuple[str, ...]) -> dict[str, Number]:
    """Agreement with people; nothing where their judgements are not installed, or concern other words."""
    place = {word: row for row, word in enumerate(known)}
    try:
        pairs = word_pairs("wordsim353")
        return {
            f"{JUDGED}, {name}": statistics.over_seeds([similarity(each, place, pairs)[0] for each in found])
            for name, found in codes.items()
        }
    except NotApplicable:
        return {}


def neighbours(codes: Tensor, known: tuple[str, ...], word: str, count: int = 3) -> str:
    """The words nearest to a word by the cosine."""
    order = (codes @ codes[known.index(word)]).argsort(descending=True)[1 : count + 1]
    return ", ".join(known[int(place)] for place in order)


def cases(numbers: Numbers) -> list[Case]:
    """Each method's ranking of pairs of words against that of SVD."""
    found = {name: f"{AGREES}, {name}" for name in METHODS[1:]}
    return [
        *(
            Case.of(f"for {name} ordering pairs of words much as SVD does", key, numbers[key], above=ALIKE)
            for name, key in found.items()
        ),
        *(
            Case.of(f"for {name} ordering them as SVD does", key, numbers[key], above=SAME)
            for name, key in found.items()
        ),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """The nearest words by each method, and how alike the methods are."""
    (one,) = found.values()
    near, wide, high = one.shown["near"], 2.3, 0.34
    bottom = 0.5 + high * len(near)
    figure, (table, *panels) = canvas(
        "Which words are nearest, by SVD, autoencoders and skip-gram",
        "codes of equal width from the same counts of words near one another; bars: 95 % intervals",
        [
            (0.1, 0.1, 0.9 + wide * len(METHODS), high * (len(near) + 1)),
            (2.0, bottom + 0.4, 2.4, 1.3),
            (6.6, bottom + 0.4, 2.4, 1.3),
        ],
    )
    table.set_axis_off()
    table.set(xlim=(0, 0.9 + wide * len(METHODS)), ylim=(len(near) + 0.5, -0.5))
    for column, name in enumerate(METHODS):
        table.text(0.9 + wide * column, 0, name, weight="bold", va="center")
        for row, of in enumerate(near.values(), 1):
            table.text(0.9 + wide * column, row, of[name], va="center")
    for row, word in enumerate(near, 1):
        table.text(0, row, word, weight="bold", va="center")
    for panel, key, title in (
        (panels[0], AGREES, "Same order of pairs as SVD"),
        (panels[1], JUDGED, "As people judge"),
    ):
        known = {name: one.numbers[f"{key}, {name}"] for name in METHODS if f"{key}, {name}" in one.numbers}
        panel.set_visible(bool(known))
        draw_dots(panel, known)
        panel.set(xlabel="rank correlation of cosines", title=title)
    return figure


CLAIM = Claim(
    title="Word embeddings are linear bottlenecks",
    claim="""Skip-gram, which predicts the words around a word, is a linear autoencoder of one-hot words with another
        loss, and finds what the singular value decomposition of a matrix of co-occurrences finds. An activation or more
        layers add nothing of importance.""",
    why="""With enough units, the optimum of skip-gram factorises the pointwise mutual information of words and
        contexts, less a constant (Levy and Goldberg 2014); SVD factorises the positive part of the same matrix with
        least squared error.""",
    equation="""
        PMI(w, c) = log N(w, c) N / (N(w) N(c));   SVD: rows of U S for max(PMI, 0) = U S V^T
        skip-gram: v_w . u_c -> PMI(w, c) - log k for k negatives, if the width allows it""",
    done="""The most frequent words of a corpus were described by the words near them. The matrix of positive pointwise
        mutual information was given to SVD, to a linear autoencoder and to a deep one, and the counts to skip-gram, all
        with codes of the same width. Of random pairs of words, the cosines of codes were ranked, and the ranks compared
        with those of SVD by Spearman's correlation, and, where both words are known, with people's judgements. The
        reduced version uses the docstrings of Python's library.""",
    fails="""A linear autoencoder with biases can at best find the subspace of SVD of the centred matrix, and its units
        may be any mixture of it, which changes cosines. The methods agree on the nearest words, and less on the order
        of pairs that have little to do with one another. SVD weighs all words alike, skip-gram the frequent ones more;
        a zero of the positive matrix hides all degrees of never; and a few epochs leave directions of small variance
        unlearned. Intervals are over seeds, and not over the words that people judged, of which this corpus knows
        few.""",
    data=("newsgroups",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
    reduced="docstrings",
)
