"""What the code knows of the labels, which it never saw."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.evaluation.metrics.registry import metric
from zoo.evaluation.neighbours import nearest
from zoo.evaluation.probe import linear_probe

NEIGHBOURS = 10


@metric("knowledge", "fraction", "higher")
def linear_probe_accuracy(
    train_codes: Tensor,
    train_labels: Tensor,
    validation_codes: Tensor,
    validation_labels: Tensor,
    test_codes: Tensor,
    test_labels: Tensor,
) -> Tensor:
    """Test images whose label multinomial logistic regression reads off the standardised point code.

    Fitted on the training codes, with the L2 penalty 1 / C (C of 0.001, 0.01, 0.1, 1, as in scikit-learn)
    that does best on validation.

    Args:
        train_codes: (N, D), and likewise the others.
        train_labels: (N,), and likewise the others.
        validation_codes: choose the penalty, with validation_labels.
        validation_labels: see there.
        test_codes: are judged, with test_labels.
        test_labels: see there.

    Returns:
        (N,) booleans, whether each test image was told right.
    """
    told = linear_probe(train_codes, train_labels, validation_codes, validation_labels, test_codes)
    return told == test_labels


@metric("knowledge", "fraction", "higher")
def knn_accuracy(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor, test_labels: Tensor) -> Tensor:
    """Test images whose label most of the 10 nearest training codes share, by Euclidean distance.

    Codes are taken as they are, not standardised; of labels with equally many neighbours the first counts.

    Args:
        train_codes: (N, D).
        train_labels: (N,).
        test_codes: (M, D).
        test_labels: (M,).

    Returns:
        (M,) booleans, whether each test image was told right.
    """
    _, index = nearest(test_codes, train_codes, min(NEIGHBOURS, len(train_codes)))
    votes = torch.nn.functional.one_hot(train_labels[index]).sum(1)
    return votes.argmax(1) == test_labels


@metric("clusters", "fraction", "lower")
def class_overlap(test_codes: Tensor, test_labels: Tensor) -> Tensor:
    """Fraction of a test code's 10 nearest other test codes whose label is another, by Euclidean distance.

    Args:
        test_codes: (N, D).
        test_labels: (N,).

    Returns:
        (N,) fractions.
    """
    _, index = nearest(test_codes, test_codes, min(NEIGHBOURS, len(test_codes) - 1), same=True)
    return (test_labels[index] != test_labels[:, None]).float().mean(1)


@metric("clusters", "fraction", "higher")
def linear_probe_accuracy_of_pixels(pixel_probe: Tensor) -> Tensor:
    """The linear probe's accuracy on the images as they are: a reference that no model changes.

    Args:
        pixel_probe: (N,) booleans, whether each test image was told right.
    """
    return pixel_probe


@metric("clusters", "1", "higher")
def kmeans_nmi(kmeans_clusters: Tensor, test_labels: Tensor) -> float:
    """Normalised mutual information between labels and k-means clusters of point codes, as many as classes.

    Mutual information over the mean of both entropies. Clusters of all metrics `kmeans_*`: best of 4 starts
    on the training codes (at most 10,000); test codes go to the nearest centre.

    Args:
        kmeans_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return normalised_mutual_information(kmeans_clusters, test_labels)


@metric("clusters", "1", "higher")
def kmeans_ari(kmeans_clusters: Tensor, test_labels: Tensor) -> float:
    """Adjusted Rand index between labels and k-means clusters of point codes, as many as classes.

    L. Hubert, P. Arabie, "Comparing partitions", 1985.

    Args:
        kmeans_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return adjusted_rand_index(kmeans_clusters, test_labels)


@metric("clusters", "fraction", "higher")
def kmeans_accuracy(kmeans_clusters: Tensor, test_labels: Tensor) -> float:
    """Test images in the cluster matched to their label, by the one-to-one matching with most such images.

    Args:
        kmeans_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return matched_accuracy(kmeans_clusters, test_labels)


@metric("clusters", "1", "higher")
def mixture_nmi(mixture_clusters: Tensor, test_labels: Tensor) -> float:
    """Normalised mutual information between labels and Gaussian-mixture clusters of point codes.

    Clusters of all metrics `mixture_*`: as many full-covariance Gaussians as classes, fitted to the training
    codes (at most 10,000) on their leading principal components (at most 32); a test code belongs to the
    component most probable for it.

    Args:
        mixture_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return normalised_mutual_information(mixture_clusters, test_labels)


@metric("clusters", "1", "higher")
def mixture_ari(mixture_clusters: Tensor, test_labels: Tensor) -> float:
    """Adjusted Rand index between labels and Gaussian-mixture clusters of point codes.

    Args:
        mixture_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return adjusted_rand_index(mixture_clusters, test_labels)


@metric("clusters", "fraction", "higher")
def mixture_accuracy(mixture_clusters: Tensor, test_labels: Tensor) -> float:
    """Test images in the Gaussian-mixture cluster matched to their label, matched one to one as for k-means.

    Args:
        mixture_clusters: (N,), cluster of each test code.
        test_labels: (N,).
    """
    return matched_accuracy(mixture_clusters, test_labels)


@metric("clusters", "1", "higher")
def prior_nmi(prior_clusters: Tensor, test_labels: Tensor) -> float:
    """Normalised mutual information between labels and the components of the model's own prior.

    A test image belongs to the component of the fitted prior that is most probable for its point code.

    Args:
        prior_clusters: (N,), component of each test code.
        test_labels: (N,).
    """
    return normalised_mutual_information(prior_clusters, test_labels)


@metric("clusters", "fraction", "higher")
def prior_accuracy(prior_clusters: Tensor, test_labels: Tensor) -> float:
    """Test images in the component of the model's own prior matched to their label, one to one as for k-means.

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
    """Pairs on which both partitions agree, 0 where as many as by chance, 1 where all."""
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
