"""Detectors on pixels."""

import pytest
import torch

from zoo.evaluation.measures.detection import auroc
from zoo.evaluation.measures.pixel_detectors import DETECTORS, PixelDetectors


@pytest.fixture(scope="module")
def rows(digits):
    return [part[:].flatten(1) for part in (digits.train, digits.validation, digits.test)]


@pytest.fixture(scope="module")
def detectors(rows):
    return PixelDetectors(*rows[:2])


def test_every_detector_ranks_uniform_noise_above_digits(detectors, rows):
    noise = torch.rand(rows[2].shape, generator=torch.Generator().manual_seed(0))
    usual, unusual = detectors.scores(rows[2]), detectors.scores(noise)
    assert list(usual) == list(DETECTORS)
    for name in DETECTORS:
        assert auroc(usual[name], unusual[name]).value > (0.99 if name == "compressed length" else 0.999), name


def test_images_off_the_leading_components_are_unusual_to_the_kernels(detectors, rows):
    """Moved at right angles to the components, which keep their values."""
    step = torch.randn(64, generator=torch.Generator().manual_seed(0))
    step -= detectors.axes @ (detectors.axes.T @ step)
    moved = rows[2] + 3 * step / step.norm()
    here, there = (torch.from_numpy(detectors.columns(x)) for x in (rows[2], moved))
    torch.testing.assert_close(here[:, :-1], there[:, :-1])
    assert (there[:, -1] > here[:, -1]).all()
    usual, unusual = (detectors.scores(x)["kernel density"] for x in (rows[2], moved))
    assert auroc(usual, unusual).value > 0.95


def test_brightness_and_complexity_are_scores_in_both_directions(detectors, rows):
    """Rows that are brighter or darker than usual, and rows that compress better or worse."""
    mean, lengths = rows[0].mean(), detectors.lengths(rows[0])
    found = detectors.scores(torch.stack([torch.zeros(64), torch.ones(64), torch.full((64,), mean.item())]))
    assert found["mean value"].tolist() == pytest.approx([mean.item(), 1 - mean.item(), 0], abs=1e-6)
    alike, noise = torch.zeros(1, 64), torch.rand(1, 64, generator=torch.Generator().manual_seed(0))
    assert detectors.lengths(alike) < lengths.min()
    assert detectors.lengths(noise) > lengths.max()
    far = detectors.scores(torch.cat([alike, noise]))["compressed length"]
    assert far.tolist() == pytest.approx((detectors.lengths(torch.cat([alike, noise])) - lengths.mean()).abs().tolist())


def test_scores_are_the_same_again(detectors, rows):
    again = PixelDetectors(*rows[:2]).scores(rows[2])
    for name, scores in detectors.scores(rows[2]).items():
        assert torch.equal(scores, again[name]), name


def test_few_rows_and_equal_ones():
    rows = torch.ones(4, 3)
    found = PixelDetectors(rows, rows[:1]).scores(torch.cat([rows, rows + 1]))
    for name in ("kernel density", "nearest neighbours"):
        assert auroc(found[name][:4], found[name][4:]).value == 1, name
