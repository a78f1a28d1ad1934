"""Rate and distortion: the common currency of codes of different kinds.

Point codes are quantised on a grid and each unit is coded under its histogram over the training images, zeros and all:
a sparse code pays for which units are active in what their zeros and non-zeros cost. A discrete code pays for its
indices.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.metrics.registry import Curve, metric
from zoo.evaluation.rate import RateDistortion, bd_rate

TOLERANCE = 1.05


@metric("rate", "bits per image", "lower")
def code_bits(rate_curve: RateDistortion) -> Curve:
    """Cross-entropy of quantised test codes under histograms of training codes, at the chosen step of the grid.

    The step is the coarsest that adds at most 5 % to the mean squared error of the finest. The curve shows all steps:
    bits, entropy, mse and psnr.
    """
    return Curve(rate_curve.bits[chosen(rate_curve)], rate_curve.table(), rate_curve.n)


@metric("rate", "bits per image", "none")
def code_entropy(rate_curve: RateDistortion) -> Curve:
    """Entropy of the quantised test codes, unit by unit under their own frequencies, at the step of code_bits."""
    return Curve(rate_curve.entropy[chosen(rate_curve)], {}, rate_curve.n)


@metric("rate", "bits per image", "lower")
def code_gap(rate_curve: RateDistortion) -> Curve:
    """Cross-entropy minus entropy at the step of code_bits: what coding under the training histograms costs.

    This is the Kullback-Leibler divergence of training from test frequencies.
    """
    place = chosen(rate_curve)
    return Curve(rate_curve.bits[place] - rate_curve.entropy[place], {}, rate_curve.n)


@metric("rate", "bits per image", "lower")
def code_bits_autoregressive(index_bits: Tensor) -> Tensor:
    """Bits of a discrete code's indices under an autoregressive prior fitted to the training codes.

    Args:
        index_bits: (N,), of the test images.
    """
    return index_bits


@metric("rate", "%", "lower")
def bd_rate_against_pca(rate_curve: RateDistortion, pca_curve: RateDistortion) -> Curve:
    """Mean difference in bits at equal PSNR against PCA, quantised and coded likewise.

    PCA takes as many components as serve best at each rate, of 1, 2, 4, ... up to all, so that one reference stands for
    every width. The curve is that of PCA. Bjøntegaard 2001; see zoo.evaluation.rate.
    """
    return against(rate_curve, pca_curve, "PCA")


@metric("rate", "%", "lower")
def bd_rate_against_jpeg(rate_curve: RateDistortion, jpeg_curve: RateDistortion) -> Curve:
    """Mean difference in bits at equal PSNR against JPEG, headers and tables not counted, of 500 test images.

    The curve is that of JPEG.
    """
    return against(rate_curve, jpeg_curve, "JPEG")


@metric("rate", "%", "lower")
def bd_rate_against_webp(rate_curve: RateDistortion, webp_curve: RateDistortion) -> Curve:
    """Mean difference in bits at equal PSNR against lossy WebP, headers not counted, of 500 test images.

    The curve is that of WebP.
    """
    return against(rate_curve, webp_curve, "WebP")


def chosen(curve: RateDistortion) -> int:
    """The cheapest point whose error is at most 5 % above the smallest."""
    bound = TOLERANCE * min(curve.mse)
    return min((i for i, mse in enumerate(curve.mse) if mse <= bound), key=lambda i: curve.bits[i])


def against(curve: RateDistortion, reference: RateDistortion, name: str) -> Curve:
    """The BD-rate against a reference, shown with the reference's curve; no value where no quality is common."""
    value = bd_rate(curve, reference)
    reason = f"no quality is common: the code reaches {span(curve)}, {name} {span(reference)} at 1 bit or more"
    return Curve(value, reference.table(), reference.n, reason if value is None else "")


def span(curve: RateDistortion) -> str:
    """The range of qualities, in words."""
    quality = [q for q, bits in zip(curve.psnr(), curve.bits, strict=True) if bits >= 1]
    return f"{min(quality):.1f} to {max(quality):.1f} dB" if quality else "none"
