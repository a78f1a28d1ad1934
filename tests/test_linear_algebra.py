"""Eigenvectors, also where LAPACK's divide and conquer gives up."""

from __future__ import annotations

import pytest
import torch

from zoo.linear_algebra import eigh, eigvalsh, principal_axes


def low_rank(side: int = 40, rank: int = 3) -> torch.Tensor:
    x = torch.randn(rank, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x.T @ x


@pytest.fixture
def failing(monkeypatch):
    """LAPACK's answer where it does not converge."""

    def fails(matrix):
        raise torch.linalg.LinAlgError("linalg.eigh: The algorithm failed to converge")

    monkeypatch.setattr(torch.linalg, "eigh", fails)
    monkeypatch.setattr(torch.linalg, "eigvalsh", fails)


def test_the_slower_algorithm_takes_its_place(failing):
    matrix = low_rank()
    values, vectors = eigh(matrix)
    torch.testing.assert_close(vectors * values @ vectors.T, matrix)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(40, dtype=torch.float64))
    assert (values[1:] >= values[:-1]).all()
    assert torch.equal(eigvalsh(matrix), values)


def test_a_matrix_that_is_not_finite_is_refused(failing):
    with pytest.raises(torch.linalg.LinAlgError):
        eigh(torch.full((3, 3), torch.nan))


def test_constant_columns_are_axes_of_their_own():
    x = torch.randn(50, 7, generator=torch.Generator().manual_seed(0))
    x[:, [1, 4]] = torch.tensor([0.0, 3.0])
    mean, variances, axes = principal_axes(x)
    torch.testing.assert_close(mean, x.double().mean(0))
    torch.testing.assert_close(axes.T @ axes, torch.eye(7, dtype=torch.float64))
    torch.testing.assert_close(axes * variances @ axes.T, x.double().T.cov(correction=0), rtol=1e-5, atol=1e-6)
    assert variances[-2:].tolist() == [0, 0]
    assert torch.equal(principal_axes(torch.ones(5, 3))[1], torch.zeros(3, dtype=torch.float64))
