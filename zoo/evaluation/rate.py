"""Rate and distortion: what a code costs in bits when it is written down, and what it is then worth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SCALES = tuple(2.0**k for k in range(3, -6, -1))
ESCAPE_BITS = 32
PRIOR = 0.5


@dataclass(frozen=True)
class RateDistortion:
    """A curve from coarse to fine: bits per image and squared error per pixel, R points.

    Attributes:
        step: (R,), what distinguishes the points: step sizes of the grid, or qualities of a codec.
        bits: (R,), what an image costs: the cross-entropy of test codes under the training codes' histograms.
        entropy: (R,), what it would cost under the test codes' own histograms; equal to `bits` for codecs.
        mse: (R,), of the images decoded from the quantised codes.
        n: images.
    """

    step: list[float]
    bits: list[float]
    entropy: list[float]
    mse: list[float]
    n: int

    def table(self) -> dict[str, list[float] | list[str]]:
        """The curve as named columns, with the peak signal-to-noise ratio of the mean squared error."""
        return {"step": self.step, "bits": self.bits, "entropy": self.entropy, "mse": self.mse, "psnr": self.psnr()}

    def psnr(self) -> list[float]:
        """-10 log10 mse, in dB."""
        return [-10 * math.log10(max(mse, 1e-10)) for mse in self.mse]


def rate_distortion(
    train_codes: Tensor, test_codes: Tensor, x: Tensor, decode: Callable[[Tensor], Tensor]
) -> RateDistortion:
    """Quantise codes to round(z / step) step on grids of several steps, the same step for all units.

    Steps are 8, 4, ..., 1/32 of the root mean square, over units, of the training codes' standard deviation.

    Args:
        train_codes: (N, D), from which each unit's histogram comes.
        test_codes: (M, D), which are written under it.
        x: (M, C, H, W), the test images.
        decode: the images of codes.
    """
    scale = train_codes.double().var(0, correction=0).mean().sqrt().item()
    steps, bits, entropies, errors = [scale * s for s in SCALES], [], [], []
    for step in steps:
        train, test = (train_codes / step).round(), (test_codes / step).round()
        rate, entropy = code_length(train.long(), test.long())
        bits.append(rate)
        entropies.append(entropy)
        errors.append((decode(test * step) - x).square().mean(dtype=torch.float64).item())
    return RateDistortion(steps, bits, entropies, errors, len(x))


def code_length(train: Tensor, test: Tensor) -> tuple[float, float]:
    """Bits per row of `test` when each column is coded by itself under the histogram of that column of `train`.

        bits = -1/M sum_m sum_d log2 p_d(test_md),   p_d(v) = (count_d(v) + 1/2) / (N + (R_d + 1) / 2)

    with R_d values from the smallest to the largest of column d, each counting half a time more than it was seen (R.
    Krichevsky, V. Trofimov 1981), and one more symbol for values outside, followed by 32 bits that name the value.

    Args:
        train: (N, D) int64.
        test: (M, D) int64.

    Returns:
        The cross-entropy, and the entropy of the columns of `test` under their own frequencies; their difference is
        the Kullback-Leibler divergence, what coding by the wrong histogram costs.
    """
    low, high = train.amin(0), train.amax(0)
    size = high - low + 1
    start = size.cumsum(0) - size
    counts = torch.bincount((train - low + start).flatten(), minlength=int(size.sum())).double()
    total = len(train) + PRIOR * (size + 1).double()
    bits = (total.log2().expand(len(test), -1)).clone()
    within = (test >= low) & (test <= high)
    place = torch.where(within, test - low + start, 0)
    bits -= torch.where(within, (counts[place] + PRIOR).log2(), math.log2(PRIOR) - ESCAPE_BITS)
    return bits.sum(1).mean().item(), sum(column_entropy(column) for column in test.T)


def column_entropy(values: Tensor) -> float:
    """Entropy in bits of the frequencies of integers (M,)."""
    counts = torch.bincount(values - values.min()).double()
    return float(torch.special.entr(counts / len(values)).sum()) / math.log(2)


def bd_rate(curve: RateDistortion, reference: RateDistortion) -> float | None:
    """Mean difference in rate at equal quality, in percent: -50 is half the bits; None if no quality is common.

        100 (10^mean(log10 r(q) - log10 r_ref(q)) - 1), over the qualities q (PSNR in dB) that both curves reach

    G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", 2001, VCEG-M33; log rates are
    interpolated monotonically between the points that no other point beats, those of 1 bit or more per image.
    """
    (quality, rate), (reference_quality, reference_rate) = front(curve), front(reference)
    if len(quality) < 2 or len(reference_quality) < 2:
        return None
    low, high = max(quality[0], reference_quality[0]), min(quality[-1], reference_quality[-1])
    if low >= high:
        return None
    from scipy.interpolate import PchipInterpolator

    ours, theirs = PchipInterpolator(quality, rate), PchipInterpolator(reference_quality, reference_rate)
    difference = float(ours.integrate(low, high) - theirs.integrate(low, high)) / (high - low)
    return 100 * (math.pow(10, difference) - 1)


def front(curve: RateDistortion) -> tuple[np.ndarray, np.ndarray]:
    """PSNR and log10 bits of the points that are better than all cheaper ones, both ascending."""
    points: list[tuple[float, float]] = []
    for bits, quality in sorted(zip(curve.bits, curve.psnr(), strict=True)):
        if bits >= 1 and (not points or quality > points[-1][0] + 1e-6):
            points.append((quality, math.log10(bits)))
    columns = np.array(points).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]
