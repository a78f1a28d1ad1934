"""Sprites: every combination of factors once, and images that show the factors that they are said to have."""

import math

import pytest
import torch
from torch.nn import functional as F

from zoo.data.sources import sprites
from zoo.data.sources.sprites import AREA, FACTORS, SHAPES, drawn
from zoo.errors import ZooError

SCALES, ROTATIONS, POSITIONS, SIDE = 3, 4, 5, 64


@pytest.fixture(scope="module")
def images():
    """All images by factor, as floats: (shape, scale, rotation, x, y, row, column)."""
    found = drawn(SIDE, SCALES, ROTATIONS, POSITIONS).double() / 255
    return found.view(len(SHAPES), SCALES, ROTATIONS, POSITIONS, POSITIONS, SIDE, SIDE)


@pytest.fixture(scope="module")
def middles():
    """Centres of pixels, as fractions of the side."""
    return (torch.arange(SIDE, dtype=torch.float64) + 0.5) / SIDE


def centres(images, middles):
    """Centres of mass (x, y) of images (..., row, column)."""
    area = images.sum((-2, -1))
    return (images.sum(-2) * middles).sum(-1) / area, (images.sum(-1) * middles).sum(-1) / area


def test_every_combination_occurs_once_and_the_label_is_the_shape():
    source = sprites(side=8, scales=2, rotations=3, positions=4)
    factors = torch.cat([source.train.factors, source.test.factors])
    assert len(factors.unique(dim=0)) == len(factors) == 3 * 2 * 3 * 4 * 4
    assert (factors.amax(0) + 1).tolist() == [3, 2, 3, 4, 4]
    assert factors.dtype is torch.int64
    for part in (source.train, source.test):
        assert torch.equal(part.labels, part.factors[:, 0])
        assert part.labels.unique().tolist() == [0, 1, 2], "parts are not in the order of the shapes"
        whole = drawn(8, 2, 3, 4).view(3, 2, 3, 4, 4, 1, 8, 8)
        assert torch.equal(part.pixels, whole[tuple(part.factors.T)])
    assert len(source.test) == round(0.15 * len(factors))
    assert (source.classes, source.factors) == (SHAPES, FACTORS)


def test_the_split_is_determined_by_its_seed():
    one, other = (sprites(side=8, scales=2, rotations=2, positions=4, split_seed=seed) for seed in (0, 1))
    sprites.cache_clear()
    again = sprites(side=8, scales=2, rotations=2, positions=4, split_seed=0)
    assert torch.equal(again.train.pixels, one.train.pixels)
    assert torch.equal(again.train.factors, one.train.factors)
    assert not torch.equal(other.train.factors, one.train.factors)


def test_the_area_depends_on_the_scale_alone_so_that_no_part_leaves_the_image(images):
    area = images.sum((-2, -1)) / SIDE**2
    for scale, length in enumerate((0.5, 0.75, 1.0)):
        assert area[:, scale].sub(AREA * length**2).abs().max() < 0.005 * AREA * length**2


def test_the_centre_of_mass_is_the_position(images, middles):
    x, y = centres(images, middles)
    places = torch.linspace(0.25, 0.75, POSITIONS, dtype=torch.float64)
    assert (x - places[:, None]).abs().max() < 0.001
    assert (y - places).abs().max() < 0.001


def test_the_longer_axis_of_the_ellipse_turns_by_equal_angles(images, middles):
    ellipses = images[1, :, :, 2, 2]
    dx, dy = middles - 0.5, (middles - 0.5)[:, None]
    xx, yy, xy = ((ellipses * part).sum((-2, -1)) for part in (dx**2, dy**2, dx * dy))
    angles = torch.rad2deg(torch.atan2(2 * xy, xx - yy) / 2) % 180
    turns = 90 / ROTATIONS * torch.arange(ROTATIONS)
    assert (angles - turns + 90).remainder(180).sub(90).abs().max() < 0.5


def test_a_square_and_a_heart_stand_upright(images):
    one = images[:, 2, 0, 2, 2]
    assert torch.equal(one[0], one[0].T), "an upright square"
    assert torch.equal(one[2], one[2].flip(1)), "an upright heart"
    rows = one[2].sum(1).nonzero()[:, 0]
    assert one[2].sum(1)[rows[0]] > 2 * one[2].sum(1)[rows[-1]], "lobes above, a tip below"


@pytest.mark.parametrize("side", [16, 64])
def test_no_two_images_of_the_grid_are_equal(side):
    """With the default numbers of values, the last two places apart, which would take long."""
    whole = drawn(side, 6, 10, 3)
    assert len(whole.flatten(1).unique(dim=0)) == len(whole)


def test_the_small_images_are_averages_of_the_large_ones(images):
    small = drawn(16, SCALES, ROTATIONS, POSITIONS).double()[:, 0]
    averages = F.avg_pool2d(255 * images.view(-1, 1, SIDE, SIDE), SIDE // 16)[:, 0]
    assert (small - averages).abs().max() <= 1, "each is rounded to a grey level"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"side": 7}, "side=7: must be a whole number, at least 8"),
        ({"scales": 1}, "scales=1: must be a whole number, at least 2"),
        ({"rotations": 1.5}, "rotations=1.5"),
        ({"positions": 0}, "positions=0"),
        ({"positions": 1000}, "180,000,000 images of 64x64 take more than 4 GiB; choose"),
        ({"test_fraction": 0.0}, "test_fraction=0.0: takes 0 of 46080 images"),
        ({"test_fraction": 1.0}, "test_fraction=1.0: takes 46080 of 46080 images"),
        ({"test_fraction": math.nan}, r"test_fraction=nan: must be in \[0, 1\]"),
        ({"split_seed": -1}, "split_seed=-1: must be a whole number, at least 0"),
    ],
)
def test_invalid_settings_are_refused(wrong, told):
    with pytest.raises(ZooError, match=rf"^data\.source[.:].*{told}"):
        sprites(**wrong)
