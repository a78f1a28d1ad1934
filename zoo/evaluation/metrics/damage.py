"""Whether a model sees behind damage, be it fitted for that or not.

All these metrics reconstruct damaged test images from point codes and compare with the undamaged ones. Their
value is the mean over the strengths; the curve shows each strength, beside what needs no model: the damaged image
itself ("damaged"), its 3x3 median filter, the mean training image put in the hole. Where a hole or a stain is, is known
to the models whose encoder asks for it, as it is to the mean image.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.metrics.registry import Curve, metric
from zoo.evaluation.restoration import Restoration

UNIT = "squared error per pixel"


@metric("damage", UNIT, "lower")
def denoising_gaussian_mse(gaussian_noise: Restoration) -> Curve:
    """Mean squared error of reconstructions of images with Gaussian noise of a given std, mean over the stds."""
    return curve(gaussian_noise, gaussian_noise.mse())


@metric("damage", UNIT, "lower")
def denoising_salt_and_pepper_mse(salt_and_pepper: Restoration) -> Curve:
    """Mean squared error of reconstructions of images with a given rate of pixels turned black or white."""
    return curve(salt_and_pepper, salt_and_pepper.mse())


@metric("damage", UNIT, "lower")
def depixelation_mse(pixelation: Restoration) -> Curve:
    """Mean squared error of reconstructions of images whose blocks of a given side are replaced by their mean."""
    return curve(pixelation, pixelation.mse())


@metric("damage", UNIT, "lower")
def inpainting_block_inside_mse(block_holes: Restoration) -> Curve:
    """Mean squared error inside a hidden block of a given fraction of the image's height and width."""
    return curve(block_holes, block_holes.mse_inside())


@metric("damage", UNIT, "lower")
def inpainting_block_drawn_mse(block_holes: Restoration) -> Curve:
    """Mean squared error inside a hidden block, on patches of the image that are not blank.

    A patch (2x2 pixels of 8x8, 4x4 of 28x28) is blank where all pixels of the undamaged image are alike: much of a
    digit's image is, and is guessed without looking.
    """
    return curve(block_holes, block_holes.mse_inside_drawn())


@metric("damage", UNIT, "lower")
def inpainting_block_outside_mse(block_holes: Restoration) -> Curve:
    """Mean squared error outside a hidden block of a given fraction of the image's height and width."""
    return curve(block_holes, block_holes.mse_outside())


@metric("damage", UNIT, "lower")
def inpainting_pixels_inside_mse(pixel_holes: Restoration) -> Curve:
    """Mean squared error on hidden pixels, each hidden with a given probability."""
    return curve(pixel_holes, pixel_holes.mse_inside())


@metric("damage", UNIT, "lower")
def inpainting_pixels_drawn_mse(pixel_holes: Restoration) -> Curve:
    """Mean squared error on hidden pixels of patches (2x2 of 8x8 pixels, 4x4 of 28x28) that are not of one grey."""
    return curve(pixel_holes, pixel_holes.mse_inside_drawn())


@metric("damage", UNIT, "lower")
def inpainting_pixels_outside_mse(pixel_holes: Restoration) -> Curve:
    """Mean squared error on the pixels left when each is hidden with a given probability."""
    return curve(pixel_holes, pixel_holes.mse_outside())


@metric("damage", UNIT, "lower")
def stain_inside_mse(stains: Restoration) -> Curve:
    """Mean squared error under a given number of blots and half as many creases, painted over in random greys."""
    return curve(stains, stains.mse_inside())


@metric("damage", UNIT, "lower")
def stain_outside_mse(stains: Restoration) -> Curve:
    """Mean squared error beside a given number of blots and half as many creases."""
    return curve(stains, stains.mse_outside())


def curve(restoration: Restoration, errors: dict[str, Tensor]) -> Curve:
    """Errors by strength and restorer as a table, with the model's mean as value."""
    columns = {name: error.tolist() for name, error in errors.items()}
    table = {restoration.axis: restoration.levels, **columns}
    return Curve(errors["model"].mean().item(), table, restoration.n)
