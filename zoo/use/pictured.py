"""A picture of a run as soon as it is done."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from zoo.files import write_atomically
from zoo.runs.records import Record
from zoo.runs.strips import decode_strip

GAP, LEAST = 4, 64  # pixels between images, and of the side to which small ones are enlarged


def picture_of_run(record: Record, model: Path) -> Path | None:
    """Draw the reconstructions that a record carries beside its model; None where it has none.

    Without matplotlib, which takes longer to import than a closed form takes to fit.
    """
    from PIL import Image

    rows = [decode_strip(record.images[name]) for name in ("original", "reconstruction") if name in record.images]
    if len(rows) < 2 or not model.exists():
        return None
    n, channels, h, w = rows[0].shape
    grow = max(1, LEAST // max(h, w))
    sheet = np.full((2 * h * grow + 3 * GAP, n * (w * grow + GAP) + GAP, 3), 255, np.uint8)
    for line, images in enumerate(rows):
        for k, image in enumerate(images.expand(-1, 3, -1, -1) if channels == 1 else images):
            pixels = image.permute(1, 2, 0).mul(255).round().byte().numpy().repeat(grow, 0).repeat(grow, 1)
            top, left = GAP + line * (h * grow + GAP), GAP + k * (w * grow + GAP)
            sheet[top : top + h * grow, left : left + w * grow] = pixels
    content = io.BytesIO()
    Image.fromarray(sheet).save(content, "PNG", optimize=True)
    path = model.with_suffix(".png")
    write_atomically(path, content.getvalue())
    return path
