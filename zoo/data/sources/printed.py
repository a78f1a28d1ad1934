"""Printed pages: lines of words in the fonts included in matplotlib, rendered by Pillow."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from zoo.data.images import Images, Source
from zoo.data.room import check_room
from zoo.errors import ZooError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Part = Literal["train", "test"]
PAGE = (640, 480)  # height and width, in pixels
INK, PAPER = 20, 255
SIZES = (13, 24)  # of letters, in pixels

# Training and test pages share no font family and no word.
FONTS: dict[Part, tuple[str, ...]] = {
    "train": (
        *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSerif-Bold"),
        *("DejaVuSerif-Italic", "DejaVuSansMono", "cmss10", "cmtt10"),
    ),
    "test": ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmti10"),
}
TEXT: dict[Part, str] = {
    "train": """
        the of and to in is that it was for on are as with they be at one have this from or had by hot but some what
        there we can out other were all your when up use how said an each she which do their time if will way about
        many then them write would like so these her long make thing see him two has look more day could go come did
        number sound no most people my over know water than call first who may down side been now find any new work
        part take get place made live where after back little only round man year came show every good me give our
        under name very through just form much great think say help low line before turn cause same mean differ move
        right boy old too does tell sentence set three want air well also play small end put home read hand port large
        spell add even land here must big high such follow act why ask men change went light kind off need house
        picture try us again animal point mother world near build self earth father 12 47 1908 360 5.9""",
    "test": """
        morning harbour quietly zinc boxes judged journey northern fog lifted above bridges while ferries crossed
        towards villages whose markets open early; bakers, joiners, weavers queue beside grey warehouses selling amber
        jars, fresh plums, quilts, wax, folded maps, vintage clocks. Six experts debate exactly whether copper vanishes
        whenever heavy frost arrives. Nobody knew, yet everyone guessed: perhaps magpies, perhaps thieves. Meanwhile
        gardeners kept digging, patient, cheerful, unhurried, because spring never fails gardens; bulbs sleep beneath
        dark soil, dreaming. Letters reached Vienna within 36 hours, 2.75 paid; 814 parcels remained unopened.
        """,
}
WORDS = {part: tuple(text.split()) for part, text in TEXT.items()}


@cache
def documents(
    size: int = 64, n_train: int = 6_000, n_test: int = 1_000, pages: int = 60, colour: bool = False, seed: int = 0
) -> Source:
    """Square patches of clean printed pages, black on white, at uniformly random positions.

    Test pages use fonts and words that training pages do not use. For wear, see `zoo.model.corruptions.paper`.

    Args:
        size: height and width of a patch, in pixels, up to a page's width.
        n_train: number of training patches.
        n_test: number of test patches.
        pages: number of pages for the training patches, and as many for the test patches.
        colour: three equal channels, for coloured corruptions; otherwise one.
        seed: determines pages and positions.

    Raises:
        ZooError: a number out of range.
    """
    if not 1 <= size <= min(PAGE):
        raise ZooError(f"data.source.size={size}: must be from 1 to {min(PAGE)}, the width of a page")
    if min(n_train, n_test, pages) < 1:
        raise ZooError(f"data.source.n_train={n_train}, n_test={n_test}, pages={pages}: must be at least 1 each")
    generator = torch.Generator().manual_seed(seed)
    channels, parts = 3 if colour else 1, {"train": n_train, "test": n_test}
    needed = 2 * (n_train + n_test) * channels * size**2 + 2 * pages * PAGE[0] * PAGE[1]
    check_room(needed, f"data=documents of data.source.size={size}", "choose a smaller size, or fewer images or pages")
    train, test = (_cut(printed_pages(part, pages, seed), size, parts[part], channels, generator) for part in FONTS)
    return Source("documents" + "_colour" * colour, train, test)


def printed_pages(part: Part, n: int, seed: int) -> Tensor:
    """`n` whole pages in the fonts and words of `part`: (n, 1, *PAGE), uint8; each has a random font and size."""
    draw = random.Random(f"{part} {seed}")
    return torch.from_numpy(np.stack([_page(part, draw) for _ in range(n)]))[:, None]


def _page(part: Part, draw: random.Random) -> np.ndarray:
    """A headline and paragraphs within margins, aligned on the left: (*PAGE,) uint8."""
    from PIL import Image, ImageDraw

    height, width = PAGE
    image = Image.new("L", (width, height), PAPER)
    pen = ImageDraw.Draw(image)
    name, size, margin = draw.choice(FONTS[part]), draw.uniform(*SIZES), draw.randint(24, 52)
    head, body = _font(name, 1.5 * size), _font(name, size)
    x, y = float(margin), float(margin)
    left = draw.randint(3, 6)  # words of the headline
    font, start = head, True
    while y < height - margin - 1.2 * size:
        word = draw.choice(WORDS[part])
        word = word.capitalize() if start else word
        start = word.endswith(".")
        if not start and font is body and draw.random() < 0.1:
            word, start = word.rstrip(";,:") + ".", True
        long = pen.textlength(word, font)
        if x + long > width - margin:
            x, y = float(margin), y + 1.35 * font.size
        pen.text((x, y), word, INK, font)
        x += long + 0.3 * font.size  # not every font has a space
        left -= 1
        if left == 0:
            x, y = float(margin), y + 1.9 * font.size
            left, font, start = draw.randint(25, 60), body, True
    return np.asarray(image)


def _font(name: str, size: float) -> FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def _cut(pages: Tensor, size: int, n: int, channels: int, generator: torch.Generator) -> Images:
    """`n` square patches at random positions of random pages: (P, 1, H, W)."""
    windows = pages[:, 0].unfold(1, size, 1).unfold(2, size, 1)
    places = (torch.randint(many, (n,), generator=generator) for many in windows.shape[:3])
    patches = windows[tuple(places)][:, None].repeat(1, channels, 1, 1)
    return Images(patches, torch.zeros(n, dtype=torch.int64))
