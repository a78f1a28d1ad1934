import math

import pytest
import scipy.ndimage
import torch

from tests.evaluation.conftest import autoencoder, measured
from zoo.evaluation.measures.restoration import fill_with, median_filter, not_blank, restore, unchanged
from zoo.evaluation.subject import Subject
from zoo.model.corruptions import BlockMask, GaussianNoise, PixelMask, SaltAndPepper
from zoo.types import ReadsMask


@pytest.fixture(scope="module")
def x(digits):
    return digits.test[:]


def test_noise_left_unchanged_has_its_variance(x):
    corruptions = {std: GaussianNoise(std) for std in (0.1, 0.5)}
    found = restore(x, "std", corruptions, {"corrupted": unchanged}, 0)
    assert found.levels == [0.1, 0.5]
    torch.testing.assert_close(found.mse("all")["corrupted"], torch.tensor([0.01, 0.25]).double(), rtol=0.02, atol=0)
    assert found.counts["outside"].sum() == 0
    assert found.counts["all"].tolist() == [[x[0].numel()] * len(x)] * 2


@pytest.mark.parametrize("shape", [(3, 2, 7, 9), (2, 1, 1, 5), (1, 1, 1, 1), (1, 1, 2, 2)])
def test_the_median_filter_equals_scipys(shape):
    seen = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    expected = scipy.ndimage.median_filter(seen.numpy(), size=(1, 1, 3, 3), mode="mirror")
    torch.testing.assert_close(median_filter(seen, seen), torch.from_numpy(expected), rtol=0, atol=0)


def test_errors_inside_and_outside_a_mask_by_hand(x):
    """A restorer that adds 0.1 everywhere and paints 1 under the mask, where the image is 0.5."""
    grey = torch.full((600, 2, 8, 8), 0.5)
    found = restore(
        grey,
        "fraction",
        {0.5: BlockMask(0.5)},
        {"model": lambda seen, mask: torch.where(mask == 1, 1.0, seen + 0.1), "corrupted": unchanged},
        0,
    )
    assert found.counts["inside"].tolist() == [[2 * 16] * 600]
    assert found.counts["outside"].tolist() == [[2 * 48] * 600]
    assert found.mse("inside")["model"].item() == pytest.approx(0.25)
    assert found.mse("outside")["model"].item() == pytest.approx(0.01, rel=1e-5)
    assert found.mse("inside")["corrupted"].item() == pytest.approx(0.25)
    assert found.mse("outside")["corrupted"].item() == pytest.approx(0, abs=1e-9)
    assert found.mse("all")["model"].item() == pytest.approx(0.25 * 0.25 + 0.75 * 0.01, rel=1e-5)


def test_the_corruption_is_the_same_for_all_restorers_and_runs(x):
    seen = {"one": [], "other": []}
    restorers = {name: (lambda s, m, to=kept: to.append(s.clone()) or s) for name, kept in seen.items()}
    first = restore(x, "rate", {0.3: PixelMask(0.3)}, restorers, 0)
    assert torch.equal(torch.cat(seen["one"]), torch.cat(seen["other"]))
    again = restore(x, "rate", {0.3: PixelMask(0.3)}, restorers, 0)
    assert torch.equal(first.errors["one"]["inside"], again.errors["one"]["inside"])


def test_median_filter_mends_single_pixels():
    flat = torch.full((4, 3, 9, 9), 0.3)
    speckled = flat.clone()
    speckled[:, :, 4, 4] = 1
    assert torch.equal(median_filter(speckled, flat), flat)


def test_median_filter_beats_leaving_salt_and_pepper(x):
    wide = torch.nn.functional.interpolate(x, scale_factor=4)
    found = restore(wide, "rate", {0.2: SaltAndPepper(0.2)}, {"m": median_filter, "d": unchanged}, 0).mse("all")
    assert found["m"] < 0.25 * found["d"]


