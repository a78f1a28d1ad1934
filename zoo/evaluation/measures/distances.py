"""Distances between two sets of feature vectors, real (N, D) and fake (M, D)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.registry import NotApplicable
from zoo.linear_algebra import eigh, eigvalsh


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2), of means m and covariances S.

    The squared Wasserstein-2 distance of the Gaussians with the sets' moments: D. Dowson, B. Landau 1982; M. Heusel et
    al., "GANs trained by a two time-scale update rule", 2017, arXiv:1706.08500.
    """
    a, b = a.double(), b.double()
    cov_a, cov_b = a.T.cov(), b.T.cov()
    values, vectors = eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    distance = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return max(0.0, float(distance))


def kernel_distance(a: Tensor, b: Tensor, chunk: int = 128) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (u.v / D + 1)^3; it can be negative.

    M. Bińkowski et al., "Demystifying MMD GANs", 2018, arXiv:1801.01401; over all pairs, not averaged subsets.
    """

    def total(u: Tensor, v: Tensor) -> float:
        one = u.new_ones(())
        products = (torch.addmm(one, part, v.T, alpha=1 / u.shape[1]) for part in torch.split(u, chunk))
        return sum((p * p).mul_(p).sum(dtype=torch.float64).item() for p in products)

    def own(u: Tensor) -> float:
        diagonal = (u.square().sum(1) / u.shape[1] + 1).pow(3).sum(dtype=torch.float64).item()
        return (total(u, u) - diagonal) / (len(u) * (len(u) - 1))

    return own(a) + own(b) - 2 * total(a, b) / (len(a) * len(b))


@dataclass(frozen=True)
class Manifold:
    """How two sets cover one another; a set's manifold is the union of balls that reach each point's k-th neighbour.

    T. Kynkäänniemi et al. 2019, arXiv:1904.06991 (precision, recall); M. Naeem et al. 2020, arXiv:2002.09797 (density,
    coverage). All four with k = 5.

    Attributes:
        precision: fakes inside some real ball.
        recall: reals inside some fake ball.
        density: mean number of real balls that a fake lies in, over k; above 1 where fakes concentrate among reals.
        coverage: reals with a fake inside their own ball.
        n: fakes.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    n: int


def manifold(real: Tensor, fake: Tensor, k: int = 5, chunk: int = 128) -> Manifold:
    """Compare reals: (N, D) and fakes: (M, D); a ball includes its surface.

    Raises:
        NotApplicable: a set has no k-th neighbours.
    """
    if min(len(real), len(fake)) <= k:
        raise NotApplicable(f"{min(len(real), len(fake))} images have no {k}th nearest neighbours")
    origin = real.mean(0)
    real, fake = real - origin, fake - origin
    real_radius, fake_radius = (nearest(points, points, k, same=True)[0][:, -1].square() for points in (real, fake))
    inside = torch.zeros(len(fake))
    in_fake_ball = torch.zeros(len(real), dtype=torch.bool)
    covered = torch.zeros(len(real), dtype=torch.bool)
    for start in range(0, len(fake), chunk):
        part, radius = fake[start : start + chunk], fake_radius[start : start + chunk]
        squares = torch.addmm(real.square().sum(1), part, real.T, alpha=-2)
        squares += part.square().sum(1, keepdim=True)
        within = squares <= real_radius
        inside[start : start + chunk] = within.sum(1).float()
        covered |= within.any(0)
        in_fake_ball |= (squares <= radius[:, None]).any(0)
    return Manifold(
        precision=(inside > 0).float().mean().item(),
        recall=in_fake_ball.float().mean().item(),
        density=inside.mean().item() / k,
        coverage=covered.float().mean().item(),
        n=len(fake),
    )


@dataclass(frozen=True)
class Likeness:
    """A set of fakes compared with a set of reals.

    Attributes:
        frechet: `frechet_distance`.
        kernel: `kernel_distance`.
        manifold: how the two sets cover one another.
    """

    frechet: float
    kernel: float
    manifold: Manifold


def likeness(real: Tensor, fake: Tensor, covered: int) -> Likeness:
    """Compare reals: (N, D) and fakes: (M, D); their manifolds are compared for the first `covered` reals."""
    return Likeness(frechet_distance(real, fake), kernel_distance(real, fake), manifold(real[:covered], fake))
