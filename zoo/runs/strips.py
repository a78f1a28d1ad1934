"""Rows of small images as text: base64 of a PNG, so that a record carries its pictures."""

from __future__ import annotations

import base64
import binascii
import io

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from zoo.errors import ZooError

COUNT = "images"  # the name of a PNG's text with their number
STEPS = 6  # images of a unit's traversal
MODES = {1: "L", 3: "RGB"}


def encode_strip(images: Tensor) -> str:
    """Images side by side, without gap, as a base64 PNG: (N, C, H, W) in [0, 1], clipped, in steps of 1/255.

    Where they are not square, a text of the PNG says how many there are.

    Raises:
        ZooError: images that are neither grey (C = 1) nor RGB (C = 3), or none at all.
    """
    if images.ndim != 4 or images.shape[1] not in MODES or not images.numel():
        raise ZooError(f"images of shape {tuple(images.shape)}: a strip needs (N, 1, H, W) or (N, 3, H, W)")
    n, c, h, w = images.shape
    pixels = images.detach().cpu().clamp(0, 1).mul(255).round().byte()
    strip = pixels.permute(2, 0, 3, 1).reshape(h, n * w, c).numpy()
    png = io.BytesIO()
    about = PngInfo()
    if h != w:
        about.add_text(COUNT, str(n))
    Image.fromarray(strip.squeeze(2) if c == 1 else strip).save(png, "PNG", optimize=True, pnginfo=about)
    return base64.b64encode(png.getvalue()).decode()


def decode_strip(strip: str, n: int | None = None) -> Tensor:
    """The images of a strip: (N, C, H, W), float32 in [0, 1].

    Args:
        strip: from `encode_strip`.
        n: number of images; by default what the strip says, or else as many squares as it holds.

    Raises:
        ZooError: not a PNG in base64, or its width does not part into `n` images.
    """
    try:
        image = Image.open(io.BytesIO(base64.b64decode(strip, validate=True)))
        pixels = np.asarray(image if image.mode in MODES.values() else image.convert("RGB"))
    except (binascii.Error, UnidentifiedImageError, OSError) as error:
        raise ZooError(f"a strip of images must be a PNG in base64 ({error}); run again to rewrite it") from error
    h, width = pixels.shape[:2]
    said = str(image.info.get(COUNT, ""))
    n = int(said) if n is None and said.isdecimal() and len(said) < 7 else n
    count = width // h if n is None else n
    if count < 1 or width % count or (n is None and width != count * h):
        raise ZooError(f"a strip of {width}x{h} pixels does not hold {n or 'whole square'} images; give their number n")
    tensor = torch.from_numpy(pixels.copy()).reshape(h, count, width // count, -1)
    return tensor.permute(1, 3, 0, 2).float().div(255)
