"""Rate and distortion, which compare codes of different kinds.

Deterministic codes are scaled by how far each unit moves images, centred, rotated to their principal axes and quantised
on a grid, and each axis is coded under its histogram over the training images. Sparse codes stay as they are, and zeros
are coded like other values, so the rate of a sparse code includes which units are active. The rate of a discrete code
is that of its entries. Weights, scales, mean and axes are the decoder's, and not counted.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from zoo.evaluation.measures.rate_distortion import LEAST_COMMON, RateDistortion, bd_rate, bits_at, common_quality
from zoo.evaluation.registry import IMAGES, Curve, NotApplicable, metric

TOLERANCE = 1.05


@metric("rate", "bits per image", "none", version=4, kinds=IMAGES)
def code_bits(rate_curve: RateDistortion) -> Curve:
    """Bits of quantised test codes under histograms of training codes, per image, at one step of the grid.

        1/N sum_n sum_i -log2 p_i(q_i(z_n)), q_i the bin of axis i, p_i its smoothed frequencies in training codes

    Units are first scaled by how far they move images, centred, and rotated to their principal axes, unless more than 1
    % of the entries of units that vary are exactly zero, as in sparse codes: then units are coded as they are. Scales,
    mean, axes, histograms and the decoder are the receiver's, and not counted. A value outside the range of training
    codes costs 32 bits more. The step has the fewest bits among those whose mean squared error is at most 5 % above the
    smallest. The curve shows all steps: bits, entropy, mse and psnr. Fewer bits are better only at equal error: see
    bd_rate_against_pca.

    Misleads: fewer bits are better at equal error only: see bd_rate_against_pca. The decoder itself is not counted. The
    scales of units matter: codes that are equal up to a matrix which the decoder undoes can differ, as scales are found
    unit by unit; and units of a sparse code, coded as they are, cost more where the decoder makes up for their scale.
    """
    return Curve(rate_curve.bits[chosen(rate_curve)], rate_curve.table(), rate_curve.n)


@metric("rate", "bits per image", "none", version=4, kinds=IMAGES)
def code_entropy(rate_curve: RateDistortion) -> Curve:
    """Entropy of the quantised test codes, each unit under its own frequencies, at the step of code_bits.

        sum_i sum_q -f_i(q) log2 f_i(q), f_i(q) the frequency of bin q of unit i in test codes

    Misleads: the frequencies are those of the test codes themselves, which no decoder knows: a real coder needs
    code_bits.
    """
    return Curve(rate_curve.entropy[chosen(rate_curve)], {}, rate_curve.n)


@metric("rate", "bits per image", "none", version=4, kinds=IMAGES)
def code_gap(rate_curve: RateDistortion) -> Curve:
    """Cross-entropy minus entropy at the step of code_bits: the cost of coding under the training histograms.

        sum_i sum_q f_i(q) log2(f_i(q) / p_i(q)), f_i(q) as in code_entropy, p_i(q) as in code_bits

    This is the Kullback-Leibler divergence of training from test frequencies.

    Misleads: a wide code with a fine step has many bins that training codes never fill, so the gap grows with the
    width.
    """
    place = chosen(rate_curve)
    return Curve(rate_curve.bits[place] - rate_curve.entropy[place], {}, rate_curve.n)


@metric("rate", "bits per image", "none", version=2, kinds=IMAGES)
def code_bits_autoregressive(index_bits: Tensor) -> Tensor:
    """Bits of a discrete code's entries under an autoregressive density fitted to the training codes.

        1/N sum_n sum_m -log2 p(k_nm | k_n1, ..., k_n(m-1)), k_nm the entry at position m of the code of image n

    Misleads: fewer bits are better at equal error only, and the density that predicts the entries is not counted.

    Args:
        index_bits: (N,), of the test images.
    """
    return index_bits


@metric("rate", "bits per image", "none", kinds=IMAGES)
def bits_back(bits_back_rate: RateDistortion) -> Curve:
    """Bits of a variational code by bits-back coding, E_q[log2 q(z | x) - log2 p(z)].

    This is elbo_kl in bits, but for the noise by which elbo_kl makes grey levels continuous.

    The curve is the one point of this rate and the mean squared error of images decoded from samples of q(z | x), which
    is what the receiver decodes; mean over 4 samples per image. It is not a rate of the deterministic codes, which
    code_bits quantises: a sample is received by spending log2 1/p(z) bits, of which log2 1/q(z | x) are recovered as
    bits of other data. G. Hinton, D. van Camp, "Keeping neural networks simple by minimizing the description length of
    the weights", 1993; J. Townsend, T. Bird, D. Barber 2019, arXiv:1901.04866; as rate and distortion: A. Alemi et al.
    2018, arXiv:1711.00464.

    Misleads: it is a rate for coding many samples in a row with a stochastic code; a single sample costs more.
    """
    return Curve(bits_back_rate.bits[0], bits_back_rate.table(), bits_back_rate.n)


@metric("rate", "%", "lower", version=4, kinds=IMAGES)
def bd_rate_against_pca(rate_curve: RateDistortion, pca_curve: RateDistortion) -> Curve:
    """Mean difference in bits at equal PSNR against PCA, quantised and coded in the same way.

        100 (10^mean(log10 r(q) - log10 r_pca(q)) - 1), r(q) the bits at PSNR q, over the q that both curves have

    At each rate PCA has the best number of components and the best step, so codes of every width have the same
    reference. The curve is that of PCA. G. Bjøntegaard 2001; see
    zoo.evaluation.measures.rate_distortion.

    Misleads: it is a mean over the range of quality that both share, which may be narrow: see bd_rate_span. Weights of
    the decoder are not counted. Methods with equal reconstructions can differ, as pca and ica do, by the scales of
    their units: see code_bits.
    """
    return against(rate_curve, pca_curve, "PCA")


@metric("rate", "dB", "none", version=3, kinds=IMAGES)
def bd_rate_span(rate_curve: RateDistortion, pca_curve: RateDistortion) -> Curve:
    """Width of the range of PSNR over which bd_rate_against_pca is a mean.

        max(0, min(max q, max q_pca) - max(min q, min q_pca)), q and q_pca the PSNRs on the lower convex hulls of bits
        over PSNR, of the points with 1 bit or more of the code and of PCA

    Misleads: a wide range does not make a code better: it says how much bd_rate_against_pca rests on.
    """
    low, high = common_quality(rate_curve, pca_curve)
    return Curve(max(high - low, 0.0), {}, rate_curve.n)


@metric("rate", "%", "lower", version=2, kinds=IMAGES)
def bits_against_pca(rate_curve: RateDistortion, pca_curve: RateDistortion) -> Curve:
    """Bits of a discrete code, which has one rate, against those of PCA at the same PSNR: the difference in percent.

        100 (r / r_pca(q) - 1), r the bits and q the PSNR of the code, r_pca(q) the bits of PCA at PSNR q

    Misleads: it compares at one quality only, which each discrete code chooses for itself.

    Raises:
        NotApplicable: the code is not discrete, or PCA does not have its PSNR.
    """
    if len(rate_curve.bits) > 1:
        raise NotApplicable("the code is not discrete, and has many rates: see bd_rate_against_pca")
    low, high = common_quality(rate_curve, pca_curve)
    if low > high:
        raise NotApplicable(f"PCA has {span(pca_curve)} at 1 bit or more, and the code {span(rate_curve)}")
    bits = float(bits_at(pca_curve, np.array([low]))[0])
    return Curve(100 * (rate_curve.bits[0] / bits - 1), {}, rate_curve.n)


@metric("rate", "%", "lower", version=5, kinds=IMAGES)
def bd_rate_against_jpeg(rate_curve: RateDistortion, jpeg_curve: RateDistortion) -> Curve:
    """Mean difference in bits at equal PSNR against JPEG without headers and tables.

        100 (10^mean(log10 r(q) - log10 r_jpeg(q)) - 1), r(q) the bits at PSNR q, over the q that both curves have

    The curve is that of JPEG, on 500 evenly spaced test images.

    Misleads: JPEG handles any image and needs no learned decoder, so a code fitted to one kind of image has an
    advantage.
    """
    return against(rate_curve, jpeg_curve, "JPEG")


@metric("rate", "%", "lower", version=5, kinds=IMAGES)
def bd_rate_against_webp(rate_curve: RateDistortion, webp_curve: RateDistortion) -> Curve:
    """Mean difference in bits at equal PSNR against lossy WebP without headers.

        100 (10^mean(log10 r(q) - log10 r_webp(q)) - 1), r(q) the bits at PSNR q, over the q that both curves have

    The curve is that of WebP, on 500 evenly spaced test images.

    Misleads: WebP serves all images and stores no decoder of megabytes; a code fitted to one kind of image should win.
    """
    return against(rate_curve, webp_curve, "WebP")


def chosen(curve: RateDistortion) -> int:
    """The point with the fewest bits whose error is at most 5 % above the smallest."""
    bound = TOLERANCE * min(curve.mse)
    return min((i for i, mse in enumerate(curve.mse) if mse <= bound), key=lambda i: curve.bits[i])


def against(curve: RateDistortion, reference: RateDistortion, name: str) -> Curve:
    """The BD-rate against a reference, with the reference's curve; no value where they hardly share a quality."""
    value = bd_rate(curve, reference)
    spans = f"the code has {span(curve)}, {name} {span(reference)}"
    reason = f"the ranges of quality share less than {LEAST_COMMON:g} dB: {spans}"
    if len(curve.bits) == 1:
        reason = "a discrete code has one rate, and no range of quality: see bits_against_pca"
    return Curve(value, reference.table(), reference.n, reason if value is None else "")


def span(curve: RateDistortion) -> str:
    """The range of qualities at 1 bit or more, as text."""
    quality = [q for q, bits in zip(curve.psnr(), curve.bits, strict=True) if bits >= 1]
    return f"{min(quality):.1f} to {max(quality):.1f} dB" if quality else "none"
