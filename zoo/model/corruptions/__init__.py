"""Corruptions of the encoder's input during training; each class satisfies `zoo.types.Corruption`.

The mask that comes with the corrupted image is one wherever the image may have changed, and broadcasts over channels:
(B, 1, H, W). A strength given as a `Level` may be a range; then each image draws its own value from it.
"""

from zoo.model.corruptions.masks import BlockMask, PatchMask, PixelMask, Stain, patch_side
from zoo.model.corruptions.noise import Binarise, GaussianNoise, NoCorruption, Pixelate, SaltAndPepper
from zoo.model.corruptions.paper import Paper

__all__ = [
    "Binarise",
    "BlockMask",
    "GaussianNoise",
    "NoCorruption",
    "Paper",
    "PatchMask",
    "PixelMask",
    "Pixelate",
    "SaltAndPepper",
    "Stain",
    "patch_side",
]
