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

PENALTIES = (1e-4, 1e-3, 0.01, 0.1, 1.0)
SPARSE = 0.1  # fraction of entries that are not zero, below which rows are stored and multiplied as a sparse matrix


def linear_probe(
    train: Tensor, train_labels: Tensor, validation: Tensor, validation_labels: Tensor, test: Tensor
) -> Tensor:
    """Labels that multinomial logistic regression predicts for test rows.

        min_{W, b} sum_n -log softmax(W z_n + b)[y_n] + |W|^2 / (2 C),   z = (x - mean) / s,   s^2 = mean_d var(x_d)

    One scale s for all units: a unit that rarely fires stays small, and a rotation of the rows changes nothing. C is
    the one of 1e-4, 1e-3, ..., 1 with the highest accuracy on validation, the smallest of equal ones. Sparse rows are
    not centred: b is free, so that the mean changes no optimum.

    Args:
        train: (N, D), and likewise the others.
        train_labels: (N,), and likewise the others.
        validation: selects the penalty.
        validation_labels: see there.
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
    """The regression of `linear_probe`, whose arguments these are, and the test rows as it takes them."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    check_classes(train_labels)
    rows = scaled(train, validation, test)
    # Each penalty starts from the solution of the stronger one before it, which halves the time.
    probe = LogisticRegression(tol=1e-3, max_iter=200, warm_start=True)
    fitted: dict[float, LogisticRegression] = {}
    for c in PENALTIES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are part of the definition
            probe.set_params(C=c).fit(rows[0], train_labels.numpy())
        fitted.setdefault(float(probe.score(rows[1], validation_labels.numpy())), deepcopy(probe))
    return fitted[max(fitted)], rows[2]


def check_classes(labels: Tensor) -> None:
    """NotApplicable if all of the labels (N,) are the same."""
    if (labels == labels[0]).all():
        raise NotApplicable("the training samples are all of one class")


def scaled(train: Tensor, *others: Tensor) -> list[Any]:
    """Rows centred and divided by one scale, both of the training rows; sparse rows as sparse matrices, not centred."""
    variance, mean = torch.var_mean(train, 0, correction=0)
    scale = float(variance.double().mean().sqrt()) or 1.0
    parts = [train, *others]
    if float((train != 0).float().mean()) < SPARSE:
        from scipy.sparse import csr_matrix

        return [csr_matrix(part.numpy()) / np.float32(scale) for part in parts]
    return [((part - mean) / scale).numpy() for part in parts]
