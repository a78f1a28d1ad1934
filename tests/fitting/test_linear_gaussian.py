"""Streaming PCA, probabilistic PCA and factor analysis against scikit-learn and the textbook's formulae."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA, FactorAnalysis

from zoo.data.images import Images, Source
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.evaluation.evaluator import evaluate
from zoo.fitting.linear_gaussian import LinearGaussian
from zoo.fitting.principal_axes import moments
from zoo.fitting.streaming_pca import StreamingPca
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import FittedGaussianLikelihood, GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.model.networks.mlp import mlp
from zoo.model.priors.mixture import MixturePrior
from zoo.objective.objective import Objective


def rows(images):
    return images[:].flatten(1).double().numpy()


def fit(compose_job, fit_job, *overrides):
    return fit_job(compose_job(*overrides))


def scores(model, data, *names):
    """Metrics of log-likelihood: one value per name."""
    found = evaluate(model, real(data), names, {})
    return [found[name]["value"] for name in names]


def real(data):
    """The same images stored as real numbers, to which the evaluator adds no noise within a grey level."""
    parts = (Images(part[:], part.labels, scale=1.0) for part in (data.source.train, data.source.test))
    return Splits(replace(data.source, **dict(zip(("train", "test"), parts, strict=True))), 0.1, data.split_seed)


def log_likelihood(run):
    """The exact log-likelihood of the test images, in nats per image."""
    return scores(run.model, run.data, "linear_gaussian_log_likelihood")[0]


def factor_images(n=3000, width=3, seed=0):
    """Images of 3x4 pixels from a factor model with a different noise std in each pixel."""
    rng = np.random.default_rng(seed)
    loadings, std = 0.1 * rng.normal(size=(width, 12)), rng.uniform(0.03, 0.15, size=12)
    x = 0.5 + rng.normal(size=(n, width)) @ loadings + std * rng.normal(size=(n, 12))
    images = Images(torch.from_numpy(x).float().view(-1, 1, 3, 4), torch.zeros(n, dtype=torch.int64), scale=1.0)
    parts = images.subset(torch.arange(0, n, 2)), images.subset(torch.arange(1, n, 2))
    return Splits(Source("factors", *parts)), std


# Streaming


@pytest.mark.parametrize("width", [1, 8, 64])
def test_streaming_pca_is_pca(compose_job, fit_job, width):
    streamed, whole = (fit(compose_job, fit_job, f"variant={v}", f"width={width}") for v in ("streaming_pca", "pca"))
    x = whole.data.test[:]
    axes = [run.model.decoder[0].weight.detach().double().numpy() for run in (streamed, whole)]
    assert subspace_angles(*axes).max() < 1e-5
    with torch.no_grad():
        torch.testing.assert_close(streamed.model.reconstruct(x), whole.model.reconstruct(x), rtol=0, atol=1e-5)
        if width < 64:  # the last axes are those of constant pixels, and not unique
            torch.testing.assert_close(streamed.model.encode(x), whole.model.encode(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 100, 5000])
def test_moments_do_not_depend_on_the_batch(batch_size):
    """Also far from zero, where sums of squares about zero lose all digits."""
    pixels = 1e4 + torch.rand(100, 2, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    images = Images(pixels, torch.zeros(100, dtype=torch.int64), 1.0)
    mean, covariance = moments(images, batch_size)
    x = images[:].flatten(1).double().numpy()
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(covariance, np.cov(x.T, bias=True), rtol=0, atol=1e-11)


def test_streaming_pca_refuses_the_models_that_pca_refuses():
    data, _ = factor_images(60)
    wide = build(data.shape, linear, lambda: Pointwise(13), GaussianLikelihood(), NoCorruption(), 0)
    with pytest.raises(ZooError, match=r"width=13: 27 training samples of 12 numbers have at most 12"):
        StreamingPca()(wide, data, Objective(), 0)
    deep = build(data.shape, mlp, lambda: Pointwise(3), GaussianLikelihood(), NoCorruption(), 0)
    with pytest.raises(ZooError, match="need network=linear, bottleneck=identity"):
        StreamingPca()(deep, data, Objective(), 0)


# Densities


@pytest.mark.parametrize("width", [1, 8, 30])
def test_ppcas_likelihood_is_scikit_learns(compose_job, fit_job, width):
    """scikit-learn's PCA divides by N - 1, where the maximum of the likelihood has N; with N the scores are equal."""
    run = fit(compose_job, fit_job, "variant=ppca", f"width={width}")
    train, test = rows(run.data.train), rows(run.data.test)
    pca = PCA(width, svd_solver="full").fit(train)
    found = log_likelihood(run)
    assert found == pytest.approx(pca.score(test), abs=0.1)
    pca.explained_variance_ *= 1 - 1 / len(train)
    pca.noise_variance_ *= 1 - 1 / len(train)
    assert found == pytest.approx(pca.score(test), abs=1e-3)


