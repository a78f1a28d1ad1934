"""Robustness of reconstructions to noise, masking and other corruptions, whether or not a model was fitted for them.

All these metrics reconstruct corrupted test images from deterministic codes and compare them with the clean images. The
value is the mean over the strengths of the corruption. The curve shows each strength, beside methods without a model:
the corrupted image itself ("corrupted"), its 3x3 median filter, and the mean training image on masked pixels. The mask
of a block, of pixels or of stains is passed to encoders that read masks.
"""

from __future__ import annotations

from zoo.evaluation.measures.restoration import Part, Restoration
from zoo.evaluation.registry import IMAGES, Curve, metric

GROUP, UNIT = "robustness", "squared error per pixel"
MODEL = "model"


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def denoising_gaussian_mse(gaussian_noise: Restoration) -> Curve:
    """Mean squared error of reconstructions of images with Gaussian noise, mean over several stds.

        1/5 sum_s 1/(N C H W) sum_n |x_hat_ns - x_n|^2, x_hat_ns the reconstruction from x_n + s e,
        e ~ N(0, I), s = 0.1, 0.2, 0.3, 0.5, 0.75

    Misleads: a narrow bottleneck removes noise because it cannot represent it, so a model with large errors on clean
    images may look robust: compare with mse.
    """
    return curve(gaussian_noise, "all")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def denoising_salt_and_pepper_mse(salt_and_pepper: Restoration) -> Curve:
    """Mean squared error of reconstructions of images with pixels turned black or white, mean over several rates.

        1/5 sum_s 1/(N C H W) sum_n |x_hat_ns - x_n|^2, x_hat_ns the reconstruction from x_n with pixels
        changed at rate s = 0.05, 0.1, 0.2, 0.3, 0.5

    Misleads: a narrow bottleneck removes noise because it cannot represent it, so a model with large errors on clean
    images may look robust: compare with mse.
    """
    return curve(salt_and_pepper, "all")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def depixelation_mse(pixelation: Restoration) -> Curve:
    """Mean squared error of reconstructions of pixelated images, mean over several block sizes.

        1/3 sum_s 1/(N C H W) sum_n |x_hat_ns - x_n|^2, x_hat_ns the reconstruction from x_n averaged
        over blocks of s x s pixels, s = 2, 3, 4

    Misleads: of pixels that blocks have averaged, several originals are plausible, and a blurred average of these
    scores best.
    """
    return curve(pixelation, "all")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def inpainting_block_inside_mse(block_masks: Restoration) -> Curve:
    """Mean squared error inside a masked block, mean over several fractions of the image's height and width.

        1/4 sum_s (sum_np m_nsp (x_hat_nsp - x_np)^2 / sum_np m_nsp),
        m_nsp = 1 on masked values p, else 0, fractions s = 0.25, 0.375, 0.5, 0.75

    Misleads: much of a digit's image is blank, so black everywhere scores well: see inpainting_block_drawn_mse.
    """
    return curve(block_masks, "inside")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def inpainting_block_drawn_mse(block_masks: Restoration) -> Curve:
    """Mean squared error inside a masked block, on patches of the image that are not blank.

        1/4 sum_s (sum_np m_nsp (x_hat_nsp - x_np)^2 / sum_np m_nsp),
        m_nsp = 1 on masked values p of these patches, else 0, fractions s = 0.25, 0.375, 0.5, 0.75

    A patch (2x2 pixels of 8x8, 4x4 of 28x28) is blank where all pixels of the clean image are equal. Much of a digit's
    image is blank, and a constant guess is right there.

    Misleads: several contents of a masked block are plausible, and a blurred average of these scores best.
    """
    return curve(block_masks, "drawn")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def inpainting_block_outside_mse(block_masks: Restoration) -> Curve:
    """Mean squared error outside a masked block, mean over several fractions of the image's height and width.

        1/4 sum_s (sum_np m_nsp (x_hat_nsp - x_np)^2 / sum_np m_nsp),
        m_nsp = 0 on masked values p, else 1, fractions s = 0.25, 0.375, 0.5, 0.75

    Misleads: copying the visible pixels is easy for a wide code: it says nothing about inpainting.
    """
    return curve(block_masks, "outside")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def inpainting_pixels_inside_mse(pixel_masks: Restoration) -> Curve:
    """Mean squared error on masked pixels, mean over several rates of masking.

        1/5 sum_s (sum_np m_nsp (x_hat_nsp - x_np)^2 / sum_np m_nsp),
        m_nsp = 1 on masked values p, else 0, rates s = 0.1, 0.25, 0.5, 0.75, 0.9

    Misleads: single masked pixels can be interpolated from their neighbours: a low error needs no model of the image.
    """
    return curve(pixel_masks, "inside")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def inpainting_pixels_drawn_mse(pixel_masks: Restoration) -> Curve:
    """Mean squared error on masked pixels of patches (2x2 of 8x8 pixels, 4x4 of 28x28) that are not blank.

        1/5 sum_s (sum_np m_nsp (x_hat_nsp - x_np)^2 / sum_np m_nsp),
        m_nsp = 1 on masked values p of these patches, else 0, rates s = 0.1, 0.25, 0.5, 0.75, 0.9

    Misleads: single masked pixels can be interpolated from their neighbours: a low error needs no model of the image.
    """
    return curve(pixel_masks, "drawn")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def inpainting_pixels_outside_mse(pixel_masks: Restoration) -> Curve:
    """Mean squared error on the pixels that are not masked, mean over several rates of masking.

        1/5 sum_s (sum_np m_nsp (x_hat_nsp - x_np)^2 / sum_np m_nsp),
        m_nsp = 0 on masked values p, else 1, rates s = 0.1, 0.25, 0.5, 0.75, 0.9

    Misleads: copying the visible pixels is easy for a wide code: it says nothing about inpainting.
    """
    return curve(pixel_masks, "outside")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def stain_inside_mse(stains: Restoration) -> Curve:
    """Mean squared error under blots and half as many creases of random grey, mean over several numbers of blots.

        1/3 sum_s (sum_np m_nsp (x_hat_nsp - x_np)^2 / sum_np m_nsp),
        m_nsp = 1 on stained values p, else 0, s = 2, 4, 8 blots

    Misleads: several contents under a stain are plausible, and a blurred average of these scores best.
    """
    return curve(stains, "inside")


@metric(GROUP, UNIT, "lower", version=2, kinds=IMAGES)
def stain_outside_mse(stains: Restoration) -> Curve:
    """Mean squared error on the pixels that are not stained, mean over several numbers of blots.

        1/3 sum_s (sum_np m_nsp (x_hat_nsp - x_np)^2 / sum_np m_nsp),
        m_nsp = 0 on stained values p, else 1, s = 2, 4, 8 blots

    Misleads: copying the untouched pixels is easy for a wide code: it says nothing about removing stains.
    """
    return curve(stains, "outside")


def curve(restoration: Restoration, part: Part) -> Curve:
    """Errors on a part of the images by strength and method as a table; the value is the model's mean."""
    errors = restoration.mse(part)
    columns = {name: error.tolist() for name, error in errors.items()}
    table = {restoration.axis: restoration.levels, **columns}
    influence = restoration.influence(part, MODEL)
    return Curve(errors[MODEL].mean().item(), table, len(influence), influence=(influence,))
