"""Distances between two sets of feature vectors, real (N, D) and fake (M, D), and how each vector moves them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.registry import NotApplicable
from zoo.linear_algebra import eigh
from zoo.spacing import spaced

KERNEL_ROWS = 128  # whose products with the other set fit in the cache
SINGULAR = 1e-12  # of the largest eigenvalue: smaller ones are taken as 0


@dataclass(frozen=True)
class Compared:
    """A number that compares two sets, and the influence of each of their members.

    To first order, the number for resampled sets is value + mean over the resampled reals of `real` + mean over the
    resampled fakes of `fake`: the jackknife of a function of two samples. By B. Efron, C. Stein, "The jackknife
    estimate of variance", 1981, its variance is, on average, not too small.

    Attributes:
        value: the number.
        real: (N,) float64, influences of the reals; their mean is 0.
        fake: (M,) float64, influences of the fakes; their mean is 0.
    """

    value: float
    real: Tensor
    fake: Tensor

    @classmethod
    def of(cls, value: float, real: Tensor, fake: Tensor) -> Compared:
        """From influences up to a constant each: (N,) and (M,)."""
        real, fake = real.double(), fake.double()
        return cls(value, real - real.mean(), fake - fake.mean())


class Reals:
    """A set of real samples that several sets of fakes are compared with; what depends on it alone is computed once.

    Args:
        features: (N, D).
        covered: number of features, evenly spaced ones, that make up the manifold; None for all.
    """

    def __init__(self, features: Tensor, covered: int | None = None) -> None:
        self.features, self.covered = features, spaced(features, covered)
        self._radii: dict[int, Tensor] = {}

    @cached_property
    def covariance(self) -> Tensor:
        """The covariance of the features: (D, D) float64."""
        return self.features.double().T.cov()

    @cached_property
    def roots(self) -> tuple[Tensor, Tensor]:
        """The root of the covariance, and its inverse: (D, D) float64 each."""
        values, vectors = eigh(self.covariance)
        return vectors * values.clamp(min=0).sqrt() @ vectors.T, vectors * inverse_root(values) @ vectors.T

    @cached_property
    def kernel_within(self) -> Tensor:
        """For each real, the mean kernel over all others: (N,)."""
        return kernel_within(self.features)

    def radii(self, k: int) -> Tensor:
        """Squared distance of each covered real to its k-th neighbour: (N,)."""
        if k not in self._radii:
            self._radii[k] = radii(self.covered - self.covered.mean(0), k)
        return self._radii[k]


def radii(points: Tensor, k: int) -> Tensor:
    """Squared distance of each of points (N, D) to its k-th neighbour: (N,)."""
    return nearest(points, points, k, same=True)[0][:, -1].square()


def frechet_distance(a: Tensor | Reals, b: Tensor) -> Compared:
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2), of means m and covariances S.

    The squared Wasserstein-2 distance of the Gaussians with the sets' moments: D. Dowson, B. Landau 1982; M. Heusel et
    al., "GANs trained by a two time-scale update rule", 2017, arXiv:1706.08500. The influence of x in b, with d = x -
    m_b, is 2 d (m_b - m_a) + d (1 - T) d, where T is the covariance of the best transport, S_a^1/2 (S_a^1/2 S_b
    S_a^1/2)^-1/2 S_a^1/2: T. Rippl, A. Munk, A. Sturm, "Limit laws of the empirical Wasserstein distance", 2016,
    arXiv:1507.04090. For a, it is the same with T^-1.

    Raises:
        NotApplicable: a set has a single member.
    """
    reals = a if isinstance(a, Reals) else Reals(a)
    a, b = reals.features.double(), b.double()
    if min(len(a), len(b)) < 2:
        raise NotApplicable("a single image has no covariance")
    root, inverse = reals.roots
    cov_b = b.T.cov()
    squares, axes = eigh(root @ cov_b @ root)
    squares = squares.clamp(min=0)
    distance = (a.mean(0) - b.mean(0)).square().sum() + reals.covariance.trace() + cov_b.trace()
    distance -= 2 * squares.sqrt().sum()
    to_a = root @ (axes * inverse_root(squares) @ axes.T) @ root
    to_b = inverse @ (axes * squares.sqrt() @ axes.T) @ inverse

    def influence(x: Tensor, other: Tensor, transport: Tensor) -> Tensor:
        d = x - x.mean(0)
        return 2 * d @ (x.mean(0) - other.mean(0)) + (d * (d - d @ transport)).sum(1)

    return Compared.of(max(0.0, float(distance)), influence(a, b, to_b), influence(b, a, to_a))


def inverse_root(values: Tensor) -> Tensor:
    """values^-1/2 of eigenvalues: (D,); 0 where they are 0 up to rounding."""
    kept = values > SINGULAR * values.max()
    return torch.where(kept, values, 1.0).rsqrt() * kept


