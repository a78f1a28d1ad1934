"""Rate and distortion of quantised codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SCALES = tuple(2.0**k for k in range(2, -8, -1))
ESCAPE_BITS = 32
PRIOR = 0.5


@dataclass(frozen=True)
class RateDistortion:
    """A curve of R points from coarse to fine: bits per image and squared error per pixel.

    Attributes:
        step: (R,), step sizes of the grid, or qualities of a codec.
        bits: (R,), bits per image: the cross-entropy of test codes under the training codes' histograms.
        entropy: (R,), bits per image under the test codes' own histograms; equal to `bits` for codecs.
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

    Args:
        train_codes: (N, D), which give each unit's histogram.
        test_codes: (M, D), which are coded under it.
        x: (M, C, H, W), the test images.
        decode: codes -> images.
    """
    steps = grid(train_codes)
    bits, entropies, errors = [], [], []
    for step in steps:
        rate, entropy = code_lengths(train_codes, test_codes, step)
        bits.append(rate.sum().item())
        entropies.append(entropy.sum().item())
        errors.append((decode((test_codes / step).round() * step) - x).square().mean(dtype=torch.float64).item())
    return RateDistortion(steps, bits, entropies, errors, len(x))


def principal_rate_distortion(train_codes: Tensor, test_codes: Tensor, lost: float, pixels: int) -> RateDistortion:
    """The Pareto front over all steps and the first 1, 2, 4, ... units of an orthonormal code.

    Errors add up over orthonormal units, so each number of units needs no decoding of its own.

    Args:
        train_codes: (N, D), units in descending order of variance.
        test_codes: (M, D).
        lost: squared error per image with all units.
        pixels: values per image.
    """
    units = train_codes.shape[1]
    widths = sorted({units, *(2**k for k in range(units.bit_length()))})
    power = test_codes.double().square().mean(0)
    points = []
    for step in grid(train_codes):
        rate, entropy = (lengths.cumsum(0) for lengths in code_lengths(train_codes, test_codes, step))
        error = (test_codes / step).round().mul_(step).sub_(test_codes).square_().mean(0, dtype=torch.float64)
        saved = (power - error).cumsum(0)
        for width in widths:
            mse = (lost + power.sum().item() - saved[width - 1].item()) / pixels
            points.append((rate[width - 1].item(), mse, step, entropy[width - 1].item()))
    best: list[tuple[float, float, float, float]] = []
    for point in sorted(points):
        if not best or point[1] < best[-1][1]:
            best.append(point)
    bits, errors, steps, entropies = map(list, zip(*best, strict=True))
    return RateDistortion(steps, bits, entropies, errors, len(test_codes))


def grid(codes: Tensor) -> list[float]:
    """Step sizes 4, 2, ..., 1/128 of the largest standard deviation of a unit over codes (N, D)."""
    scale = codes.double().std(0).max().item()
    return [scale * s for s in SCALES]


def code_lengths(train: Tensor, test: Tensor, step: float = 1.0) -> tuple[Tensor, Tensor]:
    """Bits that each unit of a test code costs when round(z / step) is coded under that unit's training histogram.

        bits_d = -1/M sum_m log2 p_d(test_md),   p_d(v) = (count_d(v) + 1/2) / (N + (R_d + 1) / 2)

    with R_d values from the smallest to the largest of unit d, each with 1/2 added to its count (R. Krichevsky, V.
    Trofimov 1981), and one more symbol for values outside, followed by 32 bits for the value.

    Args:
        train: (N, D).
        test: (M, D).
        step: of the grid; 1 for integer codes.

    Returns:
        The cross-entropies: (D,), and the entropies of the test codes' units under their own frequencies: (D,); their
        difference is the Kullback-Leibler divergence, the cost of coding under another histogram.
    """
    # Unit by unit, because the values of one unit fit in the processor's cache.
    units = zip(train.T.contiguous(), test.T.contiguous(), strict=True)
    lengths = [unit_length((a / step).round().long(), (b / step).round().long()) for a, b in units]
    bits, entropy = torch.tensor(lengths, dtype=torch.float64).T
    return bits, entropy


def unit_length(train: Tensor, test: Tensor) -> tuple[float, float]:
    """Cross-entropy and entropy in bits of integers (M,) coded under the histogram of integers (N,)."""
    own = torch.bincount(test - test.min()).double() / len(test)
    return unit_costs(train, test).mean().item(), float(torch.special.entr(own).sum()) / math.log(2)


def unit_costs(train: Tensor, test: Tensor) -> Tensor:
    """Bits of each of the integers (M,), coded under the histogram of integers (N,): (M,), see `code_lengths`."""
    low, high = int(train.min()), int(train.max())
    size = high - low + 1
    counts = torch.bincount(train - low, minlength=size + 1).double()  # the last one is the escape symbol's
    cost = math.log2(len(train) + PRIOR * (size + 1)) - (counts + PRIOR).log2()
    cost[size] += ESCAPE_BITS
    return cost[torch.where((test >= low) & (test <= high), test - low, size)]


def bd_rate(curve: RateDistortion, reference: RateDistortion) -> float | None:
    """Mean difference in rate at equal quality, in percent: -50 is half the bits; None if the qualities do not meet.

        100 (10^mean(log10 r(q) - log10 r_ref(q)) - 1), over the qualities q (PSNR in dB) that both curves have

    G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", 2001, VCEG-M33; log rates are
    interpolated monotonically between the points of the Pareto front with 1 bit or more per image.
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
