"""Pictures of models: what is drawn, and what is said where nothing is."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from sklearn.datasets import load_digits, load_wine

from zoo.api import fit
from zoo.errors import ZooError
from zoo.report.figures.pictures import signed
from zoo.use.canvas import shades
from zoo.use.show import show
from zoo.use.views import VIEWS, Plane, Scene, spherical, straight

DIGITS, WINE = load_digits(), load_wine()
VIEWED = ["reconstructions", "code_plane", "traversals", "interpolation", "samples", "gaps", "atoms"]


def fitted(variant, x, **more):
    return fit(variant, x, epochs=2, progress=False, **more)


def drawn(lines):
    return [line.rsplit("/", 1)[1].removesuffix(".png") for line in lines if line.endswith(".png")]


@pytest.mark.parametrize(
    ("variant", "missing"),
    [
        ("pca", {}),
        ("topk", {}),
        ("vae", {"atoms": "the decoder is not linear"}),
        ("vq_vae", {"atoms": "the decoder is not linear"}),
    ],
)
def test_images_of_every_kind_of_code(variant, missing, tmp_path):
    model = fitted(variant, DIGITS.images, width=4)
    lines = show(model, tmp_path, DIGITS.images[:50], DIGITS.target[:50])
    assert drawn(lines) == [view for view in VIEWED if view not in missing]
    assert [line for line in lines if line.startswith("no ")] == [f"no {v}: {why}" for v, why in missing.items()]
    for view in drawn(lines):
        with Image.open(tmp_path / f"{view}.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20


@pytest.mark.parametrize("shape", [(12, 5), (5, 12, 3), (2, 7, 6), (6, 7, 4)])
def test_images_that_are_not_square_or_have_other_channels(shape, tmp_path):
    x = np.random.default_rng(0).integers(0, 255, (60, *shape)).astype(np.uint8)
    assert len(drawn(show(fitted("pca", x, width=3), tmp_path, x))) == len(VIEWED)


@pytest.mark.parametrize("variant", ["pca", "vae"])
def test_vectors(variant, tmp_path):
    model = fitted(variant, WINE.data, width=3)
    assert len(drawn(show(model, tmp_path, WINE.data, WINE.target))) == len(VIEWED) - (variant != "pca")


def test_many_features_and_counts(tmp_path):
    x = np.random.default_rng(0).poisson(2.0, (80, 60))
    model = fit("vae", x, width=2, epochs=2, kind="counts", progress=False, settings={"likelihood": "multinomial"})
    assert len(drawn(show(model, tmp_path, x))) == len(VIEWED) - 1


@pytest.mark.parametrize("data", [DIGITS.images, WINE.data])
def test_a_code_of_one_unit(data, tmp_path):
    lines = show(fitted("pca", data, width=1), tmp_path, data[:40])
    assert "no gaps: the code has one unit, and no plane" in lines
    assert len(drawn(lines)) == len(VIEWED) - 1


def test_without_data(tmp_path):
    lines = show(fitted("pca", DIGITS.images, width=4), tmp_path)
    assert lines[0] == "no reconstructions: the data is not known; give data=..."
    assert drawn(lines) == VIEWED[1:]


def test_mistakes(tmp_path):
    model = fitted("pca", WINE.data, width=2)
    with pytest.raises(ZooError, match=r"samples of shape \(1, 8, 8\): this model takes \(N, 13\)"):
        show(model, tmp_path, DIGITS.images)
    with pytest.raises(ZooError, match=r"labels of shape \(3,\) for 178 samples"):
        show(model, tmp_path, WINE.data, [0, 1, 2])
    (tmp_path / "file").write_text("")
    with pytest.raises(ZooError, match="no folder can be made there"):
        show(model, tmp_path / "file")


def test_every_view_is_a_figure_or_one_line():
    scene = Scene(fitted("pca", DIGITS.images, width=3), "pca")
    for view in VIEWS.values():
        found = view(scene)
        assert isinstance(found, Figure) or re.fullmatch(r"[^\n]{5,80}", found)


def test_the_plane_of_a_code():
    codes = (np.random.default_rng(0).normal(size=(500, 5)) * [3, 0.1, 2, 0.1, 0.1]).astype(np.float32)
    plane = Plane.of(codes)
    assert np.abs(plane.axes).argmax(1).tolist() == [0, 2]
    assert sum(plane.share) > 0.99
    np.testing.assert_allclose(plane.project(plane.lift(np.array([[1, 2]], np.float32))), [[1, 2]], atol=1e-5)
    assert Plane.of(codes[:, :2]).labels == ("unit 0", "unit 1")


def test_interpolation_ends_at_both_codes_and_keeps_the_distance_on_a_sphere():
    a, b, centre = (np.array(values, np.float32) for values in ([2, 1], [1, 2], [1, 1]))
    for between in (straight, spherical):
        found = between(a, b, centre)
        np.testing.assert_allclose(found[[0, -1]], [a, b], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(spherical(a, b, centre) - centre, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(spherical(a, a, centre), np.repeat(a[None], 11, 0), atol=1e-6)


def test_pictures_have_the_colours_of_the_samples():
    model = fitted("pca", np.random.default_rng(0).integers(0, 255, (20, 6, 5, 3)).astype(np.uint8), width=2)
    x = np.zeros((1, 6, 5, 3), np.float32)
    x[0, 1, 2] = (255, 0, 300)
    found = shades(model.form, x)
    assert found.shape == (1, 3, 6, 5)
    assert found[0, :, 1, 2].tolist() == [1, 0, 1]
    red, white, blue = signed(torch.tensor([1.0, 0.0, -1.0]).view(1, 1, 1, 3))[0].permute(1, 2, 0)[0]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert white.min() > 0.9
