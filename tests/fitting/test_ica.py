"""Independent component analysis: it finds sources that are known, and reconstructs as PCA does."""

import numpy as np
import pytest
import torch

from zoo.data.images import Images, Source
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting import ica
from zoo.fitting.ica import Ica
from zoo.fitting.svd import Svd
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.model.networks.mlp import mlp
from zoo.objective.objective import Objective

SOURCES = 4


def splits(x, side=5):
    """Rows (N, side^2) as images, all for training."""
    pixels = torch.from_numpy(x).view(-1, 1, side, side)
    images = Images(pixels, torch.zeros(len(x), dtype=torch.int64), scale=1.0)
    return Splits(Source("mixed", images, images), validation_fraction=None)


def fitted(fit, data, width, seed=0):
    model = build(data.shape, linear, lambda: Pointwise(width), GaussianLikelihood(), NoCorruption(), 0)
    fit(model, data, Objective(), seed)
    return model.eval()


@pytest.fixture(scope="module")
def sources():
    """Independent sources that are not Gaussian: uniform, Laplace, binary, and a square."""
    rng = np.random.default_rng(0)
    n = 4000
    return np.stack([rng.uniform(size=n), rng.laplace(size=n), rng.integers(2, size=n), rng.normal(size=n) ** 2], 1)


@pytest.fixture(scope="module")
def mixed(sources):
    mixing = np.random.default_rng(1).normal(size=(SOURCES, 25))
    return splits(0.5 + 0.1 * sources @ mixing)


@torch.no_grad()
@pytest.mark.parametrize("contrast", ["logcosh", "exp", "cube"])
def test_known_sources_are_found_each_in_a_unit(mixed, sources, contrast):
    codes = {
        name: fitted(fit, mixed, SOURCES).encode(mixed.train[:])
        for name, fit in (("ica", Ica(contrast)), ("pca", Svd()))
    }
    found = {
        name: np.abs(np.corrcoef(z.double().numpy().T, sources.T)[:SOURCES, SOURCES:]) for name, z in codes.items()
    }
    assert found["ica"].max(0).min() > 0.98
    assert sorted(found["ica"].argmax(0)) == list(range(SOURCES))
    assert found["pca"].max(0).min() < 0.9, "the principal axes are no sources"


@torch.no_grad()
def test_units_have_variance_one_and_come_in_the_order_of_what_they_explain(mixed):
    model = fitted(Ica(), mixed, SOURCES)
    z = model.encode(mixed.train[:]).double()
    torch.testing.assert_close(torch.cov(z.T, correction=0), torch.eye(SOURCES).double(), rtol=0, atol=1e-3)
    torch.testing.assert_close(z.mean(0), torch.zeros(SOURCES).double(), rtol=0, atol=1e-3)
    columns = model.decoder[0].weight
    explained = columns.square().sum(0)
    assert (explained.diff() < 0).all()
    total = mixed.train[:].flatten(1).double().var(0, correction=0).sum()
    assert explained.sum().item() == pytest.approx(total.item(), rel=1e-4)
    assert (columns.gather(0, columns.abs().argmax(0, keepdim=True)) > 0).all()


@torch.no_grad()
@pytest.mark.parametrize("width", [1, 8, 40, 64])
def test_reconstructions_are_those_of_pca(compose_job, fit_job, width):
    """Also of test images with pixels that are constant in training, and of all 64 axes, some without variance."""
    runs = [fit_job(compose_job(f"variant={variant}", f"width={width}")) for variant in ("ica", "pca")]
    x = runs[0].data.test[:]
    found, expected = (run.model.reconstruct(x) for run in runs)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@torch.no_grad()
def test_a_seed_determines_the_units_and_no_seed_the_reconstructions(mixed):
    one, same, other = (fitted(Ica(), mixed, SOURCES, seed) for seed in (3, 3, 4))
    x = mixed.train[:]
    assert torch.equal(one.encode(x), same.encode(x))
    assert not torch.equal(one.encode(x), other.encode(x))
    torch.testing.assert_close(one.reconstruct(x), other.reconstruct(x), rtol=0, atol=1e-5)


@torch.no_grad()
def test_gaussian_units_that_do_not_converge_are_a_rotation_all_the_same():
    data = splits(np.random.default_rng(0).normal(size=(300, 25)))
    x = data.train[:]
    model, pca = fitted(Ica(max_iterations=2, tolerance=1e-12), data, 10), fitted(Svd(), data, 10)
    torch.testing.assert_close(model.reconstruct(x), pca.reconstruct(x), rtol=0, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["constant", "one image", "fewer directions than units"])
def test_data_with_fewer_directions_than_units(kind, sources):
    x = np.full((30, 25), 0.3)
    if kind == "one image":
        x = x[:1]
    elif kind == "fewer directions than units":
        x = 0.5 + sources[:300, :2] @ np.random.default_rng(1).normal(size=(2, 25))
    data = splits(x)
    model = fitted(Ica(), data, min(4, len(x)))
    torch.testing.assert_close(model.reconstruct(data.train[:]), data.train[:], rtol=0, atol=1e-4)
    assert model.encode(data.train[:]).isfinite().all()


def test_more_units_than_components_and_other_models_are_refused(mixed):
    with pytest.raises(ZooError, match=r"^width=26: 4000 training samples of 25 numbers have at most 25"):
        fitted(Ica(), mixed, 26)
    deep = build(mixed.shape, mlp, lambda: Pointwise(3), GaussianLikelihood(), NoCorruption(), 0)
    with pytest.raises(ZooError, match="and ica need network=linear, bottleneck=identity"):
        Ica()(deep, mixed, Objective(), 0)
    with pytest.raises(ZooError, match=r"^fit.contrast=tanh: choose one of logcosh, exp, cube$"):
        Ica("tanh")


@torch.no_grad()
def test_of_large_sets_evenly_spaced_images_determine_the_rotation(mixed, sources, monkeypatch):
    monkeypatch.setattr(ica, "NUMBERS", 1000 * SOURCES)
    codes = ica.whitened(mixed.train, torch.eye(25)[:SOURCES].double(), torch.zeros(25).double())
    assert len(codes) == 1000
    torch.testing.assert_close(codes.float(), mixed.train[:].flatten(1)[::4, :SOURCES])
    z = fitted(Ica(), mixed, SOURCES).encode(mixed.train[:]).double().numpy()
    assert np.abs(np.corrcoef(z.T, sources.T)[:SOURCES, SOURCES:]).max(0).min() > 0.95


def test_an_iteration_that_ends_at_its_limit_says_so(mixed, caplog):
    fitted(Ica(), mixed, SOURCES)
    assert not caplog.records
    fitted(Ica(max_iterations=1), mixed, SOURCES)
    (told,) = caplog.records
    assert told.getMessage().startswith("ica: not converged after 1 iterations: another seed finds other units")
