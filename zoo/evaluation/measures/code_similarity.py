"""Similarity of two codes of the same samples, up to changes that a decoder can undo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.evaluation.registry import NotApplicable

UNITS = 2_048
ROUNDING = 1e-10  # of the largest variance of a unit: one that varies less is constant
LEAST = 4  # samples that the debiased estimate needs


@dataclass(frozen=True)
class SeedSimilarity:
    """Similarity of the code of a model to those of the same model with other seeds.

    Attributes:
        cka: {seed: `linear_cka`}.
        matched: {seed: `matched_correlation`}.
        rotated: `matched_correlation` of the code and a random rotation of it.
        n: samples.
    """

    cka: dict[int, float]
    matched: dict[int, float]
    rotated: float
    n: int


def centred(codes: Tensor) -> Tensor:
    """Codes (N, D) about their mean, as float64, without units that do not vary; at most 2,048 units of most variance.

    Raises:
        NotApplicable: fewer than 4 samples, or no unit varies.
    """
    if len(codes) < LEAST:
        raise NotApplicable(f"there are {len(codes)} samples, and the similarity of codes needs {LEAST}")
    variance, mean = torch.var_mean(codes, 0, correction=0)
    order = variance.argsort(descending=True, stable=True)[:UNITS]
    kept = order[variance[order] > ROUNDING * variance.max()].sort().values
    if not len(kept):
        raise NotApplicable("no unit of the code varies over the test samples")
    return codes[:, kept].double() - mean[kept].double()


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Centred kernel alignment of linear kernels, debiased: 1 for codes that differ by a rotation and a scale.

        CKA = h(x, y) / sqrt(h(x, x) h(y, y)),
        h(x, y) = |x' y|_F^2 - n / (n - 2) sum_i a_i b_i + sum_i a_i sum_i b_i / ((n - 1) (n - 2)),
        a_i = |x_i|^2,  b_i = |y_i|^2

    S. Kornblith, M. Norouzi, H. Lee, G. Hinton, "Similarity of neural network representations revisited", 2019,
    arXiv:1905.00414, eq. 4, with h the unbiased estimate of the Hilbert-Schmidt independence criterion, up to a factor:
    L. Song et al., "Feature selection via dependence maximization", 2012, for inner products of centred rows.

    Args:
        x: (N, D), centred.
        y: (N, E), centred.

    Raises:
        NotApplicable: the estimate of h(x, x) or h(y, y) is not positive.
    """
    own = independence(x, x), independence(y, y)
    if min(own) <= 0:
        raise NotApplicable("the test samples are too few to compare codes of so many units")
    return independence(x, y) / math.sqrt(own[0] * own[1])


def independence(x: Tensor, y: Tensor) -> float:
    """h(x, y) of `linear_cka`: in expectation 0 for codes that are independent."""
    n, a, b = len(x), x.square().sum(1), y.square().sum(1)
    cross = (x.T @ y).square().sum() - n / (n - 2) * (a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2))
    return float(cross)


def matched_correlation(x: Tensor, y: Tensor) -> float:
    """Mean absolute correlation of units that are matched one to one, so that the mean is largest.

        max over matchings m of 1 / max(D, E) sum_i |corr(x_i, y_m(i))|

    Units that find no partner, where one code has more of them, count as 0. Y. Li et al., "Convergent learning: do
    different neural networks learn the same representations?", 2015, arXiv:1511.07543, section 3; the mean
    correlation coefficient of A. Hyvarinen, H. Morioka, 2016, arXiv:1605.06336.

    Args:
        x: (N, D), centred, all of which vary.
        y: (N, E), centred, all of which vary.
    """
    from scipy.optimize import linear_sum_assignment

    correlation = ((x / x.norm(dim=0)).T @ (y / y.norm(dim=0))).abs()
    rows, columns = linear_sum_assignment(correlation.numpy(), maximize=True)
    return float(correlation[rows, columns].sum() / max(correlation.shape))
