"""Word embeddings are linear bottlenecks: SVD of co-occurrences, skip-gram, and autoencoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import svds
from scipy.stats import rankdata
from torch import Tensor

import zoo
from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots
from experiments.claims.lab import Lab
from zoo.data.images import Source
from zoo.data.sources.contexts import END, corpus, neighbours_of, ppmi, words
from zoo.data.sources.corpora import MODULES, docstrings_of
from zoo.data.splits import Splits
from zoo.evaluation.measures.word_judgements import unit_length, word_pairs
from zoo.evaluation.registry import NotApplicable
from zoo.files import home
from zoo.fitting.skip_gram import SkipGram
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.objective.objective import Objective

SVD, LINEAR, ACTIVATED, DEEP, SKIP_GRAM = (
    "SVD",
    "linear autoencoder",
    "tanh on the code",
    "deep autoencoder",
    "skip-gram",
)
METHODS = (SVD, LINEAR, ACTIVATED, DEEP, SKIP_GRAM)
OTHER, CHANCE = "SVD of another text", "chance"
FITTED: dict[str, tuple[str, dict[str, Any]]] = {  # variant and settings
    SVD: ("svd", {}),
    LINEAR: ("linear_ae", {}),
    ACTIVATED: ("linear_ae", {"bottleneck": "tanh"}),
    DEEP: ("deep_ae", {}),
}
VOCABULARY, WIDTH, PAIRS = {"newsgroups": 1_500, "docstrings": 500}, {"newsgroups": 50, "docstrings": 20}, 5_000
WINDOW, BLOCK, SMOOTHING = 5, 1_000, 0.75  # words on either side; words of a block of a half; of contexts
EPOCHS, PASSES = 30, 6  # of autoencoders, and of skip-gram
NEAREST, LISTED = 10, 3
MARGIN = 0.05  # of errors and of shares: what is less is said to be nothing of importance
PROBES = {
    "newsgroups": ("space", "car", "god", "windows", "gun", "doctor", "game"),
    "docstrings": ("file", "thread", "date", "socket", "list", "error", "time"),
}
AGREES = "rank correlation of cosines with those of SVD"
SHARED = f"share of the {NEAREST} nearest words that are SVD's"
ERROR = "squared error on another text over that of SVD"
FITTED_ERROR = "squared error on the text that was fitted to, over that of SVD"
JUDGED = "rank correlation of cosines with people's judgements (WordSim-353)"
KNOWN = "pairs of WordSim-353 of which both words are known"
Values = NDArray[np.float64]


def fits(data: str) -> dict[str, list[str]]:
    """None: words are no images of a data set."""
    return {}


def measure(lab: Lab) -> Found:
    """How alike what methods find is, how well autoencoders reconstruct, and how they agree with people."""
    one_hot, texts = sources(lab.data)
    known: tuple[str, ...] = one_hot.form.features if one_hot.form is not None else ()
    x, other = (torch.from_numpy(ppmi(text, SMOOTHING).toarray()) for text in texts)
    fitted_to = replace(one_hot, pairs=texts[0])
    predicted = {name: predictions_of(name, x, fitted_to, lab) for name in METHODS}
    found = {name: [centred(each) for each in several] for name, several in predicted.items()}
    found[OTHER] = [centred(truncated(other, WIDTH[lab.data]))]
    pairs = np.random.default_rng(0).integers(0, len(known), (PAIRS, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    ranks = {name: [standard_ranks(cosines(each, pairs)) for each in several] for name, several in found.items()}
    near = {name: [nearest(each) for each in several] for name, several in found.items()}
    orders, overlaps = {}, {}
    for name in (*METHODS[1:], OTHER):
        orders[name] = np.array([each * ranks[SVD][0] for each in ranks[name]])
        overlaps[name] = np.array([overlap(each, near[SVD][0]) for each in near[name]])
    numbers: dict[str, Number] = {}
    for name, products in orders.items():
        numbers[f"{AGREES}, {name}"] = statistics.mean(products).within(-1, 1)
    for name, shares in overlaps.items():
        numbers[f"{SHARED}, {name}"] = statistics.mean(shares).within(0, 1)
    numbers[f"{SHARED}, {CHANCE}"] = Number(NEAREST / (len(known) - 1))
    numbers[less(SKIP_GRAM, LINEAR)] = statistics.difference(overlaps[SKIP_GRAM], overlaps[LINEAR])
    for text, key in ((other, ERROR), (x, FITTED_ERROR)):
        errors = {name: np.array([squares(each - text) for each in predicted[name]]) for name in FITTED}
        for name in (LINEAR, ACTIVATED, DEEP):
            numbers[f"{key}, {name}"] = statistics.ratio(errors[name], errors[SVD])
    numbers |= judgements({name: found[name] for name in METHODS}, known)
    listed = {
        word: {name: listing(near[name][0], known, word) for name in METHODS}
        for word in PROBES[lab.data]
        if word in known
    }
    return Found(numbers, {"near": listed})


def less(name: str, other: str) -> str:
    """The name of the difference of two methods' agreement with SVD."""
    return f"{SHARED}, {name} less {other}"


