"""Dirt of real pages, put on clean ones: a `zoo.types.Corruption`.

It is in this package, not among the other corruptions, because its dirt is data: files of a user.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_finite, check_fraction
from zoo.data.sources.page_pairs import Pair, divided_pairs, grey_pair, paired
from zoo.errors import ZooError
from zoo.types import Corruption

PAPER = 0.97  # least grey level of a clean page that is paper
LEAST = 0.02  # grey level of the darkest dirt
SCALES = (0.6, 1.5)  # pixels of dirt to a pixel of the image
STRENGTHS = (0.6, 1.6)  # exponents of dirt
LIGHT = (0.7, 1.1)  # brightness of the paper
TONES = (0.9, 1.15)  # exponents of the clean page's grey levels


@dataclass(frozen=True)
class Dirt:
    """Dirt of the dirty pages in a folder, on other pages; ink is opaque.

        seen = clip(blur(s(p) x^t + level (m + (1 - m) s(p)) (1 - x^t)) + noise eps, 0, 1),    s = light field^strength

    The field of a pair is the dirty page where the clean one is paper, and the nearest paper where it is ink. A random
    part of a random field is flipped, turned, scaled and applied; t, level, m, light, strength, blur and noise are
    drawn for each image. Only dirt of training pages is used, those of `zoo.data.sources.page_pairs.pages` with the
    same `test_fraction` and `split_seed`. Other images get drawn dirt, and some stay clean, so that a clean page is
    kept.

    Limitations: dirt is grey; text printed on it and dirt that covers ink are not distinguished. The folder's content
    is part of a run's identity where the data are from the same folder.

    Args:
        drawn: the corruption of images without real dirt.
        path: a folder as of `zoo.data.sources.page_pairs.pages`; None for drawn dirt alone.
        test_fraction: fraction of its clean pages whose dirt is not used.
        split_seed: determines which pages these are.
        real: fraction of the corrupted images with real dirt, in [0, 1].
        clean: fraction of the images that are not corrupted, in [0, 1].
        ink: brightest grey level of ink.
        noise: largest standard deviation of the noise, of the pixel range.
        blur: largest weight of the mean over 3x3 pixels, in [0, 1].

    Raises:
        ZooError: a number out of range; when called, a folder that cannot be used.

    Source: the pages of M. Castro-Bleda et al., "The NoisyOffice database", 2020, UCI Machine Learning Repository.
    """

    masks: ClassVar[bool] = False

    drawn: Corruption
    path: str | None = None
    test_fraction: float = 0.2
    split_seed: int = 0
    real: float = 0.75
    clean: float = 0.1
    ink: float = 0.3
    noise: float = 0.02
    blur: float = 0.15

    def __post_init__(self) -> None:
        for name in ("real", "clean", "ink", "blur"):
            check_fraction(getattr(self, name), f"corruption.{name}")
        check_finite(self.noise, "corruption.noise", least=0)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """The dirty pages (B, C, H, W), and a mask of ones where an image was changed: (B, 1, H, W)."""
        kept, real = (_uniform(x, 0, 1, generator) < share for share in (self.clean, self.real))
        seen, _ = self.drawn(x, generator)
        if self.fields:
            seen = torch.where(real, self._dirtied(x, generator), seen)
        seen = torch.where(kept, x, seen)
        return seen, (~kept).to(x.dtype).expand(-1, 1, *x.shape[2:])

    @cached_property
    def fields(self) -> tuple[Tensor, ...]:
        """The dirt of the folder's training pages, each (1, H, W) in [0, 1]; none without a folder."""
        if self.path is None:
            return ()
        train, _ = divided_pairs(paired(Path(self.path)), self.test_fraction, self.split_seed)
        return tuple(field_of(pair) for pair in train)

    def _dirtied(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """x: (B, C, H, W) with real dirt."""

        def draw(low: float, high: float) -> Tensor:
            return _uniform(x, low, high, generator)

        field = torch.stack([_part(self.fields, x.shape[2], x.shape[3], generator) for _ in x]).to(x)
        field = (field ** draw(*STRENGTHS) * draw(*LIGHT)).clamp(max=1)
        page, opaque = x ** draw(*TONES), draw(0, 1)
        seen = field * page + draw(0, self.ink) * (opaque + (1 - opaque) * field) * (1 - page)
        mean = F.avg_pool2d(F.pad(seen, (1, 1, 1, 1), "replicate"), 3, 1)
        seen = torch.lerp(seen, mean, draw(0, self.blur) * (draw(0, 1) < 0.5))
        noise = torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)
        return (seen + draw(0, self.noise) * noise).clamp(0, 1)


def field_of(pair: Pair) -> Tensor:
    """The dirt of a pair: (1, H, W) in [0, 1].

    Raises:
        ZooError: the clean page has no paper, or the pages cannot be used.
    """
    dirty, clean = (page.astype(np.float32) / 255 for page in grey_pair(pair))
    ink = ndimage.minimum_filter(clean, 3) < PAPER
    if ink.all():
        raise ZooError(f"{pair.clean}: no paper, {PAPER} of white or brighter; clean pages are dark on white")
    nearest = ndimage.distance_transform_edt(ink, return_distances=False, return_indices=True)
    return torch.from_numpy(dirty[tuple(nearest)]).clamp(LEAST, 1)[None]


def _part(fields: tuple[Tensor, ...], height: int, width: int, generator: torch.Generator | None) -> Tensor:
    """A random part of a random field, flipped, turned and scaled: (1, height, width)."""
    which, top, left, scale, *flips = torch.rand(
        7, generator=generator, device=generator.device if generator else None
    ).tolist()
    field = fields[int(which * len(fields))]
    if flips[0] < 0.5:
        field = field.transpose(1, 2)
    step = SCALES[0] + (SCALES[1] - SCALES[0]) * scale
    tall, wide = (min(max(1, round(step * n)), m) for n, m in zip((height, width), field.shape[1:], strict=True))
    first, second = int(top * (field.shape[1] - tall + 1)), int(left * (field.shape[2] - wide + 1))
    part = field[:, first : first + tall, second : second + wide]
    part = part.flip([axis for axis, flip in zip((1, 2), flips[1:], strict=True) if flip < 0.5])
    return F.interpolate(part[None], (height, width), mode="bilinear", antialias=True)[0]


def _uniform(x: Tensor, low: float, high: float, generator: torch.Generator | None) -> Tensor:
    """A uniform number for each image: (B, 1, 1, 1)."""
    u = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device, dtype=x.dtype)
    return low + (high - low) * u
