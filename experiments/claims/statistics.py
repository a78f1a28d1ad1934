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
from zoo.report.statistics import estimate

RESAMPLES = 400
Function = Callable[..., NDArray[np.float64]]


def over_images(function: Function, *values: ArrayLike, unit: str = "") -> Number:
    """A function of means over test images, such as a difference or a ratio; its mean over seeds.

    The images are resampled together in all values, which are paired: they belong to the same images. The variances
    over seeds and over resamples are added, as in the tables of the zoo.

    Args:
        function: of one mean for each of `values`; element by element on arrays.
        values: each (S, N), of S seeds and N test images, or (N,) where no seed is involved.
        unit: of the number.
    """
    rows = np.broadcast_arrays(*(np.atleast_2d(np.asarray(each, np.float64)) for each in values))
    weights = resampling(rows[0].shape[1])
    seeds = list(zip(*rows, strict=True))
    each = [float(function(*(row.mean() for row in one))) for one in seeds]
    resampled = [np.asarray(function(*(weights @ row for row in one))) for one in seeds]
    distinct = len(seeds) if any(len(np.atleast_2d(np.asarray(value))) > 1 for value in values) else 1
    return number(each[:distinct], resampled[:distinct], unit)


def over_seeds(values: ArrayLike, unit: str = "") -> Number:
    """The mean of one number per seed; without an interval for a single seed."""
    return number([float(value) for value in np.atleast_1d(np.asarray(values, np.float64))], [], unit)


def mean(values: ArrayLike, unit: str = "") -> Number:
    """The mean over test images of values (S, N) or (N,)."""
    return over_images(lambda a: a, values, unit=unit)


def difference(a: ArrayLike, b: ArrayLike, unit: str = "") -> Number:
    """The mean of `a` less that of `b`, on the same images."""
    return over_images(lambda a, b: a - b, a, b, unit=unit)


def ratio(a: ArrayLike, b: ArrayLike) -> Number:
    """The mean of `a` over that of `b`, on the same images."""
    return over_images(lambda a, b: a / b, a, b)


def over_partitions(function: Callable[[Tensor, Tensor], float], clusters: Sequence[Tensor], labels: Tensor) -> Number:
    """A function of the clusters and the labels of test images, such as mutual information; its mean over seeds.

    Args:
        function: of clusters and labels, (N,) each.
        clusters: of one seed each: (N,).
        labels: (N,).
    """
    counts = np.rint(resampling(len(labels)) * len(labels)).astype(np.int64)
    drawn = [torch.from_numpy(np.repeat(np.arange(len(labels)), row)) for row in counts]
    resampled = [np.array([function(each[index], labels[index]) for index in drawn]) for each in clusters]
    return number([function(each, labels) for each in clusters], resampled, "")


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
    return number(values, resampled, "")


def number(values: list[float], resampled: list[NDArray[np.float64]], unit: str) -> Number:
    """The mean over seeds, with the interval that the zoo's tables give."""
    found = estimate(values, resampled)
    assert found is not None
    half = found.half_width
    return Number(
        found.mean, None if half is None else found.mean - half, None if half is None else found.mean + half, unit
    )


@cache
def resampling(count: int, seed: int = 0) -> NDArray[np.float64]:
    """Bootstrap resamples of `count` images, as weights with the sum 1: (RESAMPLES, count)."""
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return drawn / count