def sources(data: str) -> tuple[Source, list[csr_matrix]]:
    """Words of a corpus as one-hot vectors, and how often they are near one another in each half of the text.

    A half consists of every other block of words.
    """
    size = VOCABULARY[data]

    def read(root: str, path: str | None) -> tuple[Source, NDArray[np.int32]]:
        one_hot = words(root, path, size, WINDOW, SMOOTHING, vectors="one_hot")
        return one_hot, corpus(root, path, size)[1]

    if data == "newsgroups":
        one_hot, tokens = read(str(home() / "data"), None)
    else:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "docstrings.txt"
            path.write_text("\n\n".join(text for name in MODULES for text in docstrings_of(name)), encoding="utf-8")
            one_hot, tokens = read("", str(path))
    block = np.arange(len(tokens)) // BLOCK % 2
    return one_hot, [neighbours_of(np.where(block == half, tokens, END), size, WINDOW) for half in range(2)]


def predictions_of(name: str, x: Tensor, one_hot: Source, lab: Lab) -> list[Tensor]:
    """What a method predicts for all words and contexts from its codes, one matrix for each seed: (V, V)."""
    width = WIDTH[lab.data]
    if name == SKIP_GRAM:
        return [skip_gram(one_hot, width, seed) for seed in range(lab.seeds)]
    variant, own = FITTED[name]
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
            settings=own | ({"hidden": [4 * width]} if name == DEEP else {}),
        )
        found.append(torch.from_numpy(model.reconstruct(x)))
    return found


def skip_gram(one_hot: Source, width: int, seed: int) -> Tensor:
    """v_w . u_c of skip-gram with negative sampling for all words and contexts: (V, V)."""
    data = Splits(one_hot)
    model = build(data.shape, linear, lambda: Pointwise(width), GaussianLikelihood(), NoCorruption(), seed)
    SkipGram(epochs=PASSES)(model, data, Objective(), seed)
    with torch.no_grad():
        return model.reconstruct(one_hot.train[:]).flatten(1)


def truncated(matrix: Tensor, width: int) -> Tensor:
    """What SVD with so many units predicts: (V, V)."""
    u, s, v = svds(matrix.numpy(), width, random_state=0)
    return torch.from_numpy((u * s) @ v)


def centred(predicted: Tensor) -> Tensor:
    """The rows of predictions less their mean over words, of unit length: (V, V)."""
    return unit_length(predicted - predicted.mean(0))


def squares(difference: Tensor) -> Values:
    """Mean square of each row: (V,)."""
    found: Values = difference.square().mean(1).double().numpy()
    return found


def cosines(rows: Tensor, pairs: NDArray[np.int64]) -> Values:
    """Cosines of pairs of words, of rows of unit length: (N,)."""
    a, b = torch.from_numpy(pairs).T
    found: Values = (rows[a] * rows[b]).sum(1).double().numpy()
    return found


def standard_ranks(values: Sequence[float] | Values) -> Values:
    """Ranks with mean 0 and variance 1: a mean of products of two is Spearman's correlation."""
    ranks = rankdata(values)
    found: Values = (ranks - ranks.mean()) / ranks.std()
    return found


def nearest(rows: Tensor) -> Tensor:
    """The words nearest to each word by the cosine, nearest first: (V, NEAREST)."""
    alike = rows @ rows.T
    return alike.fill_diagonal_(-torch.inf).topk(NEAREST).indices


def overlap(a: Tensor, b: Tensor) -> Values:
    """The share of the nearest words that two methods have in common, for each word: (V,)."""
    found: Values = (a[:, :, None] == b[:, None]).sum((1, 2)).double().numpy() / NEAREST
    return found


def judgements(found: Mapping[str, list[Tensor]], known: tuple[str, ...]) -> dict[str, Number]:
    """Agreement with people; nothing where their judgements are not installed, or concern other words."""
    place = {word: row for row, word in enumerate(known)}
    try:
        judged = [(place[a], place[b], value) for a, b, value in word_pairs("wordsim353") if {a, b} <= place.keys()]
    except NotApplicable:
        return {}
    if len(judged) < 3:
        return {}
    pairs, people = np.array([pair[:2] for pair in judged]), standard_ranks([value for *_, value in judged])
    numbers = {KNOWN: Number(len(judged))}
    for name, several in found.items():
        products = np.array([standard_ranks(cosines(each, pairs)) * people for each in several])
        numbers[f"{JUDGED}, {name}"] = statistics.over_images(lambda a: a, products).within(-1, 1)
    return numbers


