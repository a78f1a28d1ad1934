"""A linear probe: logistic regression from a representation to labels."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor

PENALTIES = (0.001, 0.01, 0.1, 1.0)


def linear_probe(
    train: Tensor, train_labels: Tensor, validation: Tensor, validation_labels: Tensor, test: Tensor
) -> Tensor:
    """Labels that multinomial logistic regression on standardised rows predicts for test rows.

    The L2 penalty is 1 / C, with C of 0.001, 0.01, 0.1 or 1 as in scikit-learn: the one with the highest accuracy on
    validation.

    Args:
        train: (N, D), and likewise the others.
        train_labels: (N,), and likewise the others.
        validation: selects the penalty.
        validation_labels: see there.
        test: rows whose labels are predicted.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(train.numpy())
    rows = [scaler.transform(part.numpy()) for part in (train, validation, test)]
    # Each penalty starts from the solution of the stronger one before it, which halves the time.
    probe = LogisticRegression(tol=1e-3, max_iter=200, warm_start=True)
    predicted: dict[float, np.ndarray] = {}
    for c in PENALTIES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are part of the definition
            probe.set_params(C=c).fit(rows[0], train_labels.numpy())
        predicted.setdefault(float(probe.score(rows[1], validation_labels.numpy())), probe.predict(rows[2]))
    return torch.from_numpy(predicted[max(predicted)])
