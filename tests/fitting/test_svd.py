"""Linear methods, compared with scikit-learn and with each other."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA, TruncatedSVD
from threadpoolctl import threadpool_info, threadpool_limits

import zoo
from zoo.data.images import Images, Source
from zoo.data.sparse_rows import SparseRows
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.fitting.closed_form import linear_layers
from zoo.fitting.gradient import Gradient
from zoo.fitting.schedules import one_cycle
from zoo.fitting.svd import Svd
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.model.networks.mlp import mlp
from zoo.objective.objective import Objective


def linear_model(shape, width, tied=False, activation="identity", seed=0):
    def network(*widths):
        return linear(*widths, tied=tied)

    return build(shape, network, lambda: Pointwise(width, activation), GaussianLikelihood(), NoCorruption(), seed)


@pytest.fixture(scope="module")
def gapped():
    """2,000 images of four patches, each bright or dark, with a little noise in every pixel."""
    rng = np.random.default_rng(0)
    patches = rng.permutation(np.kron(np.diag([0.9, 0.8, 0.7, 0.6]), np.ones(12)), axis=1)
    x = rng.integers(2, size=(2000, 4)) @ patches + 0.1 * rng.uniform(size=(2000, 48))
    pixels = torch.from_numpy(x).float().view(-1, 3, 4, 4)
    train, test = (Images(part, torch.zeros(len(part), dtype=torch.int64), scale=1.0) for part in pixels.split(1600))
    data = Splits(Source("gapped", train, test))
    spectrum = np.linalg.svd(data.train[:].flatten(1).numpy() - data.train[:].flatten(1).numpy().mean(0))[1]
    assert spectrum[3] > 10 * spectrum[4]
    assert (spectrum[:3] > 1.1 * spectrum[1:4]).all()
    return data


def rows(images):
    return images[:].flatten(1).double().numpy()


def decoder_columns(model):
    """(P, D): the effect of each unit of a code on the image."""
    zero, units = torch.zeros(1, model.bottleneck.out_features), torch.eye(model.bottleneck.out_features)
    with torch.no_grad():
        return (model.decode(units) - model.decode(zero)).flatten(1).T.double().numpy()


def training_error(run):
    x = run.data.train[:]
    with torch.no_grad():
        return (run.model.reconstruct(x) - x).square().flatten(1).sum(1).mean().item()


# Closed form


@pytest.mark.parametrize("width", [1, 8, 32, 64])
@pytest.mark.parametrize(
    ("variant", "reference"),
    [
        ("pca", lambda width: PCA(width, svd_solver="full")),
        ("svd", lambda width: TruncatedSVD(width, algorithm="arpack" if width < 64 else "randomized", n_iter=20)),
    ],
)
def test_reconstruction_is_scikit_learns(compose_job, fit_job, variant, reference, width):
    run = fit_job(compose_job(f"variant={variant}", f"width={width}"))
    x = rows(run.data.test)
    solver = reference(width).fit(rows(run.data.train))
    expected = solver.inverse_transform(solver.transform(x))
    found = run.model.reconstruct(run.data.test[:]).flatten(1).double().detach().numpy()
    assert np.linalg.norm(found - expected) < 1e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("centre", [True, False])
def test_is_the_projection_on_the_leading_eigenvectors(gapped, centre, monkeypatch):
    """Eigenvectors of the second moment about the mean or zero, without scikit-learn."""
    times = iter([3.0, 4.25])
    monkeypatch.setattr("zoo.fitting.svd.time", SimpleNamespace(perf_counter=lambda: next(times)))
    model = linear_model(gapped.shape, 3)
    report = Svd(centre)(model, gapped, Objective(), seed=0)
    x = rows(gapped.train)
    mean = x.mean(0) if centre else np.zeros(48)
    vectors = np.linalg.eigh((x - mean).T @ (x - mean))[1][:, -3:]
    expected = (x - mean) @ vectors @ vectors.T + mean
    found = model.reconstruct(gapped.train[:]).flatten(1).double().detach().numpy()
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)
    assert (report.epochs, report.best_epoch, report.history) == (1, 1, {})
    assert report.seconds == 1.25


def test_code_is_uncorrelated_and_ordered(gapped):
    model = linear_model(gapped.shape, 4)
    Svd()(model, gapped, Objective(), seed=0)
    covariance = np.cov(model.encode(gapped.train[:]).detach().numpy().T)
    variance = np.diag(covariance)
    assert (np.diff(variance) < 0).all()
    assert np.abs(covariance - np.diag(variance)).max() < 1e-4 * variance.min()


def test_fits_the_training_images_alone(compose_job, fit_job):
    """The decoder's origin is the mean of the training images, and not of validation or test images."""
    run = fit_job(compose_job("variant=pca"))
    origin = run.model.decode(run.model.encode(run.data.train[:]).mean(0, keepdim=True)).flatten()
    means = [torch.from_numpy(rows(part).mean(0)) for part in (run.data.train, run.data.validation, run.data.test)]
    distances = [(origin - mean).norm().item() for mean in means]
    assert distances[0] < 1e-5
    assert min(distances[1:]) > 0.05