def listing(near: Tensor, known: tuple[str, ...], word: str) -> str:
    """The words nearest to a word."""
    return ", ".join(known[int(place)] for place in near[known.index(word)][:LISTED])


def cases(numbers: Numbers) -> list[Case]:
    """Agreement with SVD, and what activation and layers add."""

    def finds(name: str) -> Case:
        part = f"{name[0].upper()}{name[1:]} finds most of SVD's nearest words"
        return Case.of(part, f"{SHARED}, {name}", numbers[f"{SHARED}, {name}"], above=0.5)

    def nothing(name: str, addition: str) -> Case:
        part = f"{addition} does not lower the error on another text below that of SVD"
        return Case.of(part, f"{ERROR}, {name}", numbers[f"{ERROR}, {name}"], above=1 - MARGIN)

    key = less(SKIP_GRAM, LINEAR)
    part = "Skip-gram finds as many of SVD's nearest words as a linear autoencoder does"
    return [
        finds(SKIP_GRAM),
        finds(LINEAR),
        Case.of(part, key, numbers[key], above=-MARGIN),
        nothing(ACTIVATED, "An activation (tanh) on the code"),
        nothing(DEEP, "A hidden layer on either side"),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """The nearest words by each method, how alike the methods are, and their errors."""
    (one,) = found.values()
    near, wide, high = one.shown["near"], 2.25, 0.3
    bottom = 0.5 + high * len(near)
    figure, (table, *panels) = canvas(
        found,
        "Which words are nearest, by SVD, autoencoders and skip-gram",
        "codes of equal width from the same counts of words near one another; bars: 95 % intervals",
        [
            (0.1, 0.1, 0.9 + wide * len(METHODS), high * (len(near) + 1)),
            *((2.1 + 3.6 * k + 0.6 * (k > 0), bottom + 0.4, 1.9, 1.8) for k in range(3)),
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
    shown = (
        (SHARED, (*METHODS[1:], OTHER), "Nearest words as SVD", "share of the nearest words"),
        (ERROR, METHODS, "Error (below 1: better than SVD)", "error on another text over that of SVD"),
        (JUDGED, METHODS, "As people judge pairs", "rank correlation"),
    )
    for panel, (key, names, title, label) in zip(panels, shown, strict=True):
        known = {name: one.numbers[f"{key}, {name}"] for name in names if f"{key}, {name}" in one.numbers}
        panel.set_visible(bool(known))
        draw_dots(panel, known, first=METHODS.index(next(iter(known), SVD)))
        panel.margins(x=0.15)
        panel.set(xlabel=label, title=title)
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
        PMI(w, c) = log N(w, c) N / (N(w) N(c));   SVD: max(PMI, 0) = U S V^T, the largest S kept
        skip-gram: v_w . u_c -> PMI(w, c) - log k for k negatives, if the width allows it""",
    done=f"""A corpus was cut into two texts, every other block of {BLOCK:,} words. The {VOCABULARY["newsgroups"]:,}
        most frequent words were described by the words near them in the first text. The matrix of positive pointwise
        mutual information was given to SVD, to a linear autoencoder, to one with a tanh on the code, and to one with a
        hidden layer on either side; the counts were given to skip-gram; all with codes of {WIDTH["newsgroups"]} units.
        Units may be any mixture of those of SVD. So words were compared by what their codes predict for all contexts,
        which does not depend on the mixture: reconstructions of the matrix, or v_w . u_c, less their mean over words.
        For each word, the {NEAREST} nearest by the cosine were compared with those of SVD; for comparison, so were
        those of SVD on the second text. Cosines of {PAIRS:,} random pairs were ranked, too, and those of pairs that
        people judged. The matrix of the second text was compared with the predictions by the squared error. A
        difference of less than {100 * MARGIN:.0f} % counts as nothing. Intervals are over words or pairs, and over
        seeds. The reduced version uses the docstrings of Python's library.""",
    fails="""SVD weighs all pairs alike, skip-gram the frequent ones more; PPMI sets all negative values to 0, so it
        cannot tell "seldom together" from "never together". The linear autoencoder has biases, which SVD of the matrix
        without centring lacks, and was fitted for few epochs. A hidden layer may still fit the first text better; that
        error is in the table. People have judged few pairs of words of this corpus, too few to rank the methods. One
        corpus and one width were measured.""",
    data=("newsgroups",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "nynyy": """A linear autoencoder finds most of what SVD finds. Most nearest words of skip-gram differ from those
            of SVD, but far more agree than by chance. An activation or a hidden layer adds nothing: neither
            predicts another text better than SVD does.""",
    },
    draw=draw,
    reduced="docstrings",
)
