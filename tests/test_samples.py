"""Forms of samples: what their owner has, what a model sees, and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.sparse import csr_matrix

from zoo.data.images import Images, Source
from zoo.data.splits import Splits, learned
from zoo.errors import ZooError
from zoo.samples import Form, as_tensor, form_of


@pytest.mark.parametrize(
    ("shape", "kind", "channels", "inner"),
    [
        ((5, 28, 20), None, "none", (1, 28, 20)),
        ((5, 3, 28, 20), None, "first", (3, 28, 20)),
        ((5, 28, 20, 3), None, "last", (3, 28, 20)),
        ((5, 1, 28, 20), None, "first", (1, 28, 20)),
        ((5, 28, 20, 1), None, "last", (1, 28, 20)),
        ((5, 7, 28, 20), None, "first", (7, 28, 20)),
        ((5, 13), None, "none", (1, 1, 13)),
        ((5, 13), "counts", "none", (1, 1, 13)),
    ],
)
def test_the_form_of_an_array(shape, kind, channels, inner):
    form = form_of(np.zeros(shape), kind)
    assert (form.shape, form.channels, form.inner_shape) == (shape[1:], channels, inner)
    assert form.kind == (kind or ("vector" if len(shape) == 2 else "image"))
    assert form.inward(np.zeros(shape)).shape == (5, *inner)


@settings(deadline=None, max_examples=40)
@given(st.data(), array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=5))
@pytest.mark.filterwarnings("ignore:an array of shape .* is read as")
def test_there_and_back_is_the_same(data, shape):
    x = data.draw(arrays(np.float32, shape, elements=st.floats(0, 8, width=32)))
    if x.ndim == 3 or x.ndim == 4:
        form = Form("image", shape[1:], form_of(x).channels, (1.5,), (4.0,))
    else:
        form = Form("vector", shape[1:], shift=tuple(range(shape[1])), scale=(3.0,) * shape[1])
    inward = form.inward(x)
    assert inward.shape == (shape[0], *form.inner_shape)
    np.testing.assert_allclose(form.outward(inward), x, atol=1e-5)
    np.testing.assert_allclose(form.outward(form.inward(x.reshape(len(x), -1))), x, atol=1e-5)
    assert Form.of_json(form.as_json()) == form


def test_channels_are_found_on_either_axis_of_colour_images():
    x = np.random.default_rng(0).random((4, 6, 5, 3))
    inward = form_of(x).inward(x)
    np.testing.assert_allclose(inward, x.transpose(0, 3, 1, 2), rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "told"),
    [
        (np.zeros((3, 12)), r"samples of shape \(3, 12\): this model takes \(N, 13\)"),
        (np.zeros(13), r"samples of shape \(13,\): this model takes \(N, 13\)"),
        (np.full((2, 13), np.nan), "not finite"),
        (np.full((2, 13), np.inf), "not finite"),
        ([["a"] * 13], r"values of type <U1: samples are numbers"),
        ([[1, 2], [3]], "no array of numbers"),
        (np.array([["x"] * 13], dtype=object), "no array of numbers"),
        (csr_matrix(np.eye(13)), r"a sparse matrix: give a dense array, x\.toarray\(\)"),
        (np.zeros((2, 13), complex), "values of type complex128: samples are numbers"),
    ],
    ids=str,
)
def test_samples_that_are_none(x, told):
    with pytest.raises(ZooError, match=told):
        Form("vector", (13,)).inward(x)


@pytest.mark.parametrize(
    ("shape", "kind", "told"),
    [
        ((5, 4, 4), "vector", r"samples of kind vector are \(N, D\)"),
        ((5, 4), "image", r"samples of kind image are \(N, H, W\), "),
        ((5,), None, "samples of kind image are"),
        ((0, 4), None, "holds no values"),
        ((4, 0), None, "holds no values"),
        ((4, 2), "sound", "kind=sound: choose one of image, vector, counts"),
    ],
)
def test_forms_that_are_none(shape, kind, told):
    with pytest.raises(ZooError, match=told):
        form_of(np.zeros(shape), kind)


def test_counts_are_not_negative():
    with pytest.raises(ZooError, match="negative values, and counts are 0 or more"):
        Form("counts", (3,)).inward([[0, 1, -1]])


def test_values_from_0_to_1_for_a_model_of_bytes_are_told():
    with pytest.warns(UserWarning, match="no value is above 1, and this model's white is 255"):
        Form("image", (2, 2), scale=(255.0,)).inward(np.ones((1, 2, 2)))


def test_an_array_is_not_copied_where_torch_can_share_it():
    x = np.zeros((3, 4), np.float32)
    as_tensor(x)[0, 0] = 1
    assert x[0, 0] == 1
    assert as_tensor(np.array([65535], np.uint16)).tolist() == [65535]


# The scaling that is learned


def splits(x, form, scaling):
    images = Images(torch.from_numpy(x).reshape(len(x), *form.inner_shape), torch.zeros(len(x), dtype=torch.int64), 1.0)
    return Splits(Source("array", images, images, form=form, scaling=scaling), 0.25)


@pytest.mark.parametrize("block", [1 << 26, 200])  # all at once, or a few rows at a time
def test_vectors_are_standardised_by_the_training_samples(monkeypatch, block):
    monkeypatch.setattr("zoo.data.splits.BLOCK", block)
    x = np.random.default_rng(0).normal([1e6, 0, -5], [1, 1e-3, 0], (80, 3))
    data = splits(x, Form("vector", (3,)), "standard")
    train = data.train.stored(slice(None)).flatten(1).numpy()
    assert len(train) == 60
    np.testing.assert_allclose(data.form.shift, train.mean(0), rtol=1e-12)
    np.testing.assert_allclose(data.form.scale, [*train.std(0)[:2], 1.0], rtol=1e-6)
    np.testing.assert_allclose(data.train[:].flatten(1).mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(data.train[:].flatten(1).std(0, correction=0), [1, 1, 0], atol=1e-4)
    for part in (data.validation, data.test):
        own = part.stored(slice(None)).flatten(1).numpy()
        np.testing.assert_allclose(part[:].flatten(1), (own - data.form.shift) / data.form.scale, rtol=1e-4, atol=1e-6)
        assert torch.equal(part[:], data.form.inward(own))


def test_a_scaling_is_learned_once(monkeypatch):
    seen = []
    monkeypatch.setattr("zoo.data.splits.learned", lambda *given: seen.append(given) or learned(*given))
    data = splits(np.random.default_rng(0).random((40, 3)), Form("vector", (3,)), "standard")
    for part in (data.train, data.validation, data.test, data.train):
        assert part.scaled(data.form).scale is not None
    assert len(seen) == 1


def test_images_of_any_range_fill_0_to_1():
    x = np.random.default_rng(0).integers(-300, 900, (40, 3, 3))
    data = splits(x, Form("image", (3, 3)), "range")
    assert (data.train[:].min(), data.train[:].max()) == (0, 1)
    train = data.train.stored(slice(None))
    assert data.form.shift == (float(train.min()),)
    assert data.form.scale == (float(train.max() - train.min()),)


def test_a_constant_image_keeps_its_scale():
    data = splits(np.full((8, 3, 3), 7.0), Form("image", (3, 3)), "range")
    assert data.train[:].unique().tolist() == [0.0]


# Large sets are divided without a copy


def test_a_large_set_is_divided_by_index(monkeypatch):
    x = torch.arange(5 * 4).view(5, 1, 2, 2).to(torch.uint8)
    labels = torch.arange(5)
    whole = Images(x, labels)
    copied = whole.subset(torch.tensor([4, 1, 2])).subset(torch.tensor([2, 0]))
    monkeypatch.setattr("zoo.data.images.COPIED", 0)
    chosen = whole.subset(torch.tensor([4, 1, 2])).subset(torch.tensor([2, 0]))
    assert chosen.pixels.data_ptr() == x.data_ptr()
    assert copied.pixels.data_ptr() != x.data_ptr()
    for part in (chosen, copied):
        assert len(part) == 2
        assert part.labels.tolist() == [2, 4]
        assert torch.equal(part[:], x[[2, 4]] / 255)
        assert torch.equal(part[torch.tensor([1])], x[[4]] / 255)
        assert torch.equal(torch.cat(list(part.batches(1))), x[[2, 4]] / 255)
    assert chosen.digest() == copied.digest() != whole.digest()
    assert whole.subset(torch.tensor([0, 1])).digest() != whole.subset(torch.tensor([0, 3])).digest()