def test_ppca_is_the_closed_form(compose_job, fit_job):
    """Tipping & Bishop 1999, eq. 4 to 8, from the eigenvalues alone: the likelihood of the training images."""
    run = fit(compose_job, fit_job, "variant=ppca")
    run = replace(run, data=Splits(Source("train", run.data.source.train, run.data.train)))
    x = rows(run.data.test)
    d, q = x.shape[1], 8
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    noise = values[q:].mean()
    expected = -(d * math.log(2 * math.pi) + np.log(values[:q]).sum() + (d - q) * math.log(noise) + d) / 2
    assert log_likelihood(run) == pytest.approx(expected, abs=1e-3)
    assert run.model.likelihood.std.unique().item() == pytest.approx(math.sqrt(noise), rel=1e-5)


def test_factor_analysis_likelihood_is_scikit_learns():
    data, std = factor_images()
    model = build(data.shape, linear, lambda: DiagonalPosterior(3), FittedGaussianLikelihood(), NoCorruption(), 0)
    LinearGaussian(isotropic=False)(model, data, Objective(), seed=0)
    reference = FactorAnalysis(3, tol=1e-5, max_iter=5000, svd_method="lapack").fit(rows(data.train))
    (found,) = scores(model.eval(), data, "linear_gaussian_log_likelihood")
    assert found == pytest.approx(reference.score(rows(data.test)), abs=1e-2)
    np.testing.assert_allclose(model.likelihood.std.flatten(), std, atol=0.02)
    isotropic = build(data.shape, linear, lambda: DiagonalPosterior(3), FittedGaussianLikelihood(), NoCorruption(), 0)
    LinearGaussian()(isotropic, data, Objective(), seed=0)
    (ppca,) = scores(isotropic.eval(), data, "linear_gaussian_log_likelihood")
    assert found > ppca + 0.5, "factor analysis models a different noise in each pixel"


def test_factor_analysis_of_digits_is_scikit_learns_with_a_lower_limit_of_noise(compose_job, fit_job):
    run = fit(compose_job, fit_job, "variant=factor_analysis")
    reference = FactorAnalysis(8, max_iter=5000, svd_method="lapack").fit(rows(run.data.train))
    reference.noise_variance_ = np.maximum(reference.noise_variance_, 0.01**2)
    found = log_likelihood(run)
    assert found == pytest.approx(reference.score(rows(run.data.test)), abs=1e-2)


@pytest.mark.parametrize("variant", ["ppca", "factor_analysis"])
def test_the_bound_is_tight(compose_job, fit_job, variant):
    """The encoder returns the true posterior, so that every importance weight equals p(x)."""
    run = fit(compose_job, fit_job, f"variant={variant}")
    exact, elbo, iwae = scores(run.model, run.data, "linear_gaussian_log_likelihood", "density_elbo", "density_iwae_50")
    assert iwae == pytest.approx(exact, abs=1e-3)
    assert elbo == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("variant", ["ppca", "factor_analysis"])
def test_the_aggregate_posterior_of_training_images_is_standard_normal(compose_job, fit_job, variant):
    """Zero mean; the covariance of means plus the mean variance is the identity, as at a maximum of the likelihood."""
    run = fit(compose_job, fit_job, f"variant={variant}")
    with torch.no_grad():
        q = run.model.bottleneck.posterior(run.model.encoder(run.data.train[:]))
    torch.testing.assert_close(q.mean.mean(0), torch.zeros(8), rtol=0, atol=1e-4)
    total = q.mean.T.cov(correction=0) + q.variance.mean(0).diag()
    torch.testing.assert_close(total, torch.eye(8), rtol=0, atol=0.02)


def test_a_model_of_another_kind_is_refused():
    data, _ = factor_images(100)
    for network, bottleneck, likelihood in [
        (mlp, DiagonalPosterior, FittedGaussianLikelihood),
        (linear, Pointwise, FittedGaussianLikelihood),
        (linear, DiagonalPosterior, GaussianLikelihood),
        (linear, partial(DiagonalPosterior, prior=MixturePrior), FittedGaussianLikelihood),
        (linear, partial(DiagonalPosterior, family="laplace"), FittedGaussianLikelihood),
    ]:
        model = build(data.shape, network, lambda b=bottleneck: b(3), likelihood(), NoCorruption(), 0)
        with pytest.raises(ZooError, match="likelihood=gaussian_fitted; give another model fit=gradient"):
            LinearGaussian()(model, data, Objective(), seed=0)


def test_a_code_as_wide_as_the_image_has_the_lowest_noise():
    data, _ = factor_images(100)
    model = build(data.shape, linear, lambda: DiagonalPosterior(12), FittedGaussianLikelihood(), NoCorruption(), 0)
    LinearGaussian()(model, data, Objective(), seed=0)
    assert model.likelihood.std.unique().item() == pytest.approx(0.01)
