import pytest
import torch

from zoo.errors import ZooError
from zoo.fit.augment import Shift


@pytest.fixture
def x():
    return torch.rand(200, 2, 9, 7, generator=torch.Generator().manual_seed(0))


def moved(image, down, right):
    """The image moved by hand, pixel by pixel."""
    _, height, width = image.shape
    out = torch.empty_like(image)
    for i in range(height):
        for j in range(width):
            out[:, i, j] = image[:, min(max(i - down, 0), height - 1), min(max(j - right, 0), width - 1)]
    return out


@pytest.mark.parametrize("pixels", [1, 2])
def test_every_image_is_moved_by_whole_pixels_in_any_direction(x, pixels):
    shifted = Shift(pixels)(x, torch.Generator().manual_seed(1))
    steps = range(-pixels, pixels + 1)
    found = set()
    for image, result in zip(x, shifted, strict=True):
        (step,) = [(i, j) for i in steps for j in steps if torch.equal(moved(image, i, j), result)]
        found.add(step)
    assert found == {(i, j) for i in steps for j in steps}


def test_shifts_are_drawn_from_the_generator_alone(x):
    torch.manual_seed(0)
    one = Shift()(x, torch.Generator().manual_seed(1))
    assert torch.equal(one, Shift()(x, torch.Generator().manual_seed(1)))
    assert not torch.equal(one, Shift()(x, torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("pixels", [0, -1, 0.5])
def test_a_shift_that_is_none(pixels):
    with pytest.raises(ZooError, match=rf"fit\.augment\.pixels={pixels}: .* whole number"):
        Shift(pixels)


def test_a_fit_trains_on_moved_images_and_validates_on_the_true_ones(compose_job, fit_job):
    changes = "variant=linear_ae", "budget.epochs=2"
    plain, shifted = (fit_job(compose_job(*changes, f"fit={fit}")) for fit in ("gradient", "shifted"))
    first = [run.report.history for run in (plain, shifted)]
    assert first[0]["train_total"][0] != first[1]["train_total"][0]
    assert torch.equal(plain.data.train[:], shifted.data.train[:])
