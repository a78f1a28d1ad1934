"""Streaming PCA, probabilistic PCA and factor analysis against scikit-learn and the textbook's formulae."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA, FactorAnalysis

from zoo.autoencoder import build
from zoo.bottlenecks.dense import Dense
from zoo.bottlenecks.diagonal import Diagonal
from zoo.corruption import Clean
from zoo.data.datamodule import ImageData
from zoo.data.images import Images, Source
from zoo.errors import ZooError
from zoo.evaluation.evaluator import evaluate
from zoo.fit.linear_gaussian import LinearGaussian
from zoo.fit.streaming_pca import StreamingPca, moments
from zoo.likelihood import FittedGaussian, Gaussian
from zoo.networks.linear import linear
from zoo.networks.mlp import mlp
from zoo.objective import Objective


def rows(images):
    return images[:].flatten(1).double().numpy()


def fit(compose_job, fit_job, *overrides):
    return fit_job(compose_job(*overrides))


def scores(run):
    """The metrics of likelihood: {name: value}."""
    found = evaluate(run.model, run.data, ["likelihood"], {})
    return {name: entry["value"] for name, entry in found.items()}


def factor_images(n=3000, width=3, seed=0):
    """Images of 3x4 pixels drawn from a factor model whose noise differs from pixel to pixel, and none of them dead."""
    rng = np.random.default_rng(seed)
    loadings, std = 0.1 * rng.normal(size=(width, 12)), rng.uniform(0.03, 0.15, size=12)
    x = 0.5 + rng.normal(size=(n, width)) @ loadings + std * rng.normal(size=(n, 12))
    images = Images(torch.from_numpy(x).float().view(-1, 1, 3, 4), torch.zeros(n, dtype=torch.int64), scale=1.0)
    parts = images.subset(torch.arange(0, n, 2)), images.subset(torch.arange(1, n, 2))
    return ImageData(Source("factors", *parts)), std


# Streaming


@pytest.mark.parametrize("width", [1, 8, 64])
def test_streaming_pca_is_pca(compose_job, fit_job, width):
    streamed, whole = (fit(compose_job, fit_job, f"variant={v}", f"width={width}") for v in ("streaming_pca", "pca"))
    x = whole.data.test[:]
    axes = [run.model.decoder[0].weight.detach().double().numpy() for run in (streamed, whole)]
    assert subspace_angles(*axes).max() < 1e-5
    with torch.no_grad():
        torch.testing.assert_close(streamed.model.reconstruct(x), whole.model.reconstruct(x), rtol=0, atol=1e-5)
        if width < 64:  # the last axes are of pixels that never vary, and any will do
            torch.testing.assert_close(streamed.model.encode(x), whole.model.encode(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 100, 5000])
def test_moments_do_not_depend_on_the_batch(batch_size):
    """Nor on where zero lies: sums of squares about it would lose all digits of pixels as far from it as these."""
    pixels = 1e4 + torch.rand(100, 2, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    images = Images(pixels, torch.zeros(100, dtype=torch.int64), 1.0)
    mean, covariance = moments(images, batch_size)
    x = images[:].flatten(1).double().numpy()
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(covariance, np.cov(x.T, bias=True), rtol=0, atol=1e-11)


def test_streaming_pca_refuses_what_pca_refuses():
    data, _ = factor_images(60)
    with pytest.raises(ZooError, match=r"width=13: 27 images of 12 pixels have at most 12 .*; choose a smaller width"):
        StreamingPca()(build(data.shape, linear, lambda: Dense(13), Gaussian(), Clean(), 0), data, Objective(), 0)
    deep = build(data.shape, mlp, lambda: Dense(3), Gaussian(), Clean(), 0)
    with pytest.raises(ZooError, match="network=linear with bottleneck=dense only"):
        StreamingPca()(deep, data, Objective(), 0)


# Densities


@pytest.mark.parametrize("width", [1, 8, 30])
def test_ppcas_likelihood_is_scikit_learns(compose_job, fit_job, width):
    """scikit-learn's PCA divides by N - 1 where the maximum of the likelihood has N; with N its score is the same."""
    run = fit(compose_job, fit_job, "variant=ppca", f"width={width}")
    train, test = rows(run.data.train), rows(run.data.test)
    pca = PCA(width, svd_solver="full").fit(train)
    found = scores(run)["linear_gaussian_log_likelihood"]
    assert found == pytest.approx(pca.score(test), abs=0.1)
    pca.explained_variance_ *= 1 - 1 / len(train)
    pca.noise_variance_ *= 1 - 1 / len(train)
    assert found == pytest.approx(pca.score(test), abs=1e-3)


