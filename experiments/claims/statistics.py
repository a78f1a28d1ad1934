"""Numbers with their 95 % intervals: over the seeds of the fits, and over test images by the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from experiments.claims.claim import Number
from zoo.evaluation.measures.distances import Compared
from zoo.evaluation.measures.influence import Moved
from zoo.report.statistics import estimate

RESAMPLES = 400
NORMAL = 1.959964  # the 97.5 % quantile
Function = Callable[..., NDArray[np.float64]]


def over_images(
    function: Function, *values: ArrayLike, unit: str = "", groups: ArrayLike | None = None, positive: bool = False
) -> Number:
    """A function of means over test images, such as a difference or a ratio; its mean over seeds.

    The images are resampled together in all values, which are paired: they belong to the same images. The variances
    over seeds and over resamples are added, as in the tables of the zoo.

    Args:
        function: of one mean for each of `values`; element by element on arrays.
        values: each (S, N), of S seeds and N test images, or (N,) where no seed is involved.
        unit: of the number.
        groups: (N,), of images that are no independent samples, such as those of one person, who are resampled then.
        positive: whether the number is above 0, as its interval is then.
    """
    rows = np.broadcast_arrays(*(np.atleast_2d(np.asarray(each, np.float64)) for each in values))
    weights = resampling(rows[0].shape[1]) if groups is None else resampling_groups(tuple(np.asarray(groups).tolist()))
    seeds = list(zip(*rows, strict=True))
    each = [float(function(*(row.mean() for row in one))) for one in seeds]
    resampled = [np.asarray(function(*(weights @ row for row in one))) for one in seeds]
    distinct = len(seeds) if any(len(np.atleast_2d(np.asarray(value))) > 1 for value in values) else 1
    return number(each[:distinct], resampled[:distinct], unit, positive)


def over_seeds(values: ArrayLike, unit: str = "", positive: bool = False) -> Number:
    """The mean of one number per seed; without an interval for a single seed."""
    return number([float(value) for value in np.atleast_1d(np.asarray(values, np.float64))], [], unit, positive)


def mean(values: ArrayLike, unit: str = "", groups: ArrayLike | None = None) -> Number:
    """The mean over test images of values (S, N) or (N,); its interval is above 0 if none of them is below."""
    nonnegative = bool((np.asarray(values) >= 0).all())
    return over_images(lambda a: a, values, unit=unit, groups=groups, positive=nonnegative)


def share(values: ArrayLike, groups: ArrayLike | None = None) -> Number:
    """The share of test images for which something holds, of values 0 and 1, (S, N) or (N,).

    The interval is within 0 and 1, and never narrower than that of Wilson for N images (or groups): where it holds for
    none or for all, resamples do not vary. E. Wilson, "Probable inference, the law of succession, and statistical
    inference", 1927.
    """
    found = over_images(lambda a: a, values, groups=groups)
    count = np.asarray(values).shape[-1] if groups is None else len(np.unique(np.asarray(groups)))
    z2 = NORMAL**2
    middle = (found.value + z2 / (2 * count)) / (1 + z2 / count)
    half = np.sqrt(found.value * (1 - found.value) * z2 / count + z2**2 / (4 * count**2)) / (1 + z2 / count)
    ends = [end for end in (found.low, found.high) if end is not None]
    return Number(found.value, float(min([middle - half, *ends])), float(max([middle + half, *ends]))).within(0, 1)


def difference(a: ArrayLike, b: ArrayLike, unit: str = "", groups: ArrayLike | None = None) -> Number:
    """The mean of `a` less that of `b`, on the same images."""
    return over_images(lambda a, b: a - b, a, b, unit=unit, groups=groups)


def ratio(a: ArrayLike, b: ArrayLike, groups: ArrayLike | None = None) -> Number:
    """The mean of `a` over that of `b`, on the same images."""
    return over_images(lambda a, b: a / b, a, b, groups=groups, positive=True)


def over_partitions(function: Callable[[Tensor, Tensor], Moved], clusters: Sequence[Tensor], labels: Tensor) -> Number:
    """A function of the clusters and the labels of test images, such as mutual information; its mean over seeds.

    Args:
        function: of clusters and labels, (N,) each.
        clusters: of one seed each: (N,).
        labels: (N,).
    """
    counts = np.rint(resampling(len(labels)) * len(labels)).astype(np.int64)
    drawn = [torch.from_numpy(np.repeat(np.arange(len(labels)), row)) for row in counts]
    resampled = [np.array([function(each[index], labels[index]).value for index in drawn]) for each in clusters]
    return number([function(each, labels).value for each in clusters], resampled)


def compared(pairs: Sequence[tuple[Compared, Compared]] | Sequence[Compared]) -> Number:
    """The mean over seeds of a comparison of sets of images, or of the difference of two, the first less the second.

    Of two, the real images are the same. Reals and samples are resampled, with the influences that `Compared` holds.
    """
    values, resampled = [], []
    for one in pairs:
        first, second = (one, None) if isinstance(one, Compared) else one
        values.append(first.value - (second.value if second else 0.0))
        real = first.real - (second.real if second else 0.0)
        moved = resampling(len(real)) @ real.numpy()
        for sign, each in ((1, first), (-1, second)):
            if each is not None:
                moved = moved + sign * resampling(len(each.fake), 1 if sign > 0 else 2) @ each.fake.numpy()
        resampled.append(values[-1] + moved)
    return number(values, resampled)


def number(values: list[float], resampled: list[NDArray[np.float64]], unit: str = "", positive: bool = False) -> Number:
    """The mean over seeds, with the interval that the zoo's tables give.

    That of a positive number is as wide on a logarithmic scale, to first order, and so does not reach 0.
    """
    found = estimate(values, resampled)
    assert found is not None
    half = found.half_width
    if half is None:
        return Number(found.mean, unit=unit)
    if positive and found.mean > 0:
        wide = float(np.exp(half / found.mean))
        return Number(found.mean, found.mean / wide, found.mean * wide, unit)
    return Number(found.mean, found.mean - half, found.mean + half, unit)


@cache
def resampling(count: int, seed: int = 0) -> NDArray[np.float64]:
    """Bootstrap resamples of `count` images, as weights with the sum 1: (RESAMPLES, count)."""
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return drawn / count


@cache
def resampling_groups(groups: tuple[int, ...]) -> NDArray[np.float64]:
    """Bootstrap resamples of groups of images, such as people, as weights of images with the sum 1: (RESAMPLES, N)."""
    _, place = np.unique(groups, return_inverse=True)
    drawn = resampling(int(place.max()) + 1)[:, place]
    found: NDArray[np.float64] = drawn / drawn.sum(1, keepdims=True)
    return found
