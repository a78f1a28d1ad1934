"""How well the geometry of codes agrees with labels; no model was fitted to labels."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.evaluation.measures.influence import Moved, of_table
from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.registry import Curve, metric

NEIGHBOURS = 10


@metric("clustering", "fraction", "lower")
def class_overlap(test_codes: Tensor, test_labels: Tensor) -> Tensor:
    """Fraction of a test code's 10 nearest other test codes that have another label, by Euclidean distance.

        1/N sum_n 1/10 sum_(j in nearest(n)) [y_j != y_n], nearest(n) the 10 nearest other test codes, y_n the label

    Misleads: distances depend on the scales of the units, and in a small test set the nearest other codes are far away.

    Args:
        test_codes: (N, D).
        test_labels: (N,).

    Returns:
        (N,) fractions.
    """
    _, index = nearest(test_codes, test_codes, min(NEIGHBOURS, len(test_codes) - 1), same=True)
    return (test_labels[index] != test_labels[:, None]).float().mean(1)


@metric("clustering", "fraction", "none", version=3)
def linear_probe_accuracy_of_pixels(pixel_probe: Tensor) -> Tensor:
    """Accuracy of the linear probe on the pixels themselves: a reference, the same for every model.

        1/N sum_n [argmax_c (W x_n + b)_c = y_n], W and b fitted as for linear_probe_accuracy, y_n the label

    Misleads: it describes the data set, not a model. A code above it has made classes easier to separate; it has not
    gained information.

    Args:
        pixel_probe: (N,) booleans, whether each test sample's label was predicted.
    """
    return pixel_probe


@metric("clustering", "1", "higher", version=3)
def kmeans_nmi(kmeans_clusters: Tensor, test_labels: Tensor) -> Curve:
    """Normalised mutual information between labels and k-means clusters of codes, with as many clusters as classes.

        2 I(c; y) / (H(c) + H(y)), c the cluster and y the label

    For all metrics `kmeans_*`: the best of 4 initialisations on the training codes (at most 10,000); each test code is
    assigned to the nearest centre.

    Misleads: k-means finds round clusters of similar size, on the scales that the units happen to have. A class that
    forms two clean clusters scores low.

    Args:
        kmeans_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return moved(normalised_mutual_information(kmeans_clusters, test_labels))


@metric("clustering", "1", "higher", version=3)
def kmeans_ari(kmeans_clusters: Tensor, test_labels: Tensor) -> Curve:
    """Adjusted Rand index between labels and k-means clusters of codes, with as many clusters as classes.

        (s - e) / ((a + b) / 2 - e), e = a b / p, with the numbers of pairs of samples of the same cluster and label
        (s), of the same cluster (a), of the same label (b), and of all pairs (p)

    L. Hubert, P. Arabie, "Comparing partitions", 1985.

    Misleads: as for kmeans_nmi; pairs within large classes also count more than pairs within small ones.

    Args:
        kmeans_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return moved(adjusted_rand_index(kmeans_clusters, test_labels))


@metric("clustering", "fraction", "higher", version=3)
def kmeans_accuracy(kmeans_clusters: Tensor, test_labels: Tensor) -> Curve:
    """Accuracy of k-means clusters as labels, under the one-to-one matching of clusters and labels that maximises it.

        max_m 1/N sum_n [m(c_n) = y_n], m a one-to-one matching of clusters to labels, c_n the cluster, y_n the label

    Misleads: as for kmeans_nmi; where one class is much larger than the others, a single large cluster scores high.

    Args:
        kmeans_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return moved(matched_accuracy(kmeans_clusters, test_labels))


@metric("clustering", "1", "higher", version=3)
def mixture_nmi(mixture_clusters: Tensor, test_labels: Tensor) -> Curve:
    """Normalised mutual information between labels and Gaussian-mixture clusters of codes.

        2 I(c; y) / (H(c) + H(y)), c the most probable component and y the label

    For all metrics `mixture_*`: as many full-covariance Gaussians as classes, fitted to the training codes (at most
    10,000) on their leading principal components (at most 32); each test code is assigned to its most probable
    component.

    Misleads: at most 32 principal components are clustered, so classes that differ only in directions of small variance
    are missed, and clusters of sparse codes are far from Gaussian.

    Args:
        mixture_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return moved(normalised_mutual_information(mixture_clusters, test_labels))


@metric("clustering", "1", "higher", version=3)
def mixture_ari(mixture_clusters: Tensor, test_labels: Tensor) -> Curve:
    """Adjusted Rand index between labels and Gaussian-mixture clusters of codes.

        (s - e) / ((a + b) / 2 - e), e = a b / p, with the numbers of pairs of samples of the same component and label
        (s), of the same component (a), of the same label (b), and of all pairs (p)

    Misleads: as for mixture_nmi; pairs within large classes also count more than pairs within small ones.

    Args:
        mixture_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return moved(adjusted_rand_index(mixture_clusters, test_labels))