def test_ppca_is_the_closed_form(compose_job, fit_job):
    """Tipping & Bishop 1999, eq. 4 to 8, from the eigenvalues alone: the likelihood of the training images."""
    run = fit(compose_job, fit_job, "variant=ppca")
    run = replace(run, data=ImageData(Source("train", run.data.source.train, run.data.train)))
    x = rows(run.data.test)
    d, q = x.shape[1], 8
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    noise = values[q:].mean()
    expected = -(d * math.log(2 * math.pi) + np.log(values[:q]).sum() + (d - q) * math.log(noise) + d) / 2
    assert scores(run)["linear_gaussian_log_likelihood"] == pytest.approx(expected, abs=1e-3)
    assert run.model.likelihood.std.unique().item() == pytest.approx(math.sqrt(noise), rel=1e-5)


def test_factor_analysis_likelihood_is_scikit_learns():
    data, std = factor_images()
    model = build(data.shape, linear, lambda: Diagonal(3), FittedGaussian(), Clean(), 0)
    LinearGaussian(isotropic=False)(model, data, Objective(), seed=0)
    reference = FactorAnalysis(3, tol=1e-5, max_iter=5000, svd_method="lapack").fit(rows(data.train))
    found = evaluate(model.eval(), data, ["likelihood"], {})["linear_gaussian_log_likelihood"]["value"]
    assert found == pytest.approx(reference.score(rows(data.test)), abs=1e-2)
    np.testing.assert_allclose(model.likelihood.std.flatten(), std, atol=0.02)
    isotropic = build(data.shape, linear, lambda: Diagonal(3), FittedGaussian(), Clean(), 0)
    LinearGaussian()(isotropic, data, Objective(), seed=0)
    ppca = evaluate(isotropic.eval(), data, ["likelihood"], {})["linear_gaussian_log_likelihood"]["value"]
    assert found > ppca + 0.5, "noise that differs from pixel to pixel is what factor analysis is for"


def test_factor_analysis_of_digits_is_scikit_learns_with_the_least_noise(compose_job, fit_job):
    run = fit(compose_job, fit_job, "variant=factor_analysis")
    reference = FactorAnalysis(8, max_iter=5000, svd_method="lapack").fit(rows(run.data.train))
    reference.noise_variance_ = np.maximum(reference.noise_variance_, 0.01**2)
    found = scores(run)["linear_gaussian_log_likelihood"]
    assert found == pytest.approx(reference.score(rows(run.data.test)), abs=1e-2)


@pytest.mark.parametrize("variant", ["ppca", "factor_analysis"])
def test_the_bound_is_tight(compose_job, fit_job, variant):
    """The encoder's distribution is the true posterior, so every sample's importance weight is p(x) itself."""
    run = fit(compose_job, fit_job, f"variant={variant}")
    found = scores(run)
    assert found["iwae_50"] == pytest.approx(found["linear_gaussian_log_likelihood"], abs=1e-3)
    assert found["elbo"] == pytest.approx(found["linear_gaussian_log_likelihood"], abs=1e-3)


@pytest.mark.parametrize("variant", ["ppca", "factor_analysis"])
def test_codes_of_training_images_are_standard_normal_with_the_posteriors(compose_job, fit_job, variant):
    """Means about zero; their spread and posterior together the identity, as at a maximum of the likelihood."""
    run = fit(compose_job, fit_job, f"variant={variant}")
    with torch.no_grad():
        q = run.model.bottleneck.posterior(run.model.encoder(run.data.train[:]))
    torch.testing.assert_close(q.mean.mean(0), torch.zeros(8), rtol=0, atol=1e-4)
    total = q.mean.T.cov(correction=0) + q.variance.mean(0).diag()
    torch.testing.assert_close(total, torch.eye(8), rtol=0, atol=0.02)


def test_a_model_of_another_kind_is_refused():
    data, _ = factor_images(100)
    for network, bottleneck, likelihood in [
        (mlp, Diagonal, FittedGaussian),
        (linear, Dense, FittedGaussian),
        (linear, Diagonal, Gaussian),
    ]:
        model = build(data.shape, network, lambda b=bottleneck: b(3), likelihood(), Clean(), 0)
        with pytest.raises(ZooError, match="likelihood=gaussian_fitted only; give another model fit=gradient"):
            LinearGaussian()(model, data, Objective(), seed=0)


def test_a_code_as_wide_as_the_image_leaves_the_least_noise():
    data, _ = factor_images(100)
    model = build(data.shape, linear, lambda: Diagonal(12), FittedGaussian(), Clean(), 0)
    LinearGaussian()(model, data, Objective(), seed=0)
    assert model.likelihood.std.unique().item() == pytest.approx(0.01)
