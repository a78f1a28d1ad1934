"""The tab Explore: code planes of several models of one data set, side by side."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from zoo.catalogue import title_of, variants
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.report.page.portable import float16, portable

DRAWN = {"mnist": 20, "digits": 8}  # sets of handwriting: pixels of the box that a digit of theirs fills
SHOWN = 320  # test images
ACROSS = 25  # images in a row of the sprite


@dataclass(frozen=True)
class Shown:
    """A fitted model with the name of its variant."""

    variant: str
    model: Autoencoder


def content(data: Splits, views: Sequence[Sequence[Shown]]) -> dict[str, Any]:
    """What the tab shows of one data set.

    Args:
        data: its test images are shown.
        views: groups of models side by side, each of one size of code.

    Raises:
        ZooError: the images are not grey, or a model has a part that the page cannot compute.
    """
    if data.kind != "image" or data.shape[0] != 1:
        raise ZooError(f"the page explores grey images, and samples of {data.name} are not; choose another data set")
    test = data.test.spaced(SHOWN)
    x = test[:]
    return {
        "name": data.name,
        "title": title_of(data.name),
        "height": data.shape[1],
        "width": data.shape[2],
        "ink": bool(x.mean() < 0.5),
        "box": DRAWN.get(data.name),
        "classes": list(data.classes),
        "labels": test.labels.tolist() if data.classes else [],
        "count": len(x),
        "across": ACROSS,
        "sprite": sprite(x),
        "views": [view(x, models) for models in views if models],
    }


def view(x: Tensor, models: Sequence[Shown]) -> dict[str, Any]:
    """Models side by side; "numbers" is the code width that most of them have."""
    about = {variant.name: variant.method for variant in variants()}
    numbers = Counter(each.model.bottleneck.out_features for each in models).most_common(1)[0][0]
    shown = [method(each, about.get(each.variant, ""), x) for each in models]
    return {"numbers": numbers, "methods": shown}


def method(shown: Shown, about: str, x: Tensor) -> dict[str, Any]:
    """One model, what it is, and the codes of the images."""
    return {"name": shown.variant, "about": about, "codes": codes(shown.model, x), **portable(shown.model)}


@torch.no_grad()
def codes(model: Autoencoder, x: Tensor) -> bytes:
    """The codes of images, image by image, as float16."""
    return float16([model.encode(x)])


def sprite(x: Tensor) -> bytes:
    """Grey images (N, 1, H, W) in rows of 25, as a PNG."""
    n, _, h, w = x.shape
    down = math.ceil(n / ACROSS)
    padded = torch.cat([x, x.new_zeros(down * ACROSS - n, 1, h, w)])
    grid = padded.reshape(down, ACROSS, h, w).transpose(1, 2).reshape(down * h, ACROSS * w)
    png = io.BytesIO()
    Image.fromarray(grid.clamp(0, 1).mul(255).round().byte().numpy()).save(png, "PNG", optimize=True)
    return png.getvalue()