def test_fill_with_fills_masked_pixels_only():
    image = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0))
    seen, mask = BlockMask(0.5)(torch.zeros(5, 1, 8, 8), torch.Generator().manual_seed(0))
    filled = fill_with(image)(seen, mask)
    assert torch.equal(filled, image * mask)


def test_identity_model_leaves_the_corruption_unchanged(identity_model, digits):
    records = measured(identity_model(1, 8, 8), digits, ["robustness"], {})
    for name, entry in records.items():
        table = entry["curve"]
        assert table["model"] == pytest.approx(table["corrupted"]), name
        assert entry["value"] == pytest.approx(math.fsum(table["model"]) / len(table["model"]))
        assert entry["n"] == len(digits.test)
        low, high = entry["interval"]
        assert low <= entry["value"] <= high
    outside = ("inpainting_block_outside_mse", "inpainting_pixels_outside_mse", "stain_outside_mse")
    assert all(records[name]["value"] == pytest.approx(0, abs=1e-9) for name in outside)
    rising = records["denoising_gaussian_mse"]["curve"]["corrupted"]
    assert rising == sorted(rising)


def test_the_mean_image_is_the_training_images(small_model, digits):
    expected = digits.train[:].mean(0)
    torch.testing.assert_close(Subject(small_model, digits, {}).references.mean_image, expected)


def test_mean_image_model_equals_the_mean_image_under_the_mask(digits):
    """What a constant decoder paints is what the reference paints."""
    mean = digits.train[:].mean(0)
    decoder = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Unflatten(1, (1, 8, 8)))
    with torch.no_grad():
        decoder[0].weight.zero_()
        decoder[0].bias.copy_(mean.flatten())
    records = measured(autoencoder(torch.nn.Flatten(), decoder, 64), digits, ["robustness"], {})
    for name in ("inpainting_block_inside_mse", "inpainting_pixels_inside_mse", "stain_inside_mse"):
        table = records[name]["curve"]
        assert table["model"] == pytest.approx(table["mean image"], rel=1e-5)


def test_patches_of_one_grey_are_blank():
    x = torch.full((2, 3, 8, 8), 0.7)
    assert not not_blank(x).any()
    x[1, 2, 5, 0] = 0.1
    expected = torch.zeros(2, 1, 8, 8)
    expected[1, 0, 4:6, 0:2] = 1
    assert torch.equal(not_blank(x), expected)


def test_errors_on_patches_that_are_not_blank_by_hand():
    x = torch.zeros(1, 2, 8, 8)
    x[0, :, 0, 0] = 1  # one patch of four pixels, and two channels
    found = restore(x, "rate", {1.0: PixelMask(1.0)}, {"corrupted": unchanged, "half": fill_with(torch.tensor(0.5))}, 0)
    assert found.counts["drawn"].tolist() == [[8]]
    assert found.mse("drawn")["corrupted"].item() == pytest.approx(0.25)
    assert found.mse("drawn")["half"].item() == pytest.approx(0.25)
    assert found.mse("inside")["corrupted"].item() == pytest.approx(2 / 128)


def test_an_encoder_that_reads_masks_gets_those_of_masks_and_not_of_noise(digits):
    class Reading(torch.nn.Flatten, ReadsMask):
        def forward(self, x, hidden=None):
            return super().forward(x) if hidden is None else super().forward(hidden.expand_as(x))

    model = autoencoder(Reading(), torch.nn.Unflatten(1, (1, 8, 8)), 64)
    subject = Subject(model, digits, {})
    masked = subject.block_masks
    expected = (1 - digits.test[:]).square()
    generator = torch.Generator().manual_seed(0)
    _, mask = BlockMask(0.25)(digits.test[:], generator)
    assert masked.errors["model"]["inside"][0].sum().item() == pytest.approx((expected * mask).sum().item(), rel=1e-4)
    noise = subject.gaussian_noise
    assert torch.equal(noise.errors["model"]["all"], noise.errors["corrupted"]["all"])