def kernel_distance(a: Tensor | Reals, b: Tensor) -> Compared:
    """Unbiased squared maximum mean discrepancy with the kernel k(u, v) = (u.v / D + 1)^3; it can be negative.

    M. Bińkowski et al., "Demystifying MMD GANs", 2018, arXiv:1801.01401; over all pairs, not averaged subsets. The
    influence of x in a is 2 mean k(x, a) - 2 mean k(x, b), x itself left out.
    """
    reals = a if isinstance(a, Reals) else Reals(a)
    a = reals.features
    within_a, within_b, (of_a, of_b) = reals.kernel_within, kernel_within(b), kernel_sums(a, b)
    of_a, of_b = of_a / len(b), of_b / len(a)
    value = within_a.mean() + within_b.mean() - 2 * of_a.mean()
    return Compared.of(value.item(), 2 * (within_a - of_a), 2 * (within_b - of_b))


def kernel_sums(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the kernel of `kernel_distance` over v for each of u, and over u for each of v: (U,) and (V,)."""
    one, rows, columns = u.new_ones(()), [], torch.zeros(len(v), dtype=torch.float64)
    for part in torch.split(u, KERNEL_ROWS):
        products = torch.addmm(one, part, v.T, alpha=1 / u.shape[1])
        cubes = (products * products).mul_(products)
        rows.append(cubes.sum(1, dtype=torch.float64))
        columns += cubes.sum(0)
    return torch.cat(rows), columns


def kernel_within(u: Tensor) -> Tensor:
    """For each of u, the mean of the kernel over all others: (U,)."""
    diagonal = (u.square().sum(1) / u.shape[1] + 1).pow(3)
    return (kernel_sums(u, u)[0] - diagonal) / (len(u) - 1)


@dataclass(frozen=True)
class Manifold:
    """How two sets cover each other; a set's manifold is the union of balls that reach each point's k-th neighbour.

    T. Kynkäänniemi et al. 2019, arXiv:1904.06991 (precision, recall); M. Naeem et al. 2020, arXiv:2002.09797 (density,
    coverage). All four with k = 5.

    Attributes:
        precision: fakes inside some real ball.
        recall: reals inside some fake ball.
        density: mean number of real balls that a fake lies in, over k; above 1 where fakes concentrate among reals.
        coverage: reals with a fake inside their own ball.
        n: fakes.
    """

    precision: Compared
    recall: Compared
    density: Compared
    coverage: Compared
    n: int


def manifold(real: Tensor | Reals, fake: Tensor, k: int = 5, chunk: int = 128) -> Manifold:
    """Compare reals: (N, D), of a `Reals` its covered ones, and fakes: (M, D); a ball includes its surface.

    The influence of a point is what is lost when it is left out: what no other point covers. Other balls keep their
    radii.

    Raises:
        NotApplicable: a set has no k-th neighbours.
    """
    reals = real if isinstance(real, Reals) else Reals(real)
    n, m = len(reals.covered), len(fake)
    if min(n, m) <= k:
        raise NotApplicable(f"{min(n, m)} images have no {k}th nearest neighbours")
    origin = reals.covered.mean(0)
    real, fake = reals.covered - origin, fake - origin
    real_radius, fake_radius = reals.radii(k), radii(fake, k)
    balls = torch.zeros(m)  # real balls around each fake
    only = torch.zeros(n)  # fakes that each real alone covers
    fakes_in_ball, balls_of_fakes = torch.zeros(2, n), torch.zeros(2, n)  # how many fakes, and the sum of their indices
    for start in range(0, m, chunk):
        part, radius = fake[start : start + chunk], fake_radius[start : start + chunk]
        squares = torch.addmm(real.square().sum(1), part, real.T, alpha=-2)
        squares += part.square().sum(1, keepdim=True)
        index = torch.arange(start, start + len(part), dtype=squares.dtype)
        counting = torch.stack([torch.ones_like(index), index])
        within = (squares <= real_radius).float()
        balls[start : start + chunk] = within.sum(1)
        only += within[balls[start : start + chunk] == 1].sum(0)
        fakes_in_ball += counting @ within
        balls_of_fakes += counting @ (squares <= radius[:, None]).float()

    def alone(counted: Tensor) -> Tensor:
        """Reals that each fake alone covers: (M,); where one fake covers a real, the sum of indices is its index."""
        return counted[1, counted[0] == 1].long().bincount(minlength=m)

    inside, in_fake_ball, covered = (x > 0 for x in (balls, balls_of_fakes[0], fakes_in_ball[0]))
    return Manifold(
        precision=Compared.of(inside.float().mean().item(), only * (n - 1) / m, inside),
        recall=Compared.of(in_fake_ball.float().mean().item(), in_fake_ball, alone(balls_of_fakes) * (m - 1) / n),
        density=Compared.of(balls.mean().item() / k, fakes_in_ball[0] * n / (k * m), balls / k),
        coverage=Compared.of(covered.float().mean().item(), covered, alone(fakes_in_ball) * (m - 1) / n),
        n=m,
    )


@dataclass(frozen=True)
class Likeness:
    """A set of fakes compared with a set of reals.

    Attributes:
        frechet: `frechet_distance`.
        kernel: `kernel_distance`.
        manifold: how the two sets cover one another.
    """

    frechet: Compared
    kernel: Compared
    manifold: Manifold


def likeness(real: Reals, fake: Tensor) -> Likeness:
    """Compare reals with fakes: (M, D)."""
    return Likeness(frechet_distance(real, fake), kernel_distance(real, fake), manifold(real, fake))