@metric("clustering", "fraction", "higher", version=3)
def mixture_accuracy(mixture_clusters: Tensor, test_labels: Tensor) -> Curve:
    """Accuracy of Gaussian-mixture clusters as labels, matched one to one as for k-means.

        max_m 1/N sum_n [m(c_n) = y_n], m a one-to-one matching to labels, c_n the component, y_n the label

    Misleads: as for mixture_nmi; where one class is much larger than the others, a single large cluster scores high.

    Args:
        mixture_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return moved(matched_accuracy(mixture_clusters, test_labels))


@metric("clustering", "1", "higher", version=2)
def prior_nmi(prior_clusters: Tensor, test_labels: Tensor) -> Curve:
    """Normalised mutual information between labels and the components of the model's own prior.

        2 I(c; y) / (H(c) + H(y)), c the most probable component and y the label

    Each test sample is assigned to the component of the fitted prior that is most probable for its code.

    Misleads: components of a prior may describe the data well and yet divide it by style rather than by class.

    Args:
        prior_clusters: (N,), component of each test code.
        test_labels: (N,).
    """
    return moved(normalised_mutual_information(prior_clusters, test_labels))


@metric("clustering", "fraction", "higher", version=2)
def prior_accuracy(prior_clusters: Tensor, test_labels: Tensor) -> Curve:
    """Accuracy of the components of the model's own prior as labels, matched one to one as for k-means.

        max_m 1/N sum_n [m(c_n) = y_n], m a one-to-one matching to labels, c_n the component, y_n the label

    Misleads: components of a prior may describe the data well and yet divide it by style rather than by class.

    Args:
        prior_clusters: (N,), component of each test code.
        test_labels: (N,).
    """
    return moved(matched_accuracy(prior_clusters, test_labels))


def normalised_mutual_information(clusters: Tensor, labels: Tensor) -> Moved:
    """2 I(clusters; labels) / (H(clusters) + H(labels)), in [0, 1]; 1 where both are a single group."""

    def entropy(shares: Tensor) -> Tensor:
        each: Tensor = torch.special.entr(shares)
        return each.sum()

    def nmi(shares: Tensor) -> Tensor:
        apart = entropy(shares.sum(0)) + entropy(shares.sum(1))
        return shares.sum() if apart == 0 else 2 * (apart - entropy(shares)) / apart

    return of_table(nmi, clusters, labels)


def adjusted_rand_index(clusters: Tensor, labels: Tensor) -> Moved:
    """Agreement on pairs of items, 0 in expectation for random partitions and 1 for equal ones."""
    n = len(labels)

    def pairs(shares: Tensor) -> Tensor:
        return (shares * (n * shares - 1)).sum() / max(n - 1, 1)  # the share of pairs within one group

    def ari(shares: Tensor) -> Tensor:
        same, a, b = pairs(shares), pairs(shares.sum(0)), pairs(shares.sum(1))
        by_chance, most = a * b, (a + b) / 2
        return shares.sum() if most == by_chance else (same - by_chance) / (most - by_chance)

    return of_table(ari, clusters, labels)


def matched_accuracy(clusters: Tensor, labels: Tensor) -> Moved:
    """Fraction of items in the cluster that the best one-to-one matching gives to their label.

    H. Kuhn, "The Hungarian method for the assignment problem", 1955.
    """
    from scipy.optimize import linear_sum_assignment

    def matched(shares: Tensor) -> Tensor:
        rows, columns = linear_sum_assignment(shares.detach().numpy(), maximize=True)
        return shares[rows, columns].sum()

    return of_table(matched, clusters, labels)


def moved(found: Moved) -> Curve:
    """A value with the influences of the samples, for the evaluator."""
    return Curve(found.value, {}, len(found.influence), influence=(found.influence,))
