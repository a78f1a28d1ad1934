"""White shapes on black, drawn by code from known factors: shape, scale, rotation and position."""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_count, check_fraction
from zoo.data.images import Images, Source
from zoo.errors import ZooError

SHAPES = ("square", "ellipse", "heart")
FACTORS = ("shape", "scale", "rotation", "x", "y")
SCALE = (0.5, 1.0)
TURN = math.pi / 2  # after which a square repeats itself
CENTRE = (0.25, 0.75)  # of the side of the image
AREA = 0.12  # of a shape at scale 1, in images; no part of it then leaves the image
RATIO = 1.5  # of the axes of the ellipse
REACH = 0.72  # half the side of a square that holds each shape at area 1, however it is turned
CELLS, FINER = 128, 4  # cells along this square, and points along a cell
LARGEST = 1 << 32  # bytes of all images
TIE = 1e-6  # makes halves of a grey level go up, whatever the rounding of a processor


@cache
def sprites(
    side: int = 64,
    scales: int = 6,
    rotations: int = 10,
    positions: int = 16,
    test_fraction: float = 0.15,
    split_seed: int = 0,
) -> Source:
    """One image of each combination of factors, 46,080 of 1x64x64 by default: squares, ellipses and hearts.

    | factor | values |
    | --- | --- |
    | shape | square, ellipse (axes 3:2), heart; of equal areas, 12 % of the image at scale 1 |
    | scale | 0.5 to 1, of lengths |
    | rotation | k 90 / `rotations` degrees: a square repeats itself after 90, so that no two images are equal |
    | x, y | centre of mass, 0.25 to 0.75 of the side, from the left and from the top |

    Edges are anti-aliased: a pixel is the part of it that is covered. The images of a smaller `side` are therefore
    averages of those of a larger one. Test images are drawn at random from all combinations, so that every value of a
    factor is in both parts; both are in random order. Labels are shapes.

    No unit that changes continuously can represent the rotation of all shapes: a square returns to its beginning after
    the quarter turn, an ellipse and a heart do not. Metrics of disentanglement cannot reach 1 on it.

    Where this differs from dSprites: grey edges, shapes of equal areas, a quarter turn in place of a full one, and a
    grid of 3 x 6 x 10 x 16 x 16 in place of 3 x 6 x 40 x 32 x 32.

    Args:
        side: height and width, in pixels, at least 8.
        scales: number of scales, at least 2.
        rotations: number of rotations, at least 2.
        positions: number of places along x, and along y, at least 2.
        test_fraction: fraction of the images used for testing, in (0, 1).
        split_seed: determines which images these are, and the order.

    Raises:
        ZooError: a number out of range, or more than 4 GiB of images.

    Source: L. Matthey, I. Higgins, D. Hassabis, A. Lerchner, dSprites: disentanglement testing sprites dataset, 2017
    (the setting); no file of it is used.
    """
    check_count(side, "data.source.side", least=8)
    counts = {"scales": scales, "rotations": rotations, "positions": positions}
    for name, count in counts.items():
        check_count(count, f"data.source.{name}", least=2)
    check_count(split_seed, "data.source.split_seed", least=0)
    check_fraction(test_fraction, "data.source.test_fraction")
    total = len(SHAPES) * scales * rotations * positions**2
    if total * side**2 > LARGEST:
        raise ZooError(
            f"data.source: {total:,} images of {side}x{side} take more than 4 GiB; choose a smaller side or fewer "
            "scales, rotations or positions"
        )
    tested = round(test_fraction * total)
    if not 0 < tested < total:
        raise ZooError(
            f"data.source.test_fraction={test_fraction}: takes {tested} of {total} images; choose about 0.15"
        )
    factors = torch.cartesian_prod(*map(torch.arange, (len(SHAPES), scales, rotations, positions, positions)))
    images = Images(drawn(side, scales, rotations, positions), factors[:, 0].contiguous(), factors=factors)
    order = torch.randperm(total, generator=torch.Generator().manual_seed(split_seed))
    train, test = (images.subset(part) for part in (order[tested:], order[:tested]))
    return Source("sprites", train, test, SHAPES, factors=FACTORS)


def drawn(side: int, scales: int, rotations: int, positions: int) -> Tensor:
    """The images of all combinations, the last factor changing fastest: (N, 1, side, side) uint8.

    A shape is drawn once in cells of its own, S: (K, K). The covered part of each pixel is linear in them: A_y S A_x',
    where A_x holds the part of each pixel along x that lies in each cell, for all places at once.
    """
    found = torch.empty(len(SHAPES), scales, rotations, positions, positions, side, side, dtype=torch.uint8)
    sizes = [math.sqrt(AREA) * scale for scale in torch.linspace(*SCALE, scales, dtype=torch.float64).tolist()]
    shares = [overlaps(side, positions, size).flatten(0, 1) for size in sizes]
    for shape, rotation in product(range(len(SHAPES)), range(rotations)):
        cells = in_cells(SHAPES[shape], TURN * rotation / rotations)
        for scale, share in enumerate(shares):
            covered = (share @ cells @ share.T).view(positions, side, positions, side)  # y, row, x, column
            grey = covered.mul_(255).add_(0.5 + TIE).floor_().clamp_(0, 255)
            found[shape, scale, rotation] = grey.permute(2, 0, 1, 3)
    return found.view(-1, 1, side, side)


def overlaps(side: int, positions: int, size: float) -> Tensor:
    """The part of each pixel of a line that each cell of a shape covers, for all places: (places, side, CELLS).

    Args:
        side: pixels of the line, which has length 1.
        positions: number of places of the shape's centre.
        size: length that is 1 for the shape.
    """
    centres = torch.linspace(*CENTRE, positions, dtype=torch.float64)
    edges = centres[:, None] + size * torch.linspace(-REACH, REACH, CELLS + 1, dtype=torch.float64)
    pixels = torch.linspace(0, 1, side + 1, dtype=torch.float64)[:, None]
    low = torch.maximum(edges[:, None, :-1], pixels[:-1])
    high = torch.minimum(edges[:, None, 1:], pixels[1:])
    return (high - low).clamp(min=0) * side


def in_cells(shape: str, angle: float) -> Tensor:
    """The covered part of each cell of a shape of area 1, turned clockwise by an angle in radians: (CELLS, CELLS)."""
    n = CELLS * FINER
    line = REACH * (2 * torch.arange(n, dtype=torch.float64) + 1 - n) / n
    y, x = torch.meshgrid(line, line, indexing="ij")  # y points downwards
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return F.avg_pool2d(inside(shape, u, v)[None].double(), FINER)[0]


def inside(shape: str, u: Tensor, v: Tensor) -> Tensor:
    """Whether points lie within a shape of area 1 around its centre of mass; v points downwards."""
    if shape == "square":
        return torch.maximum(u.abs(), v.abs()) <= 0.5
    if shape == "ellipse":
        return u.square() / RATIO + v.square() * RATIO <= 1 / math.pi
    # A heart: a unit square standing on a corner, with a half disc on each of its upper sides, scaled to area 1
    area = 1 + math.pi / 4
    mean = (0.5 + math.pi / 16 + math.pi / 8 + 1 / 12) / area
    p, q = (mean + math.sqrt(area / 2) * (sign * u - v) for sign in (1, -1))
    square = (p >= 0) & (p <= 1) & (q >= 0) & (q <= 1)
    discs = ((p - 0.5).square() + (q - 1).square() <= 0.25) | ((p - 1).square() + (q - 0.5).square() <= 0.25)
    return square | discs
