"""How well labels can be predicted from codes; no model was fitted to labels."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.evaluation.measures.linear_probe import linear_probe
from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.registry import metric

NEIGHBOURS = 10


@metric("probing", "fraction", "higher", version=3)
def linear_probe_accuracy(
    train_codes: Tensor,
    train_labels: Tensor,
    validation_codes: Tensor,
    validation_labels: Tensor,
    test_codes: Tensor,
    test_labels: Tensor,
) -> Tensor:
    """Accuracy on test samples of multinomial logistic regression on codes that are centred and divided by one scale.

        1/N sum_n [argmax_c (W z_n + b)_c = y_n], W and b those of the regression, y_n the label

    Fitted to the training codes, with the L2 penalty 1 / C (C of 1e-4, 1e-3, ..., 1,000, as in scikit-learn) that has
    the highest accuracy on validation.

    Misleads: wide codes are easier to separate than narrow ones, and information that is present but not linearly
    readable does not count. Compare with linear_probe_accuracy_of_pixels.

    Args:
        train_codes: (N, D), as the other codes.
        train_labels: (N,), as the other labels.
        validation_codes: choose the penalty.
        validation_labels: of these.
        test_codes: on which the accuracy is measured.
        test_labels: of these.

    Returns:
        (N,) booleans, whether each test sample's label was predicted.

    Raises:
        NotApplicable: all training samples have one label.
    """
    predicted = linear_probe(train_codes, train_labels, validation_codes, validation_labels, test_codes)
    return predicted == test_labels


@metric("probing", "fraction", "higher")
def knn_accuracy(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor, test_labels: Tensor) -> Tensor:
    """Accuracy on test samples of the majority label among the 10 nearest training codes, by Euclidean distance.

        1/N sum_n [argmax_c k_nc = y_n], k_nc of the 10 training codes nearest to z_n have label c, y_n the label

    Codes are not standardised; of labels with equally many neighbours the first is predicted.

    Misleads: distances depend on the scales of the units: one unit of large variance can decide all neighbours.

    Args:
        train_codes: (N, D).
        train_labels: (N,).
        test_codes: (M, D).
        test_labels: (M,).

    Returns:
        (M,) booleans, whether each test sample's label was predicted.
    """
    return majority(train_codes, train_labels, test_codes) == test_labels


def majority(train_codes: Tensor, train_labels: Tensor, test_codes: Tensor) -> Tensor:
    """The most frequent label among the 10 nearest training codes of each test code: (M,)."""
    _, index = nearest(test_codes, train_codes, min(NEIGHBOURS, len(train_codes)))
    found = train_labels[index]
    votes = found.new_zeros(len(found), int(found.max()) + 1).scatter_add_(1, found, torch.ones_like(found))
    return votes.argmax(1)
