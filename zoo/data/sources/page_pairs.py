"""Pairs of dirty and clean pages in your own folder: patches of the clean ones, split by page."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_fraction
from zoo.data.images import Images, Source
from zoo.data.room import check_room
from zoo.data.sources.own import PICTURES
from zoo.data.sources.printed import INK, PAGE, PAPER, Part, printed_pages
from zoo.errors import ZooError

DRAWN_PAGES = 40  # from which drawn patches are cut


class Pair(NamedTuple):
    """A dirty page and the clean page that belongs to it."""

    dirty: Path
    clean: Path


def pages(
    path: str | None = None,
    size: int = 64,
    n_train: int = 6_000,
    n_test: int = 1_000,
    drawn: float = 0.4,
    least_scale: float = 0.8,
    largest_scale: float = 1.6,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    seed: int = 0,
) -> Source:
    """Square grey patches of clean pages, whose dirty copies `corruption=dirt` takes the dirt from.

    The folder holds `clean/` and `dirty/`, and either `pairs.csv` with the columns dirty and clean, file names in these
    folders, or files of the same names in both. A clean page may have several dirty ones. The split is by clean page,
    so that no part of a test page is seen in training. Training patches are scaled at random, and some of them are from
    drawn pages (`zoo.data.sources.printed`), for fonts that the folder lacks. Test patches are neither.

    Limitations: dirt that occurs on several pages, as in NoisyOffice, is on both sides of the split.

    Args:
        path: the folder.
        size: height and width of a patch, in pixels.
        n_train: number of training patches.
        n_test: number of test patches.
        drawn: fraction of the training patches that are from drawn pages, in [0, 1].
        least_scale: smallest factor by which a training page is scaled.
        largest_scale: largest one.
        test_fraction: fraction of the clean pages used for testing, in (0, 1).
        split_seed: determines which pages these are.
        seed: determines positions, scales and drawn pages.

    Raises:
        ZooError: no such folder, a page without its partner or of another size, a file that is no picture, a page
            smaller than a patch, or a number out of range.

    Source: M. Castro-Bleda, S. España-Boquera, J. Pastor-Pellicer, F. Zamora-Martínez, "The NoisyOffice database: a
    corpus to train supervised machine learning filters for image processing", 2020; UCI Machine Learning Repository.
    """
    if path is None:
        raise ZooError(
            "data=pages reads dirty and clean pages of your own: add data.source.path=<folder>; for drawn pages, use "
            "data=documents"
        )
    if min(size, n_train, n_test) < 1:
        raise ZooError(f"data.source.size={size}, n_train={n_train}, n_test={n_test}: must be at least 1 each")
    check_fraction(drawn, "data.source.drawn")
    if not 0 < least_scale <= largest_scale:
        raise ZooError(f"data.source.least_scale={least_scale}, largest_scale={largest_scale}: must rise from above 0")
    parts = divided_pairs(paired(Path(path)), test_fraction, split_seed)
    generator = torch.Generator().manual_seed(seed)
    scales = (least_scale, largest_scale)
    n_drawn = round(drawn * n_train)
    train, test = (tuple(dict.fromkeys(pair.clean for pair in part)) for part in parts)
    cut = [_cut(_read(train), size, n_train - n_drawn, scales, generator)]
    if n_drawn:
        if size > min(PAGE):
            raise ZooError(f"data.source.size={size}: drawn pages are {min(PAGE)} wide; add data.source.drawn=0")
        cut.append(_cut(tuple(black_pages("train", DRAWN_PAGES, seed)), size, n_drawn, scales, generator))
    tested = _cut(_read(test), size, n_test, (1.0, 1.0), generator)
    return Source("pages", _images(torch.cat(cut)), _images(tested))


def black_pages(part: Part, n: int, seed: int) -> Tensor:
    """`printed_pages` with black ink, as scanned pages that were cleaned have it: (n, 1, *PAGE), uint8."""
    grey = printed_pages(part, n, seed).float()
    return ((grey - INK) * (255 / (PAPER - INK))).round().byte()


def paired(path: Path) -> tuple[Pair, ...]:
    """The pairs of a folder, see `pages`; the order is that of `pairs.csv`, else of the names.

    Raises:
        ZooError: no such folder, or a page without its partner.
    """
    for inner in (path, path / "dirty", path / "clean"):
        if not inner.is_dir():
            raise ZooError(f"{inner}: no such folder; pairs of pages lie in dirty/ and clean/ of one folder")
    if (table := path / "pairs.csv").is_file():
        try:
            with table.open(newline="", encoding="utf-8") as file:
                rows = [(row["dirty"], row["clean"]) for row in csv.DictReader(file)]
        except (KeyError, UnicodeDecodeError, csv.Error) as error:
            raise ZooError(f"{table}: no table with the columns dirty and clean ({error})") from error
    else:
        rows = [(name, name) for name in sorted({*_names(path / "dirty"), *_names(path / "clean")})]
    found = tuple(Pair(path / "dirty" / (dirty or ""), path / "clean" / (clean or "")) for dirty, clean in rows)
    for pair in found:
        for one, other in (pair, pair[::-1]):
            if not one.is_file():
                raise ZooError(
                    f"{one}: no such file, but its partner {other.parent.name}/{other.name} is named or there"
                )
    return found


def divided_pairs(
    pairs: Sequence[Pair], test_fraction: float, split_seed: int
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Pairs for training and for testing, which share no clean page.

    Raises:
        ZooError: `test_fraction` out of range, or fewer than two clean pages.
    """
    if not 0 < test_fraction < 1:
        raise ZooError(f"data.source.test_fraction={test_fraction}: must be between 0 and 1, both excluded")
    clean = sorted({pair.clean for pair in pairs})
    if len(clean) < 2:
        raise ZooError(f"{len(clean)} clean pages: it takes at least 2, one for training and one for testing")
    n_test = min(max(1, round(test_fraction * len(clean))), len(clean) - 1)
    order = torch.randperm(len(clean), generator=torch.Generator().manual_seed(split_seed)).tolist()
    test = {clean[i] for i in order[:n_test]}
    return tuple(p for p in pairs if p.clean not in test), tuple(p for p in pairs if p.clean in test)


