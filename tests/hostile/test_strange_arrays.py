"""Small and strange arrays through the public face: each gets the right answer, or one sentence."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from zoo.errors import ZooError

pytestmark = pytest.mark.slow

R = np.random.default_rng(0)
IMAGES = R.random((40, 8, 8))
ROWS = R.normal(size=(40, 5))
SERVED = {
    "3 images": IMAGES[:3],
    "12 images": IMAGES[:12],
    "one pixel": IMAGES[:, :1, :1],
    "one column of pixels": IMAGES[:, :, :1],
    "black bytes": np.zeros((40, 8, 8), np.uint8),
    "white bytes": np.full((40, 8, 8), 255, np.uint8),
    "grey": np.full((40, 8, 8), 0.5),
    "duplicates": np.repeat(IMAGES[:1], 40, 0),
    "a broadcast": np.broadcast_to(IMAGES[:1], (40, 8, 8)),
    "16 bits": (IMAGES * 65535).astype(np.uint16),
    "32 bits, signed": (IMAGES * 100 - 50).astype(np.int32),
    "64 bits": (IMAGES * 2**62).astype(np.uint64),
    "half": IMAGES.astype(np.float16),
    "long": IMAGES.astype(np.longdouble),
    "big-endian": IMAGES.astype(">f4"),
    "turned": IMAGES[::-1, ::-1],
    "by columns": np.asfortranarray(IMAGES),
    "alpha": (R.random((40, 8, 8, 4)) * 255).astype(np.uint8),
    "two channels": R.random((40, 2, 8, 8)),
    "channels last, three columns": R.random((40, 9, 3, 3)),
    "one feature": ROWS[:, :1],
    "a constant feature": np.c_[ROWS, np.ones(40)],
    "constant features": np.ones((40, 5)),
    "more features than rows": R.normal(size=(10, 300)),
    "3 rows": ROWS[:3],
    "whole numbers": R.integers(0, 5, (40, 5)),
    "objects that are numbers": R.integers(0, 5, (40, 5)).astype(object),
    "lists": ROWS.tolist(),
}
REFUSED = {
    "1 image": (IMAGES[:1], "give more samples"),
    "none": (IMAGES[:0], "holds no values"),
    "a number": (np.float64(3), "an array of shape"),
    "five axes": (np.zeros((2, 2, 2, 2, 2)), "an array of shape"),
    "texts": (np.array([["a", "b"]] * 10), "samples are numbers"),
    "objects": (np.array([[1, "x"]] * 10, object), "no array of numbers"),
    "dates": (np.zeros((10, 3), "M8[s]"), "samples are numbers"),
    "records": (np.zeros((10, 3), [("a", float), ("b", int)]), "samples are numbers"),
    "complex": (IMAGES + 1j, "samples are numbers"),
    "missing": (np.where(IMAGES > 0.9, np.nan, IMAGES), "nan or inf"),
    "infinite rows": (np.where(ROWS > 1, np.inf, ROWS), "nan or inf"),
    "masked": (np.ma.masked_array(ROWS, ROWS > 1), r"a masked array with missing values: .* X\.filled\(0\)"),
    "huge": (ROWS * 1e300, "beyond 3.4e\\+38, the range of float32"),
    "huge images": (IMAGES * 1e300, "beyond 3.4e\\+38, the range of float32"),
}


@pytest.mark.parametrize("variant", ["pca", "svd", "deep_ae"])
@pytest.mark.parametrize("name", SERVED)
def test_strange_arrays_come_back(name, variant):
    x = np.asarray(SERVED[name])
    model = zoo.fit(variant, SERVED[name], epochs=None if variant != "deep_ae" else 1, progress=False)
    again = model.reconstruct(SERVED[name])
    assert again.shape == x.shape
    assert np.isfinite(again).all()
    constant = np.ptp(x) == 0
    if constant and variant != "deep_ae":
        assert again == pytest.approx(x.astype(float), rel=1e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_fitted_is_one_sentence(name):
    x, told = REFUSED[name]
    with pytest.raises(ZooError, match=told):
        zoo.fit("pca", x, progress=False)


def test_zeros_and_ones_in_bytes_are_binary_images():
    binary = (IMAGES > 0.5).astype(np.uint8)
    model = zoo.fit("pca", binary, width=4, progress=False)
    assert model.form.scale == (1.0,)
    assert zoo.fit("pca", binary * 255, width=4, progress=False).form.scale == (255.0,)
    assert model.encode(binary) == pytest.approx(zoo.fit("pca", binary > 0, width=4, progress=False).encode(binary > 0))


def test_bytes_that_are_nearly_black_are_warned_of():
    with pytest.warns(UserWarning, match="no value is above 15, and white is 255 in bytes"):
        zoo.fit("pca", R.integers(0, 16, (40, 8, 8)).astype(np.uint8), width=4, progress=False)


def test_two_axes_that_may_be_of_channels_are_warned_of():
    with pytest.warns(UserWarning, match=r"\(40, 4, 4, 3\) is read as \(N, C, H, W\)"):
        model = zoo.fit("pca", R.random((40, 4, 4, 3)), width=4, progress=False)
    assert model.form.inner_shape == (4, 4, 3)


@pytest.mark.parametrize("n", [2, 3])
def test_too_few_to_measure_on(n):
    model = zoo.fit("pca", IMAGES, width=4, progress=False)
    with pytest.raises(ZooError, match=f"{n} samples to measure on: give at least 4"):
        zoo.evaluate(model, IMAGES[:n])
    found = zoo.evaluate(model, IMAGES[:4], labels=[0, 0, 1, 1], groups=("reconstruction", "probing", "code"))
    assert not [name for name, entry in found.items() if entry.get("failed")]
