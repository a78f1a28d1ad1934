"""Every solver of principal axes against NumPy's singular value decomposition, and fits that never read all images."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA, FactorAnalysis

from zoo.data.images import Images
from zoo.fitting import principal_axes
from zoo.fitting.factor_analysis import factors
from zoo.fitting.linear_gaussian import LinearGaussian
from zoo.fitting.principal_axes import leading_axes
from zoo.fitting.streaming_pca import StreamingPca
from zoo.fitting.svd import Svd
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import FittedGaussianLikelihood, GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.objective.objective import Objective

WIDTH = 4
FITS = {"pca": Svd(), "svd": Svd(False), "streaming_pca": StreamingPca(), "ppca": LinearGaussian()}
# sizes that choose a solver: (bytes decomposed as a whole, side of matrices)
SOLVERS = {"as it is": (1 << 27, 4096), "products": (0, 4096), "iteration": (0, 1)}


class ReadInParts(Images):
    """Images of which at most `most` can be read at a time."""

    most = 100

    def __getitem__(self, index):
        found = super().__getitem__(index)
        assert len(found) <= self.most
        return found


def images(n, side, channels=1, kind=Images):
    """Six directions with variances that fall by half, and noise."""
    rng = np.random.default_rng(0)
    p = channels * side**2
    directions = np.linalg.qr(rng.normal(size=(p, 6)))[0].T * 0.5 ** np.arange(6)[:, None]
    x = 0.5 + rng.normal(size=(n, 6)) @ directions + 0.003 * rng.normal(size=(n, p))
    pixels = torch.from_numpy(x).float().view(n, channels, side, side)
    return kind(pixels, torch.zeros(n, dtype=torch.int64), scale=1.0)


def rows(images):
    return images.pixels.flatten(1).double().numpy()


def fitted(name, images):
    """A linear model, fitted."""
    gaussian = name == "ppca"
    bottleneck = DiagonalPosterior if gaussian else Pointwise
    likelihood = FittedGaussianLikelihood() if gaussian else GaussianLikelihood()
    model = build(images.shape, linear, lambda: bottleneck(WIDTH), likelihood, NoCorruption(), 0)
    report = FITS[name](model, SimpleNamespace(train=images, shape=images.shape), Objective(), 0)
    return model, report


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("centre", [True, False])
@pytest.mark.parametrize(("n", "side"), [(300, 6), (60, 12)])
def test_every_solver_finds_the_axes_variances_and_total(n, side, centre, solver, monkeypatch):
    decomposed, square = SOLVERS[solver]
    monkeypatch.setattr(principal_axes, "DECOMPOSED", decomposed)
    monkeypatch.setattr(principal_axes, "SQUARE", square)
    monkeypatch.setattr(principal_axes, "BLOCK", 8 * 7 * side**2)  # seven images
    data = images(n, side)
    found = leading_axes(data, WIDTH, centre)
    x = rows(data)
    origin = x.mean(0) if centre else np.zeros(side**2)
    _, singular, axes = np.linalg.svd(x - origin, full_matrices=False)
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1, keepdims=True), 1))
    np.testing.assert_allclose(found.mean, origin, atol=1e-12)
    np.testing.assert_allclose(found.variances[:WIDTH], singular[:WIDTH] ** 2 / n, rtol=1e-9)
    np.testing.assert_allclose(found.axes[:WIDTH], axes[:WIDTH], atol=1e-6)
    assert found.total.item() == pytest.approx((singular**2).sum() / n, rel=1e-9)
    rest = ((singular[WIDTH:] ** 2).sum() / n) / (side**2 - WIDTH)
    assert found.mean_of_rest(WIDTH).item() == pytest.approx(rest, rel=1e-6)


@pytest.mark.parametrize("name", ["pca", "streaming_pca", "ppca"])
def test_few_large_images_take_no_matrix_of_pixels_by_pixels(name):
    """101 images of 6,912 pixels took a minute by their covariance."""
    data = images(101, 48, channels=3)
    model, report = fitted(name, data)
    assert report.seconds < 15
    x = rows(data)
    pca = PCA(WIDTH, svd_solver="full").fit(x)
    found = model.decoder[0].weight.detach().double().numpy()
    if name != "ppca":
        np.testing.assert_allclose(found.T, pca.components_, atol=1e-6)
    else:
        variances = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2 / len(x)
        noise = max(variances[WIDTH:].sum() / (x.shape[1] - WIDTH), 0.01**2)
        assert model.likelihood.std.unique().item() == pytest.approx(noise**0.5, rel=1e-6)
        np.testing.assert_allclose(np.linalg.norm(found, axis=0) ** 2, variances[:WIDTH] - noise, rtol=1e-5)


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize(("n", "side"), [(1500, 8), (150, 16)])
def test_large_sets_are_never_read_as_a_whole(name, n, side, monkeypatch):
    whole, _ = fitted(name, images(n, side))
    for module, limit in (("principal_axes", "DECOMPOSED"), ("svd", "DECOMPOSED"), ("svd", "CONVERTED")):
        monkeypatch.setattr(f"zoo.fitting.{module}.{limit}", 0)
    monkeypatch.setattr(principal_axes, "BLOCK", 8 * 100 * side**2)
    parts, _ = fitted(name, images(n, side, kind=ReadInParts))
    x = images(n, side)[:]
    with torch.no_grad():
        torch.testing.assert_close(parts.reconstruct(x), whole.reconstruct(x), rtol=0, atol=1e-5)


def test_factor_analysis_of_fewer_images_than_pixels_is_scikit_learns():
    data = images(60, 12)
    found = leading_axes(data, 60)
    w, noise = factors(found.variances, found.axes, WIDTH)
    reference = FactorAnalysis(WIDTH, svd_method="lapack").fit(rows(data))
    np.testing.assert_allclose(w @ w.T, reference.components_.T @ reference.components_, atol=1e-4)
    np.testing.assert_allclose(noise, reference.noise_variance_, atol=1e-5)