@pytest.mark.parametrize("centre", [True, False])
def test_more_units_than_components_are_refused(gapped, centre):
    with pytest.raises(
        ZooError, match=r"width=49: 1440 training samples of 48 numbers have at most 48 .*; choose a smaller width"
    ):
        Svd(centre)(linear_model(gapped.shape, 49), gapped, Objective(), seed=0)
    few = Splits(Source("few", *(gapped.train.subset(torch.arange(20)),) * 2))
    with pytest.raises(ZooError, match="width=19: 18 training samples of 48 numbers have at most 18"):
        Svd(centre)(linear_model(gapped.shape, 19), few, Objective(), seed=0)


@pytest.mark.parametrize("model", ["deep", "tied", "tanh"])
def test_a_model_that_is_not_linear_is_refused(gapped, model):
    refused = {
        "deep": lambda: build(gapped.shape, mlp, lambda: Pointwise(4), GaussianLikelihood(), NoCorruption(), 0),
        "tied": lambda: linear_model(gapped.shape, 4, tied=True),
        "tanh": lambda: linear_model(gapped.shape, 4, activation="tanh"),
    }[model]()
    before = {name: weight.clone() for name, weight in refused.state_dict().items()}
    with pytest.raises(ZooError, match="need network=linear, bottleneck=identity, and images or vectors"):
        Svd()(refused, gapped, Objective(), seed=0)
    assert all(torch.equal(weight, before[name]) for name, weight in refused.state_dict().items())
    assert linear_layers(linear_model(gapped.shape, 4))


# By gradient


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_gradient_finds_the_principal_subspace_where_the_spectrum_has_a_gap(gapped, tied):
    model = linear_model(gapped.shape, 4, tied)

    def optimizer(parameters):
        return torch.optim.AdamW(parameters, lr=0.02, weight_decay=0.0, fused=True)

    fit = Gradient(optimizer, one_cycle, epochs=40, batch_size=64, progress=False)
    fit(model, gapped, Objective(), seed=0)
    principal = PCA(4).fit(rows(gapped.train)).components_.T
    angles = subspace_angles(decoder_columns(model), principal)
    assert angles.max() < 0.02, angles
    start = subspace_angles(decoder_columns(linear_model(gapped.shape, 4, tied)), principal)
    assert start.max() > 0.5, "the subspace differs before the fit"
    if tied:
        weight = decoder_columns(model)
        np.testing.assert_allclose(weight.T @ weight, np.eye(4), atol=0.02)


@pytest.mark.parametrize("variant", ["linear_ae", "linear_ae_tied"])
def test_gradient_reaches_pcas_training_error_on_digits(compose_job, fit_job, variant):
    """Within 0.5 % of the optimum of linear codes.

    The angles are larger than on data with a gap: the 9th eigenvalue is nine tenths of the 8th, so that exchanging
    their directions changes the error little.
    """
    pca = fit_job(compose_job("variant=pca"))
    run = fit_job(compose_job(f"variant={variant}", "budget.epochs=300"))
    ratio = training_error(run) / training_error(pca)
    angles = np.round(np.sort(subspace_angles(decoder_columns(run.model), decoder_columns(pca.model))), 3)
    assert 1 - 1e-6 < ratio < 1.005, f"error {ratio:.4%} of PCA's, principal angles {angles} rad"


@pytest.mark.parametrize(("variant", "solver"), [("pca", PCA), ("svd", TruncatedSVD)])
def test_a_fit_limits_the_threads_of_numpy_too(monkeypatch, variant, solver):
    """By default they are as many as there are cores, and the last bits of a product depend on them."""
    seen, solve = [], solver.fit

    def watched(self, x):
        seen.extend(info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas")
        return solve(self, x)

    monkeypatch.setattr(solver, "fit", watched)
    with threadpool_limits(2, "blas"):
        zoo.fit(variant, np.random.default_rng(0).random((60, 8, 8)), width=4, progress=False)
    assert set(seen) == {1}


@pytest.mark.parametrize("power", [None, 0.0, 0.5])
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize("stored", ["sparse", "dense"])
@pytest.mark.parametrize("rows", ["zero", "equal", "rank 2"])
def test_samples_of_low_rank(rows, stored, centre, power):
    """Samples without a variance, and more units than the rank, whose values are rounding errors."""
    rng = np.random.default_rng(0)
    x = {"zero": np.zeros((20, 12)), "equal": np.tile(rng.poisson(1.0, 12), (20, 1))}.get(
        rows, rng.integers(0, 3, (20, 2)) @ rng.integers(0, 3, (2, 12))
    )
    pixels = SparseRows(csr_matrix(x.astype(np.float32))) if stored == "sparse" else torch.from_numpy(x).float()
    pixels = pixels if stored == "sparse" else pixels.view(20, 1, 1, 12)
    images = Images(pixels, torch.zeros(20, dtype=torch.int64), scale=1.0)
    data = Splits(Source("low", images, images), validation_fraction=None)
    for width in (2, 5, 12):
        model = linear_model(data.shape, width)
        Svd(centre, power)(model, data, Objective(), seed=0)
        with torch.no_grad():
            torch.testing.assert_close(model.reconstruct(data.train[:]), data.train[:], atol=1e-4, rtol=1e-4)
            assert model.encode(data.train[:]).abs().max() < 100
