"""Documents: how well words are predicted, and whether documents of one subject have similar codes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.evaluation.measures.code_plane import CodePlane
from zoo.evaluation.measures.influence import mean, ratio
from zoo.evaluation.measures.retrieval import Retrieval
from zoo.evaluation.metrics.probing import majority
from zoo.evaluation.registry import Curve, NotApplicable, metric
from zoo.evaluation.subject.termed import Topics

if TYPE_CHECKING:
    from zoo.data.splits import Splits


@metric("documents", "words", "lower", version=2, kinds=("counts",))
def perplexity(held_out_words: Tensor, term_log_probabilities: Tensor) -> Curve:
    """exp of the mean negative log-probability of a held-out word: as hard as a guess among so many words.

        exp(-sum_n sum_t x_nt log p_nt / sum_n sum_t x_nt), x_nt the held-out count of term t in document n

    The words of each test document are divided at random into halves. The first is encoded, and the terms' shares in
    its reconstruction are the probabilities of the words in the second. A model that gives every term the same
    probability has a perplexity equal to the number of terms. D. Blei, A. Ng, M. Jordan, "Latent Dirichlet allocation",
    2003; in halves: A. Asuncion et al., "On smoothing and inference for topic models", 2009.

    Misleads: a smaller vocabulary has a smaller perplexity, so values compare within one data set only.

    Args:
        held_out_words: (N, D), counts of the second halves.
        term_log_probabilities: (N, D).

    Raises:
        NotApplicable: no document has a second half.
    """
    words = held_out_words.sum(1).double()
    if not words.any():
        raise NotApplicable("no test document has two words")
    nats = ratio(-(held_out_words.double() * term_log_probabilities).sum(1), words)
    value = math.exp(nats.value)
    return Curve(value, {}, len(words), influence=(value * nats.influence,))


@metric("documents", "fraction", "higher", kinds=("counts", "vector"))
def retrieval_precision(code_retrieval: Retrieval) -> Tensor:
    """Fraction of the ten test samples nearest to a test sample, by the cosine of codes, that have its label.

        1/10 sum_(j in nearest(n)) [y_j = y_n]

    Misleads: the labels decide what counts as relevant, and large classes are found more easily by chance.

    Args:
        code_retrieval: of codes.

    Returns:
        (N,), for each test sample as the query.
    """
    return code_retrieval.precision[10]


@metric("documents", "fraction", "none", kinds=("counts", "vector"))
def retrieval_precision_of_terms(term_retrieval: Retrieval) -> Tensor:
    """retrieval_precision of the features themselves, without a model: a reference.

        1/10 sum_(j in nearest(n)) [y_j = y_n], nearest(n) by the cosine of features, y_n the label

    Misleads: it describes the data set, not a model.
    """
    return term_retrieval.precision[10]


@metric("documents", "fraction", "none", kinds=("counts", "vector"))
def linear_probe_accuracy_of_terms(pixel_probe: Tensor) -> Tensor:
    """linear_probe_accuracy of the features themselves, without a model: a reference.

        1/N sum_n [argmax_c (W x_n + b)_c = y_n], W and b those of the regression, y_n the label

    Misleads: it describes the data set, not a model.
    """
    return pixel_probe


@metric("documents", "fraction", "none", kinds=("counts", "vector"))
def knn_accuracy_of_terms(data: Splits, test_labels: Tensor) -> Tensor:
    """knn_accuracy of the features themselves, without a model: a reference.

        1/N sum_n [argmax_c k_nc = y_n], k_nc of the 10 training samples nearest to x_n have label c, y_n the label

    Training samples are evenly spaced ones of a large set.

    Misleads: it describes the data set, not a model; distances of counts are mostly those of their numbers of words.
    """
    train = data.train.spaced()
    return majority(train[:].flatten(1), train.labels, data.test[:].flatten(1)) == test_labels


@metric("documents", "fraction", "higher", version=2, kinds=("counts", "vector"))
def retrieval_curve(code_retrieval: Retrieval) -> Curve:
    """Mean precision over 1, 3, 7, 15, ... retrieved samples; the curve has recall and precision.

        1/R sum_r 1/r sum_(j in nearest_r(n)) [y_j = y_n], r = 1, 3, 7, ..., 2^R - 1, mean over test samples n

    As figure 4 of G. Hinton, R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006.

    Misleads: one mean hides whether a code is better among the first few retrieved samples or far down the list.
    """
    numbers = [number for number in code_retrieval.precision if number != 10]
    precision = [code_retrieval.precision[number].mean().item() for number in numbers]
    recall = [code_retrieval.recall[number].mean().item() for number in numbers]
    found = mean(torch.stack([code_retrieval.precision[number] for number in numbers]).mean(0))
    table = {"retrieved": [*map(float, numbers)], "recall": recall, "precision": precision}
    return Curve(found.value, table, len(found.influence), influence=(found.influence,))


@metric("documents", "1", "higher", kinds=("counts", "vector"), version=2)
def topic_coherence(topics: Topics) -> Curve:
    """How often the ten terms that a unit increases most occur together: normalised mutual information, -1 to 1.

        log(p(a, b) / (p(a) p(b))) / -log p(a, b), mean over pairs (a, b) of the ten terms,
        p(a, b) the fraction of training documents that hold both

    Mean over units that vary over training documents; the curve has the terms of each.

    Misleads: units that all have the same coherent terms score high although they describe a single topic.
    """
    order = topics.coherence.argsort(descending=True)
    table = {"terms": [" ".join(topics.terms[i]) for i in order], "coherence": topics.coherence[order].tolist()}
    return Curve(topics.coherence.mean().item(), table)


@metric("documents", "fraction", "none", kinds=("counts", "vector"))
def document_map(document_plane: CodePlane) -> Curve:
    """Fraction of the variance of codes on the plane of their two leading axes.

    The codes are those of at most 300 evenly spaced test samples; the curve has their coordinates, for a picture.

    Misleads: the fraction is 1 for every code of two units; the picture of a wide code shows little of it.
    """
    return document_plane.as_curve("group")
