import pytest
import torch

from zoo.errors import ZooError
from zoo.fitting.augment import Shift


@pytest.fixture
def x():
    return torch.rand(200, 2, 9, 7, generator=torch.Generator().manual_seed(0))


def moved(images, down, right):
    """All images moved by the same shift, pixel by pixel."""
    _, _, height, width = images.shape
    out = torch.empty_like(images)
    for i in range(height):
        for j in range(width):
            out[:, :, i, j] = images[:, :, min(max(i - down, 0), height - 1), min(max(j - right, 0), width - 1)]
    return out


@pytest.mark.parametrize("pixels", [1, 2])
def test_every_image_is_moved_by_whole_pixels_in_any_direction(x, pixels):
    shifted = Shift(pixels)(x, torch.Generator().manual_seed(1))
    steps = range(-pixels, pixels + 1)
    matches = torch.stack([(moved(x, i, j) == shifted).flatten(1).all(1) for i in steps for j in steps])
    assert (matches.sum(0) == 1).all(), "each image has exactly one shift"
    assert matches.any(1).all(), "every shift occurs"


def test_shifts_are_drawn_from_the_generator_alone(x):
    torch.manual_seed(0)
    one = Shift()(x, torch.Generator().manual_seed(1))
    assert torch.equal(one, Shift()(x, torch.Generator().manual_seed(1)))
    assert not torch.equal(one, Shift()(x, torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("pixels", [0, -1, 0.5])
def test_an_invalid_shift_is_refused(pixels):
    with pytest.raises(ZooError, match=rf"fit\.augment\.pixels={pixels}: must be a whole number, at least 1"):
        Shift(pixels)


def test_a_fit_trains_on_shifted_images_and_validates_on_the_originals(compose_job, fit_job):
    changes = "variant=linear_ae", "budget.epochs=2", "optimizer.lr=1e-50"
    plain, shifted = (fit_job(compose_job(*changes, f"fit={fit}")) for fit in ("gradient", "shifted"))
    histories = [run.report.history for run in (plain, shifted)]
    assert histories[0]["train_total"][0] != histories[1]["train_total"][0]
    assert histories[0]["validation_total"] == histories[1]["validation_total"]
    assert torch.equal(plain.data.train[:], shifted.data.train[:])
