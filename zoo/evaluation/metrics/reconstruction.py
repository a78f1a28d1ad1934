"""Errors of reconstructions from deterministic codes; reconstructions are not clipped."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zoo.evaluation.measures.influence import ratio
from zoo.evaluation.registry import IMAGES, REAL, Curve, NotApplicable, metric

PERFECT_MSE = 1e-10
WINDOW, WINDOW_STD = 11, 1.5
SCALES = 5
CHUNK = 4096


def each(x: Tensor, x_hat: Tensor, measured: Callable[[Tensor], Tensor]) -> Tensor:
    """A measure of each sample's errors, B samples at a time: (B, D) -> (B,); x, x_hat: (N, C, H, W) -> (N,)."""
    parts = zip(torch.split(x, CHUNK), torch.split(x_hat, CHUNK), strict=True)
    return torch.cat([measured((output - target).flatten(1)) for target, output in parts])


@metric("reconstruction", "squared error per sample", "lower", kinds=REAL)
def sse(x: Tensor, x_hat: Tensor) -> Tensor:
    """Sum over pixels of (x_hat - x)^2, x in [0, 1], x_hat not clipped.

    Misleads: a blurred average of several plausible images scores better than a sharp image that is slightly off. The
    sum grows with the number of pixels, so it compares models of one data set only.

    Args:
        x: (N, C, H, W) in [0, 1].
        x_hat: (N, C, H, W).
    """
    return each(x, x_hat, lambda error: error.square_().sum(1))


