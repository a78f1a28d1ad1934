"""Non-negative matrix factorisation: parts that are known, scikit-learn's own result, and sparse samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls
from scipy.sparse import csr_matrix
from sklearn.decomposition import NMF

from zoo.data.images import Images, Source
from zoo.data.sparse_rows import SparseRows
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.nmf import Nmf
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.model.networks.nonnegative import nonnegative
from zoo.objective.objective import Objective

WIDTH, VALUES = 4, 30


def splits(pixels):
    images = Images(pixels, torch.zeros(len(pixels), dtype=torch.int64), scale=1.0)
    return Splits(Source("rows", images, images), validation_fraction=None)


def fitted(data, network=nonnegative, activation="identity", fit=None):
    model = build(data.shape, network, lambda: Pointwise(WIDTH, activation), GaussianLikelihood(), NoCorruption(), 0)
    (fit or Nmf())(model, data, Objective(), 0)
    return model.eval()


@pytest.fixture(scope="module")
def rows():
    """Sums of four parts that do not overlap, most of them missing in a sample: (200, 30)."""
    rng = np.random.default_rng(0)
    parts = np.zeros((WIDTH, VALUES))
    for part, place in zip(parts, np.array_split(np.arange(VALUES), WIDTH), strict=True):
        part[place] = rng.uniform(0.5, 1, len(place))
    return (rng.uniform(size=(200, WIDTH)) * (rng.uniform(size=(200, WIDTH)) < 0.5) @ parts).astype(np.float32)


@pytest.fixture(scope="module")
def dense(rows):
    return splits(torch.from_numpy(rows).view(-1, 1, 1, VALUES))


@torch.no_grad()
def test_parts_that_samples_were_made_of_are_found(dense):
    model = fitted(dense)
    columns = model.decoder[0].weight.T
    assert columns.min() >= 0
    torch.testing.assert_close(columns.norm(dim=1), torch.ones(WIDTH))
    assert ((columns > 1e-3).sum(0) == 1).all(), "the parts do not overlap"
    torch.testing.assert_close(model.reconstruct(dense.train[:]), dense.train[:], atol=5e-3, rtol=0)
    energy = model.encode(dense.train[:]).square().sum(0)
    assert (energy.diff() <= 0).all()


@torch.no_grad()
def test_it_is_scikit_learns(dense, rows):
    solver = NMF(WIDTH, init="nndsvda", random_state=0)
    solver.fit(rows)
    expected = torch.from_numpy(solver.components_)
    expected = expected / expected.norm(dim=1, keepdim=True)
    found = fitted(dense).decoder[0].weight.T
    order = torch.cdist(found, expected).argmin(1)
    torch.testing.assert_close(found, expected[order])


@torch.no_grad()
def test_codes_are_the_non_negative_ones_of_least_error(dense):
    model = fitted(dense)
    x = torch.rand(20, 1, 1, VALUES, generator=torch.Generator().manual_seed(1))
    columns = model.decoder[0].weight.double().numpy()
    expected = np.stack([nnls(columns, row)[0] for row in x.flatten(1).double().numpy()])
    torch.testing.assert_close(model.encode(x), torch.from_numpy(expected).float(), atol=1e-5, rtol=1e-4)


def test_sparse_samples_stay_sparse(dense, rows, monkeypatch):
    sparse = splits(SparseRows(csr_matrix(rows)))
    monkeypatch.setattr(csr_matrix, "toarray", lambda *_: pytest.fail("samples are made dense"))
    found, expected = (fitted(data).decoder[0].weight for data in (sparse, dense))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_what_it_is_not_for_is_told_in_a_sentence(dense, rows):
    with pytest.raises(ZooError, match=r"^fit=nmf: samples of rows have negative numbers; choose fit=pca$"):
        fitted(splits(torch.from_numpy(rows - 1).view(-1, 1, 1, VALUES)))
    for network, activation in ((linear, "identity"), (nonnegative, "tanh")):
        with pytest.raises(ZooError, match=r"^fit=nmf needs network=nonnegative"):
            fitted(dense, network, activation)
    with pytest.raises(ZooError, match="width=4: 3 training samples"):
        fitted(splits(torch.from_numpy(rows[:3]).view(-1, 1, 1, VALUES)))
    with pytest.raises(ZooError, match="network=nonnegative: encoder and decoder share weights"):
        nonnegative((1, 4, 5), 50, 25, 1)


def test_black_images_have_parts_of_no_size():
    model = fitted(splits(torch.zeros(10, 1, 1, VALUES)))
    assert not model.reconstruct(torch.zeros(2, 1, 1, VALUES)).any()