def grey_pair(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The dirty and the clean page: twice (H, W).

    Raises:
        ZooError: their sizes differ, or one is no picture.
    """
    dirty, clean = (grey_page(file) for file in pair)
    if dirty.shape != clean.shape:
        sizes = " and ".join(f"{page.shape[1]}x{page.shape[0]}" for page in (dirty, clean))
        raise ZooError(f"{pair.dirty} and {pair.clean}: sizes differ, {sizes}; a pair shows one page pixel by pixel")
    return dirty, clean


def grey_page(file: Path) -> NDArray[np.uint8]:
    """A picture as grey bytes: (H, W).

    Raises:
        ZooError: it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(file) as picture:
            if picture.mode[0] in "IF":
                raise ZooError(f"{file}: {picture.mode} pixels, and pages have 8 bits per channel; convert it")
            return np.asarray(picture.convert("L"))
    except ZooError:
        raise
    except Exception as error:  # what Pillow raises depends on the format, and on how the file is broken
        raise ZooError(f"{file}: no picture that Pillow can read ({error}); remove or convert it") from error


def _names(path: Path) -> list[str]:
    """Names of the pictures in a folder, without hidden ones."""
    return [file.name for file in path.iterdir() if file.suffix.lower() in PICTURES and not file.name.startswith(".")]


def _read(files: Sequence[Path]) -> tuple[Tensor, ...]:
    """Grey pages, each (1, H, W) uint8."""
    return tuple(torch.from_numpy(grey_page(file).copy())[None] for file in files)


def _cut(whole: Sequence[Tensor], size: int, n: int, scales: tuple[float, float], generator: torch.Generator) -> Tensor:
    """`n` patches at random positions of random pages (1, H, W), scaled at random: (n, 1, size, size) uint8.

    Raises:
        ZooError: a page smaller than a patch.
    """

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    if small := [page for page in whole if min(page.shape[1:]) < size]:
        raise ZooError(
            f"data.source.size={size}: a page of {small[0].shape[2]}x{small[0].shape[1]} is smaller than a patch"
        )
    check_room(n * size**2, f"data=pages of data.source.size={size}", "choose a smaller size, or fewer images")
    found = torch.empty(n, 1, size, size, dtype=torch.uint8)
    for i in range(n):
        page = whole[int(torch.randint(len(whole), (), generator=generator))]
        side = min(max(1, round(size / draw(*scales))), *page.shape[1:])
        top, left = (int(draw(0, 1) * (length - side + 1)) for length in page.shape[1:])
        patch = page[:, top : top + side, left : left + side]
        if side != size:
            scaled = F.interpolate(patch[None].float(), (size, size), mode="bicubic", antialias=True)[0]
            patch = scaled.round().clamp(0, 255).byte()
        found[i] = patch
    return found


def _images(patches: Tensor) -> Images:
    return Images(patches, torch.zeros(len(patches), dtype=torch.int64))