@metric("reconstruction", "squared error per value", "lower", kinds=REAL)
def mse(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean over pixels of (x_hat - x)^2, x in [0, 1], x_hat not clipped.

    Misleads: a blurred average of several plausible images scores better than a sharp image that is slightly off, and a
    large blank background makes every model look good.
    """
    return each(x, x_hat, lambda error: error.square_().mean(1))


@metric("reconstruction", "absolute error per value", "lower", kinds=REAL)
def mae(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean over pixels of |x_hat - x|, x in [0, 1], x_hat not clipped.

    Misleads: the best constant guess is the median, so leaving out thin strokes on a blank background costs little.
    """
    return each(x, x_hat, lambda error: error.abs_().mean(1))


@metric("reconstruction", "dB", "higher", kinds=IMAGES)
def psnr(x: Tensor, x_hat: Tensor) -> Tensor:
    """-10 log10(max(mse, 1e-10)) of each image for a data range of 1; 100 dB where the error is zero.

    x, x_hat: (N, C, H, W). The mean over images is the mean of decibels, not the decibels of the mean error.

    Misleads: a few images with almost no error raise the mean; otherwise it prefers blur as mse does.
    """
    return -10 * mse(x, x_hat).clamp(min=PERFECT_MSE).log10()


def blur_matrix(size: int) -> Tensor:
    """The (size, size) float64 matrix that filters a line of pixels with the Gaussian window, edges reflected.

    Raises:
        NotApplicable: the line is too short to be reflected over half the window.
    """
    radius = WINDOW // 2
    if size <= radius:
        raise NotApplicable(
            f"the {WINDOW}x{WINDOW} window needs images of at least {radius + 1} pixels a side, not {size}"
        )
    offset = torch.arange(-radius, radius + 1)
    kernel = torch.exp(-0.5 * (offset.double() / WINDOW_STD) ** 2)
    source = (torch.arange(size)[:, None] + offset).abs()
    source = torch.where(source < size, source, 2 * (size - 1) - source)
    return torch.zeros(size, size, dtype=torch.float64).scatter_add_(
        1, source, (kernel / kernel.sum()).expand(size, WINDOW)
    )


@metric("reconstruction", "1", "higher", kinds=IMAGES)
def ssim(x: Tensor, x_hat: Tensor, chunk: int = 256) -> Tensor:
    """Structural similarity for a data range of 1, Gaussian window 11x11 of std 1.5, edges reflected.

        (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2)), c1 = 0.01^2, c2 = 0.03^2

    with the window's weighted means m, variances s^2 and covariance s_xy, averaged over all pixels and channels,
    including the border. The window is separable, so filtering is one banded matrix product per side.

    Z. Wang, A. Bovik, H. Sheikh, E. Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", 2004, eq. 13. Equal to torchmetrics'
    `StructuralSimilarityIndexMeasure(data_range=1.0)`; implementations that crop the border give other numbers.

    Misleads: blank regions count as perfectly similar, so a large background hides errors in the foreground; on small
    images the window covers much of the image.

    Args:
        x: (N, C, H, W) in [0, 1].
        x_hat: (N, C, H, W).
        chunk: images filtered at a time, which bounds memory and changes nothing else.

    Raises:
        NotApplicable: an image has a side of less than 6 pixels.
    """
    rows = blur_matrix(x.shape[2]).to(x)
    columns = blur_matrix(x.shape[3]).to(x).T
    values = []
    for a, b in zip(torch.split(x, chunk), torch.split(x_hat, chunk), strict=True):
        moments = torch.stack([a, b, a * a, b * b, a * b])
        m_a, m_b, aa, bb, ab = rows @ (moments @ columns)
        c1, c2 = 0.01**2, 0.03**2
        variances = (aa - m_a * m_a).clamp_(min=0) + (bb - m_b * m_b).clamp_(min=0)
        similarity = (2 * m_a * m_b + c1) * (2 * (ab - m_a * m_b) + c2)
        similarity /= (m_a * m_a + m_b * m_b + c1) * (variances + c2)
        values.append(similarity.flatten(1).mean(1))
    return torch.cat(values)


@metric("reconstruction", "1", "higher", kinds=IMAGES)
def ms_ssim(x: Tensor, x_hat: Tensor, chunk: int = 64) -> Tensor:
    """Structural similarity over five scales, each half of the one before, with the window and constants of ssim.

        max(ssim_5, 0)^0.1333 prod_(j < 5) max(k_j, 0)^w_j, w = 0.0448, 0.2856, 0.3001, 0.2363, ssim_5 that of scale 5,
        k_j the mean at scale j of (2 s_xy + c2) / (s_x^2 + s_y^2 + c2) over all but the 5 outermost pixels

    Z. Wang, E. Simoncelli, A. Bovik, "Multiscale structural similarity for image quality assessment", 2003;
    computed by torchmetrics.

    Misleads: the finest scale has the least weight, so lost detail costs little; it is not defined for images with
    sides below 176 pixels.

    Args:
        x: (N, C, H, W) in [0, 1].
        x_hat: (N, C, H, W).
        chunk: images compared at a time, which bounds memory and changes nothing else.

    Raises:
        NotApplicable: a side is shorter than the window at the coarsest scale.
    """
    smallest = WINDOW * 2 ** (SCALES - 1)
    if min(x.shape[2:]) < smallest:
        raise NotApplicable(
            f"five scales of an {WINDOW}x{WINDOW} window need images of at least {smallest} pixels a side, "
            f"not {min(x.shape[2:])}"
        )
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as similarity

    pairs = zip(torch.split(x_hat, chunk), torch.split(x, chunk), strict=True)
    return torch.cat([similarity(b, a, data_range=1.0, reduction="none") for b, a in pairs])


@metric("reconstruction", "1", "higher", version=2, kinds=REAL)
def explained_variance(x: Tensor, x_hat: Tensor) -> Curve:
    """1 - sum (x - x_hat)^2 / sum (x - mean)^2, both sums over all test samples and pixels.

    The mean is that of each pixel over the test samples; the second term is the fraction of unexplained variance.

    Misleads: a model with 0.9 may lose exactly the small details in which classes differ, and values of data sets with
    different variance do not compare.

    Args:
        x: (N, C, H, W).
        x_hat: (N, C, H, W).

    Raises:
        NotApplicable: all test samples are equal.
    """
    parts = list(zip(torch.split(x, CHUNK), torch.split(x_hat, CHUNK), strict=True))  # less than all in float64
    mean = torch.stack([part.sum(0, dtype=torch.float64) for part, _ in parts]).sum(0) / len(x)
    apart = torch.cat([(part - mean).square().flatten(1).sum(1) for part, _ in parts])
    if len(x) == 1:
        raise NotApplicable("there is a single test image, which has no variance")
    if apart.sum() == 0:
        raise NotApplicable("all test images are equal, so their variance is zero")
    left = ratio(torch.cat([(a - b).double().square().flatten(1).sum(1) for a, b in parts]), apart)
    return Curve(1 - left.value, {}, len(x), influence=(-left.influence,))
