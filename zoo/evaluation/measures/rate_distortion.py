"""Rate and distortion of quantised codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.evaluation.batches import BATCH
from zoo.linear_algebra import principal_axes
from zoo.spacing import spaced

SCALES = tuple(2.0**k for k in range(2, -8, -1))
ESCAPE_BITS = 32
PRIOR = 0.5
LEAST_COMMON = 2.0  # dB that two curves share, for their comparison to mean something
POINTS = 1_000  # of the integral over qualities
PROBED = 32  # codes whose units are moved
LEAST_GAIN = 1e-3  # of the largest


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
    """Quantise codes with each of several step sizes, the same for all principal axes of the scaled code G z.

        z -> G^-1 (V' round(V (G z - m) / step) step + m),   G = diag(g)

    Transform coding: g_i is how far an image moves per unit of z_i (`gains`), and m and V are the mean and the
    principal axes of G z over training codes. So a constant, a scale of a unit, and a rotation of units that move
    images equally far change no rate, if the decoder undoes them. G, m and V belong to the decoder, as its weights do,
    and are not counted. Sparse codes (see `is_sparse`) stay as they are (G = V = I, m = 0), since zeros cost little. V.
    Goyal, "Theoretical foundations of transform coding", 2001.

    Args:
        train_codes: (N, D), which give each axis' histogram.
        test_codes: (M, D), which are coded under it.
        x: (M, C, H, W), the test images.
        decode: codes -> images.
    """
    from zoo.density.feasible import is_sparse

    if is_sparse(train_codes):
        return quantised(train_codes, test_codes, x, decode)
    gain = gains(train_codes, decode)
    mean, _, axes = principal_axes(train_codes * gain)
    origin, turn = mean.float(), axes.float()
    train, test = ((codes * gain - origin) @ turn for codes in (train_codes, test_codes))
    return quantised(train, test, x, lambda z: decode((z @ turn.T + origin) / gain))


def gains(codes: Tensor, decode: Callable[[Tensor], Tensor]) -> Tensor:
    """How far images move per unit of each code unit: (D,).

        g_i = sqrt(mean_n |decode(z_n + s_i e_i) - decode(z_n)|^2) / s_i,   s_i the standard deviation of z_i

    over 32 evenly spaced codes (N, D). At least a thousandth of the largest, so that units without an effect have a
    code; 1 for units that do not vary, and for all where nothing moves.
    """
    z = spaced(codes, PROBED)
    before, std = decode(z), codes.std(0, correction=0)
    squares = std.new_zeros(len(std))
    units = std.nonzero()[:, 0]
    for part in torch.split(units, max(1, BATCH // len(z))):
        moved = z.repeat(len(part), 1, 1)
        moved[torch.arange(len(part)), :, part] += std[part, None]
        after = decode(moved.flatten(0, 1)).view(len(part), *before.shape)
        squares[part] = (after - before).square().flatten(2).sum(2).mean(1)
    gain = squares.sqrt() / std.where(std > 0, 1.0)
    largest = gain.max()
    return gain.clamp(min=LEAST_GAIN * largest).where(std > 0, 1.0) if largest > 0 else torch.ones_like(gain)


def quantised(train: Tensor, test: Tensor, x: Tensor, decode: Callable[[Tensor], Tensor]) -> RateDistortion:
    """`rate_distortion` of codes that are quantised as they are, to round(z / step) step."""
    steps = grid(train)
    bits, entropies, errors = [], [], []
    for step in steps:
        rate, entropy = code_lengths(train, test, step)
        bits.append(rate.sum().item())
        entropies.append(entropy.sum().item())
        errors.append((decode((test / step).round() * step) - x).square().mean(dtype=torch.float64).item())
    return RateDistortion(steps, bits, entropies, errors, len(x))


def principal_rate_distortion(train_codes: Tensor, test_codes: Tensor, lost: float, pixels: int) -> RateDistortion:
    """The lower convex hull over all steps and the first 1, 2, 3, ... units of an orthonormal code.

    Errors add up over orthonormal units, so each number of units needs no decoding of its own.

    Args:
        train_codes: (N, D), units in descending order of variance.
        test_codes: (M, D).
        lost: squared error per image with all units.
        pixels: values per image.
    """
    power = test_codes.double().square().mean(0)
    points = []
    for step in grid(train_codes):
        rate, entropy = (lengths.cumsum(0) for lengths in code_lengths(train_codes, test_codes, step))
        error = (test_codes / step).round().mul_(step).sub_(test_codes).square_().mean(0, dtype=torch.float64)
        saved = (power - error).cumsum(0)
        mse = (lost + power.sum() - saved) / pixels
        points += list(zip([step] * len(rate), rate.tolist(), entropy.tolist(), mse.tolist(), strict=True))
    steps, bits, entropies, errors = map(list, zip(*points, strict=True))
    every = RateDistortion(steps, bits, entropies, errors, len(test_codes))
    kept = [points[place] for place in hull(every)]
    steps, bits, entropies, errors = map(list, zip(*kept, strict=True))
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
    """Mean difference in rate at equal quality, in percent: -50 is half the bits.

        100 (10^mean(log10 r(q) - log10 r_ref(q)) - 1), over the qualities q (PSNR in dB) that both curves have

    G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", 2001, VCEG-M33. Between the points of a
    curve's lower convex hull, r is linear in q, so more points never make a curve worse. This is a convention, the same
    for both curves: images coded half at one setting and half at the other have the mean of both errors, and so a PSNR
    a little below the mean of both.

    Returns:
        The difference; None if the curves share less than 2 dB.
    """
    low, high = common_quality(curve, reference)
    if high - low < LEAST_COMMON:
        return None
    q = np.linspace(low, high, POINTS)
    difference = np.log10(bits_at(curve, q)) - np.log10(bits_at(reference, q))
    return 100 * (math.pow(10, float(difference.mean())) - 1)


def common_quality(curve: RateDistortion, reference: RateDistortion) -> tuple[float, float]:
    """The least and the greatest PSNR that both hulls have, in dB; the first is greater where they do not meet."""
    qualities = [[each.psnr()[place] for place in hull(each)] for each in (curve, reference)]
    low = max(min(each, default=math.inf) for each in qualities)
    return low, min(max(each, default=-math.inf) for each in qualities)


def bits_at(curve: RateDistortion, quality: np.ndarray) -> np.ndarray:
    """Bits per image on the lower convex hull of a curve, at PSNRs that it has."""
    places, psnr = hull(curve), curve.psnr()
    found: np.ndarray = np.interp(quality, [psnr[place] for place in places], [curve.bits[place] for place in places])
    return found


def hull(curve: RateDistortion) -> list[int]:
    """The points of the lower convex hull of bits over PSNR, of those with 1 bit or more, by ascending quality.

    It starts at the least bits (the best of equal ones), and ends at the greatest quality. A. Andrew, "Another
    efficient algorithm for convex hulls in two dimensions", 1979.
    """
    psnr, bits = curve.psnr(), curve.bits
    order = sorted((place for place in range(len(bits)) if bits[place] >= 1), key=lambda k: (bits[k], -psnr[k]))
    found: list[int] = []
    for place in order:
        if found and psnr[place] <= psnr[found[-1]] + 1e-9:
            continue
        while len(found) > 1:
            a, b = found[-2:]
            if (psnr[b] - psnr[a]) * (bits[place] - bits[b]) > (psnr[place] - psnr[b]) * (bits[b] - bits[a]):
                break
            found.pop()
        found.append(place)
    return found
