"""How well the geometry of codes agrees with labels; no model was fitted to labels."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.registry import metric

NEIGHBOURS = 10


@metric("clustering", "fraction", "lower")
def class_overlap(test_codes: Tensor, test_labels: Tensor) -> Tensor:
    """Fraction of a test code's 10 nearest other test codes that have another label, by Euclidean distance.

    Misleads: distances depend on the scales of the units, and in a small test set the nearest other codes are far away.

    Args:
        test_codes: (N, D).
        test_labels: (N,).

    Returns:
        (N,) fractions.
    """
    _, index = nearest(test_codes, test_codes, min(NEIGHBOURS, len(test_codes) - 1), same=True)
    return (test_labels[index] != test_labels[:, None]).float().mean(1)


@metric("clustering", "fraction", "higher", version=2)
def linear_probe_accuracy_of_pixels(pixel_probe: Tensor) -> Tensor:
    """Accuracy of the linear probe on the pixels themselves: a reference, the same for every model.

    Misleads: it describes the data set, not a model. A code above it has made classes easier to separate; it has not
    gained information.

    Args:
        pixel_probe: (N,) booleans, whether each test image's label was predicted.
    """
    return pixel_probe


@metric("clustering", "1", "higher")
def kmeans_nmi(kmeans_clusters: Tensor, test_labels: Tensor) -> float:
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
    return normalised_mutual_information(kmeans_clusters, test_labels)


@metric("clustering", "1", "higher")
def kmeans_ari(kmeans_clusters: Tensor, test_labels: Tensor) -> float:
    """Adjusted Rand index between labels and k-means clusters of codes, with as many clusters as classes.

        (s - e) / ((a + b) / 2 - e), e = a b / p, with the numbers of pairs of samples of the same cluster and label
        (s), of the same cluster (a), of the same label (b), and of all pairs (p)

    L. Hubert, P. Arabie, "Comparing partitions", 1985.

    Misleads: as for kmeans_nmi; pairs within large classes also count more than pairs within small ones.

    Args:
        kmeans_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return adjusted_rand_index(kmeans_clusters, test_labels)


@metric("clustering", "fraction", "higher")
def kmeans_accuracy(kmeans_clusters: Tensor, test_labels: Tensor) -> float:
    """Accuracy of k-means clusters as labels, under the one-to-one matching of clusters and labels that maximises it.

    Misleads: as for kmeans_nmi; where one class is much larger than the others, a single large cluster scores high.

    Args:
        kmeans_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return matched_accuracy(kmeans_clusters, test_labels)


@metric("clustering", "1", "higher")
def mixture_nmi(mixture_clusters: Tensor, test_labels: Tensor) -> float:
    """Normalised mutual information between labels and Gaussian-mixture clusters of codes.

    For all metrics `mixture_*`: as many full-covariance Gaussians as classes, fitted to the training codes (at most
    10,000) on their leading principal components (at most 32); each test code is assigned to its most probable
    component.

    Misleads: at most 32 principal components are clustered, so classes that differ only in directions of small variance
    are missed, and clusters of sparse codes are far from Gaussian.

    Args:
        mixture_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return normalised_mutual_information(mixture_clusters, test_labels)


@metric("clustering", "1", "higher")
def mixture_ari(mixture_clusters: Tensor, test_labels: Tensor) -> float:
    """Adjusted Rand index between labels and Gaussian-mixture clusters of codes.

    Misleads: as for mixture_nmi; pairs within large classes also count more than pairs within small ones.

    Args:
        mixture_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return adjusted_rand_index(mixture_clusters, test_labels)


@metric("clustering", "fraction", "higher")
def mixture_accuracy(mixture_clusters: Tensor, test_labels: Tensor) -> float:
    """Accuracy of Gaussian-mixture clusters as labels, matched one to one as for k-means.

    Misleads: as for mixture_nmi; where one class is much larger than the others, a single large cluster scores high.

    Args:
        mixture_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return matched_accuracy(mixture_clusters, test_labels)


@metric("clustering", "1", "higher")
def prior_nmi(prior_clusters: Tensor, test_labels: Tensor) -> float:
    """Normalised mutual information between labels and the components of the model's own prior.

    Each test image is assigned to the component of the fitted prior that is most probable for its code.

    Misleads: components of a prior may describe the data well and yet divide it by style rather than by class.

    Args:
        prior_clusters: (N,), component of each test code.
        test_labels: (N,).
    """
    return normalised_mutual_information(prior_clusters, test_labels)


@metric("clustering", "fraction", "higher")
def prior_accuracy(prior_clusters: Tensor, test_labels: Tensor) -> float:
    """Accuracy of the components of the model's own prior as labels, matched one to one as for k-means.

    Misleads: components of a prior may describe the data well and yet divide it by style rather than by class.

    Args:
        prior_clusters: (N,), component of each test code.
        test_labels: (N,).
    """
    return matched_accuracy(prior_clusters, test_labels)


def normalised_mutual_information(clusters: Tensor, labels: Tensor) -> float:
    """2 I(clusters; labels) / (H(clusters) + H(labels)), in [0, 1]."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(labels.numpy(), clusters.numpy()))


def adjusted_rand_index(clusters: Tensor, labels: Tensor) -> float:
    """Agreement on pairs of items, 0 in expectation for random partitions and 1 for equal ones."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(labels.numpy(), clusters.numpy()))


def matched_accuracy(clusters: Tensor, labels: Tensor) -> float:
    """Fraction of items in the cluster that the best one-to-one matching gives to their label.

    H. Kuhn, "The Hungarian method for the assignment problem", 1955.
    """
    from scipy.optimize import linear_sum_assignment

    size = int(max(clusters.max(), labels.max())) + 1
    counts = torch.bincount(clusters * size + labels, minlength=size * size).view(size, size)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    return counts[rows, columns].sum().item() / len(labels)
