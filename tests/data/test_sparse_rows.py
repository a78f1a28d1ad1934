"""Sparse samples: read as dense ones are, and kept sparse where nothing dense is needed."""

from __future__ import annotations

import pytest
import torch
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse import random as random_sparse
from sklearn.decomposition import PCA, TruncatedSVD

from zoo.data.images import Images, Source
from zoo.data.sparse_rows import SparseRows
from zoo.data.splits import Splits
from zoo.fitting.svd import Svd
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.samples import Form

N, D = 300, 120


def pair() -> tuple[Images, Images]:
    """The same samples, sparse and dense."""
    matrix = random_sparse(N, D, 0.05, format="csr", dtype="float32", random_state=0)
    labels = torch.arange(N) % 3
    dense = torch.from_numpy(matrix.toarray()).view(N, 1, 1, D)
    return Images(SparseRows(matrix), labels, 1.0), Images(dense, labels, 1.0)


def test_sparse_samples_are_read_as_dense_ones_are(monkeypatch):
    sparse, dense = pair()
    index = torch.tensor([5, 0, 299, 5])
    assert (len(sparse), sparse.shape) == (len(dense), dense.shape) == (N, (1, 1, D))
    for limit in (1 << 28, 0):  # subsets as copies, and by choice
        monkeypatch.setattr("zoo.data.images.COPIED", limit)
        one, other = sparse.subset(index), dense.subset(index)
        assert isinstance(one.pixels, SparseRows)
        assert (one.chosen is None) == bool(limit)
        assert torch.equal(one[:], other[:])
        assert torch.equal(one[torch.tensor([3, 1])], other[torch.tensor([3, 1])])
        assert torch.equal(torch.from_numpy(one.sparse.toarray()), other[:].flatten(1))
        assert one.digest() != sparse.digest()
        assert one.digest() == sparse.subset(index).digest()
    assert [torch.equal(a, b) for a, b in zip(sparse.batches(128), dense.batches(128), strict=True)] == [True] * 3
    assert sparse.pixels.nbytes < dense.pixels.nbytes / 5


def test_one_value_changes_the_digest():
    sparse, _ = pair()
    other = SparseRows(sparse.pixels.matrix.copy())
    other.matrix.data[17] += 1
    assert Images(other, sparse.labels, 1.0).digest() != sparse.digest()


def test_a_scaled_set_is_a_scaled_matrix_and_a_shifted_one_is_none():
    sparse, _ = pair()
    each = torch.linspace(1, 2, D).view(1, 1, D)
    for scale in (2.0, each):
        scaled = Images(sparse.pixels, sparse.labels, scale)
        torch.testing.assert_close(torch.from_numpy(scaled.sparse.toarray()), scaled[:].flatten(1))
    assert Images(sparse.pixels, sparse.labels, 1.0, 0.5).sparse is None
    assert pair()[1].sparse is None


def fitted(images: Images, fit: Svd, width: int = 7):
    form = Form("vector", (D,))
    data = Splits(Source("sparse", images, images, form=form), validation_fraction=None)
    model = build(
        (1, 1, D),
        network=linear,
        bottleneck=lambda: Pointwise(width),
        likelihood=GaussianLikelihood(),
        corruption=NoCorruption(),
        seed=0,
    )
    fit(model, data, None, 0)
    return model


@pytest.mark.parametrize(("centre", "reference"), [(False, TruncatedSVD), (True, PCA)])
def test_closed_forms_of_sparse_samples_are_those_of_scikit_learn_and_make_nothing_dense(
    centre, reference, monkeypatch
):
    sparse, dense = pair()
    expected = reference(7, random_state=0, **({"algorithm": "arpack"} if not centre else {"svd_solver": "full"}))
    x = dense[:].flatten(1).double().numpy()
    again = torch.from_numpy(expected.inverse_transform(expected.fit_transform(x))).float()
    with monkeypatch.context() as patch:
        patch.setattr(SparseRows, "__getitem__", None)
        patch.setattr(SparseRows, "index_select", None)
        for kind in (csr_matrix, csc_matrix):
            patch.setattr(kind, "toarray", None)
            patch.setattr(kind, "todense", None)
        model = fitted(sparse, Svd(centre))
    torch.testing.assert_close(model.reconstruct(dense[:]).flatten(1), again, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fitted(dense, Svd(centre)).reconstruct(dense[:]).flatten(1), again, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_power_of_the_singular_values_scales_units_and_changes_no_reconstruction(power):
    sparse, dense = pair()
    plain, weighed = fitted(sparse, Svd(False)), fitted(sparse, Svd(False, power))
    x = dense[:]
    torch.testing.assert_close(weighed.reconstruct(x), plain.reconstruct(x), rtol=1e-5, atol=1e-5)
    size, other = (model.encode(x).square().mean(0).sqrt() for model in (plain, weighed))
    torch.testing.assert_close(other, size.pow(power), rtol=1e-4, atol=1e-5)
