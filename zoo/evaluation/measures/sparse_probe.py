"""Linear probes that may use only a few units of a representation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.evaluation.measures.linear_probe import log_odds

MOST = 10_000  # training rows, evenly spaced


def sparse_probes(
    train: Tensor,
    train_labels: Tensor,
    validation: Tensor,
    validation_labels: Tensor,
    test: Tensor,
    counts: Sequence[int],
) -> dict[int, Tensor]:
    """Labels of test rows, predicted by probes that use k units for each class: {k: (N,)} for each k of `counts`.

    For each class c, the k units S_c are chosen on training rows, and a logistic regression on them separates c from
    all other classes, as `zoo.evaluation.measures.linear_probe` does. Of a test row, the class of highest log-odds is
    predicted. At most 10,000 training rows are used, evenly spaced.

    Args:
        train: (N, D), as the other rows.
        train_labels: (N,), as the other labels.
        validation: selects the penalty of each regression.
        validation_labels: of these.
        test: rows whose labels are predicted.
        counts: numbers of units k.

    Raises:
        NotApplicable: all training rows have one label.
    """
    step = math.ceil(len(train) / MOST)
    train, train_labels = train[::step], train_labels[::step]
    classes = torch.tensor(sorted(set(train_labels.tolist())))
    standard = standardised(train)
    gram = (standard.T @ standard).numpy()
    units = [best_units(standard, gram, train_labels == c, counts) for c in classes]

    def odds(label: Tensor, chosen: Tensor) -> Tensor:
        x, x_validation, x_test = (rows[:, chosen] for rows in (train, validation, test))
        return log_odds(x, train_labels == label, x_validation, validation_labels == label, x_test)

    scores = {k: torch.stack([odds(c, own[k]) for c, own in zip(classes, units, strict=True)], 1) for k in counts}
    return {k: classes[score.argmax(1)] for k, score in scores.items()}


def standardised(rows: Tensor) -> Tensor:
    """Units of rows (N, D) with mean 0 and variance 1; constant ones are 0."""
    std, mean = torch.std_mean(rows, 0, correction=0)
    return torch.where(std > 0, (rows - mean) / std, 0.0)


def best_units(rows: Tensor, gram: NDArray[Any], inside: Tensor, counts: Sequence[int]) -> dict[int, Tensor]:
    """The units that explain best whether rows belong to a class: {k: (k,) int64} for each k of `counts`.

    Chosen greedily by orthogonal matching pursuit, in least squares of the class's indicator on standardised units: the
    first is the one of largest correlation, each further one that of largest correlation with the residual. Fewer than
    k, but one at least, where no other unit adds anything. Y. Pati, R. Rezaiifar, P. Krishnaprasad, "Orthogonal
    matching pursuit", 1993.

    Args:
        rows: (N, D), standardised.
        gram: (D, D), their inner products, which all classes share.
        inside: (N,) booleans.
        counts: numbers of units k.
    """
    from sklearn.linear_model import orthogonal_mp_gram

    target = inside.float() - inside.float().mean()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "\\s*Orthogonal matching pursuit ended prematurely", RuntimeWarning)
        most = min(max(counts), rows.shape[1])
        path = orthogonal_mp_gram(gram, (rows.T @ target).numpy(), n_nonzero_coefs=most, return_path=True)
    steps = torch.from_numpy(path.reshape(rows.shape[1], path.size // rows.shape[1]) != 0)
    if not steps.any():
        steps = torch.arange(rows.shape[1])[:, None] == 0
    return {k: steps[:, :k][:, -1].nonzero()[:, 0] for k in counts}
