"""JPEG and WebP on single images, as references for the rate of codes; their headers are not counted."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zoo.evaluation.measures.rate_distortion import RateDistortion

QUALITIES = (2, 5, 10, 20, 35, 50, 70, 85, 95)
WEBP_HEADER = 10


def codec_curve(x: Tensor, name: str, qualities: tuple[int, ...] = QUALITIES) -> RateDistortion:
    """Rate and distortion of a codec, each image compressed by itself.

    Args:
        x: (N, 1 or 3, H, W) in [0, 1]; rounded to 8 bits.
        name: "JPEG" (bits of the entropy-coded scan only, without markers and tables, which are the same for every
            image) or "WEBP" (the lossy frame without the container and without the frame's 10 bytes of tag, start code
            and size).
        qualities: settings on the codec's own scale.
    """
    payload = {"JPEG": jpeg_scan_bytes, "WEBP": webp_frame_bytes}[name]
    pixels = x.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    images = [Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image) for image in pixels]
    bits, errors = [], []
    for quality in qualities:
        files = [compressed(image, name, quality) for image in images]
        decoded = np.stack(
            [
                np.asarray(Image.open(io.BytesIO(file)).convert(image.mode), dtype=np.float32)
                for file, image in zip(files, images, strict=True)
            ]
        )
        bits.append(8 * sum(map(payload, files)) / len(files))
        difference = torch.from_numpy(decoded.reshape(pixels.shape)).permute(0, 3, 1, 2) / 255 - x
        errors.append(difference.square().mean(dtype=torch.float64).item())
    return RateDistortion(list(map(float, qualities)), bits, bits, errors, len(x))


def compressed(image: Image.Image, name: str, quality: int) -> bytes:
    """The file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, name, quality=quality)
    return buffer.getvalue()


def jpeg_scan_bytes(file: bytes) -> int:
    """Bytes between the header of a baseline JPEG file's only scan and its end marker."""
    place = 2
    while True:
        marker, length = file[place + 1], int.from_bytes(file[place + 2 : place + 4], "big")
        place += 2 + length
        if marker == 0xDA:
            return len(file) - place - 2


def webp_frame_bytes(file: bytes) -> int:
    """Bytes of a lossy WebP file's frame, without its 10 bytes of tag, start code and size."""
    start = file.index(b"VP8 ")
    return int.from_bytes(file[start + 4 : start + 8], "little") - WEBP_HEADER
