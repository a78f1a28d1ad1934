"""Images of known atoms."""

import pytest
import torch

from zoo.data.sources import digits, planted
from zoo.data.splits import Splits
from zoo.errors import ZooError

FEWER = {"atoms": 32, "n_train": 3000, "n_test": 500}  # than pixels, so that codes can be read off the images


def codes_of(source, images):
    """The coefficients of the atoms, by least squares, and what these leave: (N, M) and (N, P)."""
    atoms = source.atoms.flatten(1).double()
    y = images[:].flatten(1).double() - 0.5
    codes = y @ torch.linalg.pinv(atoms)
    return codes, y - codes @ atoms


def test_images_are_sparse_non_negative_combinations_of_the_atoms():
    source = planted(noise=0.0, **FEWER)
    for images in (source.train, source.test):
        codes, rest = codes_of(source, images)
        assert rest.abs().max() < 1e-6
        active = codes > 1e-5
        assert (codes[~active].abs() < 1e-5).all()
        assert (active.sum(1) == 4).all()
        coefficients = codes[active] / codes[active].mean()
        assert 0.49 < coefficients.min() < 0.52
        assert 1.48 < coefficients.max() < 1.51


def test_images_fill_the_range_of_grey_levels():
    source = planted(**FEWER)
    x = torch.cat([source.train[:], source.test[:]])
    assert x.shape == (3500, 1, 8, 8)
    assert x.min() >= 0
    assert x.max() <= 1
    assert (x - 0.5).abs().max().item() == pytest.approx(0.5)


def test_noise_has_the_length_that_was_asked_for():
    source = planted(noise=0.2, **FEWER)
    codes, rest = codes_of(source, source.train)
    unit = codes.sum(1).mean() / 4  # of a coefficient of 1
    half = (rest / unit).square().sum(1).mean().sqrt()  # the atoms explain 32 of 64 dimensions of the noise
    assert half.item() == pytest.approx(0.2 / 2**0.5, rel=0.02)


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_frequencies_follow_the_power_law(exponent):
    source = planted(noise=0.0, exponent=exponent, atoms=32, active=1, n_train=30_000, n_test=2)
    frequency = (codes_of(source, source.train)[0] > 1e-5).double().mean(0)
    law = torch.arange(1, 33).double() ** -exponent
    torch.testing.assert_close(frequency, law / law.sum(), rtol=0.15, atol=0)


def test_atoms_are_more_than_pixels_and_incoherent():
    atoms = planted(n_train=2, n_test=1).atoms
    assert atoms.shape == (128, 1, 8, 8)
    cosines = atoms.flatten(1) @ atoms.flatten(1).T
    torch.testing.assert_close(cosines.diagonal(), torch.ones(128))
    others = (cosines - torch.eye(128)).abs()
    assert 0.25 < others.max() <= 0.3 + 1e-6
    free = planted(coherence=1.0, n_train=2, n_test=1).atoms.flatten(1)
    assert ((free @ free.T) - torch.eye(128)).abs().max() > 0.4


def test_the_set_is_determined_by_its_seed():
    first, other = planted(**FEWER), planted(**FEWER, seed=1)
    planted.cache_clear()
    again = planted(**FEWER)
    assert again.train.digest() == first.train.digest()
    assert again.test.digest() == first.test.digest()
    assert torch.equal(again.atoms, first.atoms)
    assert first.train.digest() != other.train.digest()
    assert not torch.equal(other.atoms, first.atoms)


def test_splits_pass_the_atoms_on(monkeypatch):
    data = Splits(planted(**FEWER))
    assert torch.equal(data.atoms, planted(**FEWER).atoms)
    monkeypatch.setattr("zoo.data.images.HELD", 4 * 64 * 200)
    bounded = data.bounded()
    assert len(bounded.test) == 100
    assert torch.equal(bounded.atoms, data.atoms)
    assert Splits(digits).atoms is None


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"size": 0}, r"data\.source\.size=0: must be a whole number, at least 1"),
        ({"atoms": 2.5}, r"data\.source\.atoms=2\.5: must be a whole number"),
        ({"atoms": 3}, r"data\.source\.active=4: an image has at most all of data\.source\.atoms=3"),
        ({"n_train": 1}, r"data\.source\.n_train=1: must be a whole number, at least 2"),
        ({"exponent": -1.0}, r"data\.source\.exponent=-1\.0: must be a finite number, 0 or more"),
        ({"noise": -0.1}, r"data\.source\.noise=-0\.1: must be a finite number, 0 or more"),
        ({"coherence": 0.0}, r"data\.source\.coherence=0\.0: a cosine above 0, at most 1"),
        ({"coherence": 0.05}, r"data\.source\.coherence=0\.05: \d+ of 128 atoms in 64 dimensions were found"),
    ],
)
def test_what_cannot_be_is_refused(settings, told):
    with pytest.raises(ZooError, match=rf"^{told}"):
        planted(**settings)
