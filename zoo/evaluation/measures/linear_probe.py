"""A linear probe: logistic regression from a representation to labels."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from zoo.evaluation.registry import NotApplicable

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

PENALTIES = (1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
FEW_PENALTY, DRAWS = 0.1, 20  # of probes with few labels
SPARSE = 0.1  # fraction of entries that are not zero, below which rows are stored and multiplied as a sparse matrix


def linear_probe(
    train: Tensor, train_labels: Tensor, validation: Tensor, validation_labels: Tensor, test: Tensor
) -> Tensor:
    """Labels that multinomial logistic regression predicts for test rows.

        min_{W, b} sum_n -log softmax(W z_n + b)[y_n] + |W|^2 / (2 C),   z = (x - mean) / s,   s^2 = mean_d var(x_d)

    One scale s for all units: a unit that rarely fires stays small, and a rotation of the rows changes nothing. C is
    the one of 1e-4, 1e-3, ..., 1,000 with the highest accuracy on validation, the smallest of equal ones. Each C takes
    at most 200 steps, from the solution of the one before. Sparse rows are not centred: b is free, so that the mean
    changes no optimum.

    Args:
        train: (N, D), as the other rows.
        train_labels: (N,), as the other labels.
        validation: selects the penalty.
        validation_labels: of these.
        test: rows whose labels are predicted.

    Raises:
        NotApplicable: all training rows have one label.
    """
    probe, rows = fitted_probe(train, train_labels, validation, validation_labels, test)
    return torch.from_numpy(probe.predict(rows))


def log_odds(
    train: Tensor, train_labels: Tensor, validation: Tensor, validation_labels: Tensor, test: Tensor
) -> Tensor:
    """Log-odds of a label of two values that such a regression gives test rows: (N,); see `linear_probe`."""
    probe, rows = fitted_probe(train, train_labels, validation, validation_labels, test)
    return torch.from_numpy(probe.decision_function(rows))


def fitted_probe(
    train: Tensor, train_labels: Tensor, validation: Tensor, validation_labels: Tensor, test: Tensor
) -> tuple[LogisticRegression, Any]:
    """The regression of `linear_probe`, which has the same arguments, and the test rows in its form."""
    from sklearn.linear_model import LogisticRegression

    check_classes(train_labels)
    rows = scaled(train, train, validation, test)
    # Each penalty starts from the solution of the stronger one before it, which halves the time.
    probe = LogisticRegression(tol=1e-3, max_iter=200, warm_start=True)
    fitted: dict[float, LogisticRegression] = {}
    for c in PENALTIES:
        fit_probe(probe.set_params(C=c), rows[0], train_labels)
        fitted.setdefault(float(probe.score(rows[1], validation_labels.numpy())), deepcopy(probe))
    return fitted[max(fitted)], rows[2]


def few_label_probe(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, per_class: int) -> Tensor:
    """How often probes with few labels predict the label of each test row: fractions of 20 draws, (N,).

    The probe is that of `linear_probe` with C = 0.1: so few labels leave none to choose the penalty, and a choice on
    further labels would not be available in practice. Mean and scale are those of all training rows, which needs no
    labels. Draw k depends on the labels alone, and a draw of more labels per class includes those of a draw of fewer.

    Args:
        train: (M, D).
        train_labels: (M,).
        test: (N, D).
        test_labels: (N,).
        per_class: labelled training rows of each class.

    Raises:
        NotApplicable: all training rows have one label, or a class has fewer of them.
    """
    from sklearn.linear_model import LogisticRegression

    check_classes(train_labels)
    if (least := smallest_class(train_labels)) < per_class:
        raise NotApplicable(f"the smallest class has {least} training samples, fewer than {per_class} to be labelled")
    right = torch.zeros(len(test), dtype=torch.float64)
    known = [labelled(train_labels, per_class, seed) for seed in range(DRAWS)]
    *drawn, rows = scaled(train, *(train[index] for index in known), test)
    for index, few in zip(known, drawn, strict=True):
        probe = LogisticRegression(C=FEW_PENALTY, tol=1e-3, max_iter=200)
        fit_probe(probe, few, train_labels[index])
        right += torch.from_numpy(probe.predict(rows)) == test_labels
    return right / DRAWS


def fit_probe(probe: Any, rows: Any, labels: Tensor) -> None:
    """Fit a logistic regression to rows and their labels."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are part of the definition
        probe.fit(rows, labels.numpy())


def labelled(labels: Tensor, per_class: int, seed: int) -> Tensor:
    """Places of so many random labels of each class in labels (N,), class by class; more of them hold the fewer."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    shuffled = labels[order]
    return torch.cat([order[shuffled == label][:per_class] for label in sorted(set(labels.tolist()))])


def smallest_class(labels: Tensor) -> int:
    """Samples of the class that has the fewest among labels (N,), of those that occur."""
    counts = labels.bincount()
    return int(counts[counts > 0].min())


def check_classes(labels: Tensor) -> None:
    """NotApplicable if all training labels (N,) are of one class."""
    if (labels == labels[0]).all():
        raise NotApplicable("the training samples are all of one class")


def scaled(train: Tensor, *parts: Tensor) -> list[Any]:
    """Parts centred and divided by one scale, both of the training rows; sparse ones as sparse matrices, uncentred."""
    variance, mean = torch.var_mean(train, 0, correction=0)
    scale = float(variance.double().mean().sqrt()) or 1.0
    if float((train != 0).float().mean()) < SPARSE:
        from scipy.sparse import csr_matrix

        return [csr_matrix(part.numpy()) / np.float32(scale) for part in parts]
    return [((part - mean) / scale).numpy() for part in parts]
