from dataclasses import replace

import pytest
import torch

from zoo.errors import ZooError
from zoo.model.corruptions.paper import Paper

NONE = Paper(folds=0, creases=0, rings=0, light=0, age=0, wear=0, noise=0)


def worn(paper, x, seed=0):
    return paper(x, torch.Generator().manual_seed(seed))[0]


@pytest.fixture
def white():
    return torch.ones(8, 3, 96, 80)


@pytest.fixture
def black():
    return torch.zeros(8, 3, 96, 80)


def test_without_wear_the_page_is_unchanged():
    x = torch.rand(2, 3, 20, 30)
    assert torch.allclose(worn(NONE, x), x, atol=1e-6)


def test_wear_is_drawn_from_the_generator_alone(white):
    state = torch.get_rng_state()
    assert torch.equal(worn(Paper(), white, 1), worn(Paper(), white, 1))
    assert not torch.equal(worn(Paper(), white, 1), worn(Paper(), white, 2))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("channels", [1, 3])
def test_all_kinds_together_give_an_image_and_a_mask_of_ones(channels):
    x = torch.rand(4, channels, 40, 30)
    seen, hidden = Paper(folds=2, creases=4, rings=2, chance=1.0)(x, torch.Generator().manual_seed(0))
    assert seen.shape == x.shape
    assert seen.dtype is x.dtype
    assert (seen.min() >= 0) & (seen.max() <= 1)
    assert hidden.shape == (4, 1, 40, 30)
    assert (hidden == 1).all()


def test_shadow_absorbs_at_most_its_share_equally_in_all_colours(white):
    seen = worn(replace(NONE, light=0.4), white.repeat(8, 1, 1, 1))
    assert 0.6 <= seen.min() < 0.7
    assert torch.equal(seen[:, :1].expand_as(seen), seen)


def test_age_absorbs_its_share_of_blue_and_less_of_red(white):
    seen = worn(replace(NONE, age=0.25), white)
    taken = 1 - seen.amin((2, 3))
    assert (taken[:, 2] <= 0.25).all()
    assert torch.allclose(taken / taken[:, 2:], torch.tensor([0.2, 0.5, 1.0]).expand(8, 3), atol=1e-4)


def test_wear_removes_at_most_its_share_of_ink_and_no_paper(white, black):
    faded = replace(NONE, wear=0.5)
    assert torch.equal(worn(faded, white), white)
    seen = worn(faded, black)
    assert (seen.max() <= 0.5) & (seen.max() > 0.2)


@pytest.mark.parametrize("kind", ["folds", "creases"])
def test_lines_darken_paper_and_remove_ink_in_a_part_of_the_page(white, black, kind):
    lines = replace(NONE, **{kind: 1}, chance=1.0)
    paper, ink = worn(lines, white), worn(lines, black)
    assert (paper.amin((1, 2, 3)) < 0.95).all()
    assert paper.min() >= (1 - 0.35) * (1 - 0.25) - 1e-4
    assert (ink.amax((1, 2, 3)) > 0.1).all()
    assert (ink < 0.01).float().mean() > 0.8


def test_coffee_absorbs_more_blue_than_red_and_leaves_ink_and_distant_pixels():
    coffee, x = replace(NONE, rings=1, chance=1.0), torch.ones(4, 3, 300, 300)
    taken = 1 - worn(coffee, x)
    assert torch.allclose(taken[:, 0], 0.45 * taken[:, 2], atol=1e-5)
    assert (taken[:, 2].amax((1, 2)) > 0.1).all()
    assert taken.max() <= 0.8
    assert (taken[:, 2] < 0.01).float().mean((1, 2)).min() > 0.4
    assert (worn(coffee, torch.zeros_like(x)) == 0).all()


@pytest.mark.parametrize("kind", ["folds", "creases", "rings"])
def test_with_probability_zero_nothing_is_drawn(white, kind):
    assert torch.allclose(worn(replace(NONE, **{kind: 3}, chance=0.0), white), white)


def test_noise_has_its_standard_deviation():
    grey = torch.full((1, 1, 200, 200), 0.5)
    assert worn(replace(NONE, noise=0.05), grey).std().item() == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize(
    "wrong",
    [{"folds": -1}, {"creases": -1}, {"rings": -1}, {"noise": -0.1}, {"chance": 1.1}, {"light": 2}, {"wear": -1}],
)
def test_invalid_settings_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ZooError, match=f"corruption.{name}={wrong[name]}"):
        Paper(**wrong)
