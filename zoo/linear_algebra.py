"""Decompositions that do not fail on matrices of low rank."""

from __future__ import annotations

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

ROWS = 1024  # that are compared at a time


def varying_columns(x: Tensor) -> Tensor:
    """Which columns of rows (N, D) are not constant: (D,) bool."""
    return torch.stack([(rows != x[0]).any(0) for rows in torch.split(x, ROWS)]).any(0)


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, ascending, and orthonormal eigenvectors as columns, of a symmetric matrix: (D,), (D, D).

    LAPACK's divide and conquer, which torch uses, does not converge on some matrices of low rank; the slower QR
    algorithm then takes its place.

    Raises:
        torch.linalg.LinAlgError: the matrix is not finite.
    """
    try:
        values, vectors = torch.linalg.eigh(matrix)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        if not matrix.isfinite().all():
            raise
        from scipy.linalg import eigh as by_driver  # takes a third of a second to import

        with threadpool_limits(torch.get_num_threads()):
            found = by_driver(matrix.cpu().numpy(), driver="ev")
        values, vectors = (torch.from_numpy(part).to(matrix) for part in found)
    return values, vectors


def eigvalsh(matrix: Tensor) -> Tensor:
    """The eigenvalues alone, see `eigh`: (D,)."""
    try:
        values: Tensor = torch.linalg.eigvalsh(matrix)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        values = eigh(matrix)[0]
    return values


def principal_axes(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (D,), variances (D,) in descending order, and principal axes as columns (D, D) of rows (N, D), in float64.

    Variances are divided by N. Columns that are constant are axes of their own, the last ones: the dead units of a
    sparse code cost nothing.
    """
    mean = x.double().mean(0)
    varies = varying_columns(x)
    varying, constant = varies.nonzero()[:, 0], (~varies).nonzero()[:, 0]
    centred = (x if varies.all() else x[:, varying]) - mean[varying].to(x)
    inside, turn = eigh((centred.T @ centred).double() / len(x))
    variances = torch.cat([inside.flip(0), mean.new_zeros(len(constant))])
    axes = mean.new_zeros(len(mean), len(mean))
    axes[varying, : len(varying)] = turn.flip(1)
    axes[constant, torch.arange(len(varying), len(mean))] = 1
    return mean, variances, axes
