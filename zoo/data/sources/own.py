"""Your own data: images in a NumPy file, or a folder of pictures."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data.arrays import Seen, arrays_in, divided, seen_files, source_of
from zoo.data.images import COPIED, Images, Source
from zoo.data.room import check_room
from zoo.errors import ZooError, nearest
from zoo.samples import Channels, Form, form_of

if TYPE_CHECKING:
    from PIL import Image

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SYSTEM = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found")


def array(
    path: str | None = None, channels: str | None = None, test_fraction: float = 0.2, split_seed: int = 0
) -> Source:
    """Images in a NumPy file: any type and range of numbers, any number of channels.

    Forms: (N, H, W), (N, H, W, C) or (N, C, H, W). Of bytes, 255 is white, or 1 where all are 0 or 1; floats in [0, 1]
    stay as they are; others are scaled so that the least and the greatest value of the training images become 0 and 1.
    A .npy file is mapped and not read, and above 256 MiB never copied. A .npz file is read whole; it has an array `X`
    or `train`, and may have `y` or `train_labels`, `test` or `X_test`, and `test_labels` or `y_test` (other names:
    `zoo.data.arrays.NAMES`).

    Limitations: images of several exposures share one scale; the outliers of a sensor squeeze all other values.

    Args:
        path: the file.
        channels: "first" or "last", the axis of channels; None for the axis that is 1, 3 or 4 long, else the first.
        test_fraction: fraction of the images used for testing, in (0, 1), if the file has no test images. With labels,
            whole numbers or texts, the split is stratified.
        split_seed: determines which images these are.

    Raises:
        ZooError: no such file, values or labels that cannot be used, or `test_fraction` out of range.
    """
    if path is None:
        raise ZooError("data=array reads a file of your own: add data.source.path=images.npy, or .npz")
    if channels not in (None, "first", "last"):
        raise ZooError(f"data.source.channels={channels}: choose first or last, or null to find out")
    try:
        seen = seen_files([Path(path)])
    except OSError as error:
        raise ZooError(f"{path}: no .npy or .npz file ({error}); write it with numpy.save or numpy.savez") from error
    return _array(path, channels, test_fraction, split_seed, seen)


@cache
def _array(path: str, channels: Channels | None, test_fraction: float, split_seed: int, seen: Seen) -> Source:
    """`array`; `seen` makes the cache miss where the file has changed."""
    found = arrays_in(path)
    name, values = found.train
    if values.ndim == 2:
        raise ZooError(
            f"{path}: {name} has the shape {values.shape}, which are rows of numbers; use data=table "
            f"data.source.path={path}, or reshape them to images (N, H, W)"
        )
    try:
        form = form_of(values, "image", channels=channels)
    except ZooError as error:
        raise ZooError(f"{path}: {name}: {error}") from error
    return source_of("array", found, form, test_fraction, split_seed)


def folder(
    path: str | None = None,
    size: int | Sequence[int] = 64,
    colour: bool = True,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    decoded: str | None = None,
) -> Source:
    """The pictures in a folder and its subfolders, cropped about their centres to one shape and scaled to one size.

    Forms: files named .bmp .jpeg .jpg .png .tif .tiff .webp, with 8 bits per channel; 16-bit grey (65,535 is white);
    palettes; transparency (on white); CMYK and LAB; float TIFF in [0, 1]. They are turned upright as EXIF says, and
    become bytes. If most pictures are in subfolders, the names of the first level are the classes, the split is
    stratified, and the few pictures beside the subfolders are left out. Hidden and system files are skipped.

    Limitations: of files with several pages, the first is read; colour profiles are ignored; 16-bit pictures are
    rounded to 8 bits; all pictures together must fit in memory once, when they are decoded.

    Args:
        path: the folder.
        size: height and width in pixels; one number for both.
        colour: red, green and blue; otherwise grey.
        test_fraction: fraction of the pictures used for testing, in (0, 1).
        split_seed: determines which pictures these are.
        decoded: folder in which decoded pictures are cached for all processes, until a file's path, size or time
            changes; None for no cache.

    Raises:
        ZooError: no such folder, fewer than 2 pictures in it, or one that cannot be read; a number out of range.

    Warns:
        UserWarning: some pictures are in subfolders and others are not, so that these are left out, or there are no
            classes.
    """
    if path is None:
        raise ZooError("data=folder reads pictures of your own: add data.source.path=<folder>")
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2 or min(sides) < 1:
        shown = size if isinstance(size, int) else list(size)
        raise ZooError(f"data.source.size={shown}: must be 1 or more, or [height, width]")
    if Path(path).is_file():
        raise ZooError(f"{path}: a file; data=folder reads a folder, data=array and data=table read files")
    if not Path(path).is_dir():
        above = Path(path).parent
        beside = sorted(place.name for place in above.iterdir() if place.is_dir()) if above.is_dir() else []
        near = nearest(Path(path).name, beside) if beside else ""
        raise ZooError(f"{path}: no such folder; data=folder reads a folder of pictures{near if '?' in near else ''}")
    files = without_strays(Path(path), pictures_in(Path(path)))
    if len(files) < 2:
        raise ZooError(f"{path}: {len(files)} pictures ({' '.join(PICTURES)}) in this folder; it needs at least 2")
    return _folder(
        Path(path), files, (sides[0], sides[1]), colour, test_fraction, split_seed, decoded, seen_files(files)
    )


def without_strays(path: Path, files: tuple[Path, ...]) -> tuple[Path, ...]:
    """The pictures without those beside the subfolders, if these are fewer than the others.

    Warns:
        UserWarning: there are some of both.
    """
    strays = [file for file in files if file.parent == path]
    if not strays or len(strays) == len(files):
        return files
    few = 2 * len(strays) < len(files)
    so = "they are left out" if few else "the names of the subfolders are not used as classes"
    warnings.warn(
        f"{path}: {len(strays)} of {len(files)} pictures lie beside the subfolders (such as {strays[0].name}), so "
        f"{so}; move or remove these pictures",
        stacklevel=3,
    )
    return tuple(file for file in files if file.parent != path) if few else files


def pictures_in(path: Path) -> tuple[Path, ...]:
    """The pictures below a folder, sorted, without hidden and system files.

    Raises:
        ZooError: one is a link to nothing.
    """
    found = []
    for file in sorted(file for file in path.rglob("*") if file.suffix.lower() in PICTURES):
        if any(part.startswith(".") or part in SYSTEM for part in file.relative_to(path).parts):
            continue
        if file.is_symlink() and not file.exists():
            raise ZooError(f"{file}: a link to a file that does not exist; remove or mend it")
        if file.is_file():
            found.append(file)
    return tuple(found)


@cache
def _folder(
    path: Path,
    files: tuple[Path, ...],
    size: tuple[int, int],
    colour: bool,
    test_fraction: float,
    split_seed: int,
    decoded: str | None,
    seen: Seen,
) -> Source:
    """`folder`; `seen` makes the cache miss where a file has changed."""
    pixels = _pictures(files, size, colour) if decoded is None else _cached(files, size, colour, Path(decoded), seen)
    inner = [file.relative_to(path).parts for file in files]
    classes = () if any(len(parts) == 1 for parts in inner) else tuple(sorted({parts[0] for parts in inner}))
    labels = torch.tensor([classes.index(parts[0]) if classes else 0 for parts in inner])
    stored = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    images = Images(stored.contiguous() if stored.nbytes <= COPIED else stored, labels)
    form = Form("image", (*size, 3), "last", scale=(255.0,)) if colour else Form("image", size, scale=(255.0,))
    return divided("folder", images, test_fraction, split_seed, classes, form)


def _cached(files: Sequence[Path], size: tuple[int, int], colour: bool, decoded: Path, seen: Seen) -> NDArray[np.uint8]:
    """`_pictures`, cached in the folder `decoded`."""
    from filelock import FileLock
    from joblib import Memory

    try:
        decoded.mkdir(parents=True, exist_ok=True)
        memory = Memory(decoded, mmap_mode="c", verbose=0)  # torch needs a writable map; files do not change
        with FileLock(decoded / "lock"):
            return cast("NDArray[np.uint8]", memory.cache(_pictures, ignore=["files"])(files, size, colour, seen))
    except (OSError, KeyError) as error:  # a full disk: joblib then misses its own file
        warnings.warn(f"{decoded}: decoded pictures cannot be kept there ({error})", stacklevel=2)
        return _pictures(files, size, colour, seen)


def _pictures(files: Sequence[Path], size: tuple[int, int], colour: bool, seen: Seen = ()) -> NDArray[np.uint8]:
    """Pictures as (N, H, W, C); `seen`, path, size and time of each file, is the key of the cache."""
    shape = (len(files), *size, 3 if colour else 1)
    check_room(math.prod(shape), f"data.source.size={list(size)} of {len(files)} pictures", "choose a smaller size")
    found = np.empty(shape, np.uint8)
    for place, file in enumerate(files):
        found[place] = picture_in(file, size, colour)
    return found


def picture_in(file: Path, size: tuple[int, int], colour: bool) -> NDArray[np.uint8]:
    """A picture, read as `folder` says: (H, W, C).

    Args:
        file: of the picture.
        size: H and W, to which it is cropped about its centre and scaled.
        colour: red, green and blue; otherwise grey.

    Raises:
        ZooError: no picture that can be read, too many pixels, or numbers whose white is not known.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                upright = ImageOps.exif_transpose(picture)
                shown = _on_white(_in_bytes(file, upright, picture.format == "PNG")).convert("RGB" if colour else "L")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ZooError(
            f"{file}: more than the {Image.MAX_IMAGE_PIXELS:,} pixels that a picture may have; shrink or remove it"
        ) from error
    except ZooError:
        raise
    except Exception as error:  # what Pillow raises depends on the format, and on how the file is broken
        raise ZooError(f"{file}: no picture that Pillow can read ({error}); remove or convert it") from error
    return np.asarray(ImageOps.fit(shown, size[::-1])).reshape(*size, -1)


def _in_bytes(file: Path, picture: Image.Image, png: bool) -> Image.Image:
    """A picture with 8 bits per channel.

    Raises:
        ZooError: a type of numbers whose white is not known.
    """
    from PIL import Image

    if picture.mode[0] not in "IF":  # I: whole numbers, F: floats
        return picture.convert("RGB") if picture.mode in ("CMYK", "LAB") else picture
    values: NDArray[Any] = np.asarray(picture)
    white = 65535 if picture.mode.startswith("I;16") or png else 1
    if picture.mode == "I" and not png:
        raise ZooError(f"{file}: whole numbers of 32 bits, whose white is unknown; save it with 8 or 16 bits")
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= white or not math.isfinite(low + high):
        raise ZooError(
            f"{file}: values from {low:g} to {high:g}, and white is {white}; scale them to [0, {white}], or store all "
            "pictures as one array and use data=array"
        )
    return Image.fromarray(np.round(values.astype(np.float64) * (255 / white)).astype(np.uint8))


def _on_white(picture: Image.Image) -> Image.Image:
    """A picture without transparency."""
    from PIL import Image

    if picture.mode not in ("LA", "PA", "La", "RGBA", "RGBa") and "transparency" not in picture.info:
        return picture
    whole = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
