"""Published sets at a lower resolution, for small models."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from torch import Tensor
from torch.nn import functional as F

from zoo.data.images import Images, Source
from zoo.data.sources.photographs import faces


@cache
def faces_small(root: str = "data") -> Source:
    """The photographs of `faces` at half their height and width, 1x32x32: each pixel is the mean of four."""
    source = faces(root)
    return replace(source, name="faces_small", train=halved(source.train), test=halved(source.test))


def halved(images: Images) -> Images:
    """Images of half the height and width."""
    assert isinstance(images.pixels, Tensor)  # no sparse vectors
    return replace(images, pixels=F.avg_pool2d(images.pixels.float(), 2))
