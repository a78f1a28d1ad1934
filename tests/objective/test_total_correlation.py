import math
from itertools import combinations

import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.objective.objective import Objective, step_on
from zoo.objective.terms.total_correlation import log_weights, total_correlation


def model_of(bottleneck):
    """A model whose encoder returns the pixels as the posterior's mean and log variance."""
    decoder = nn.Sequential(nn.LazyLinear(bottleneck.in_features), nn.Unflatten(1, (1, 1, bottleneck.in_features)))
    return Autoencoder(nn.Flatten(), bottleneck, decoder, GaussianLikelihood(), NoCorruption())


def split(x, seed=0):
    model = model_of(DiagonalPosterior(x.shape[3] // 2))
    step = model(x, torch.Generator().manual_seed(seed))
    return model, step, total_correlation(model, x, step)


@pytest.fixture
def x():
    return torch.randn(8, 1, 1, 6, generator=torch.Generator().manual_seed(0))


def test_parts_are_those_of_the_mixture_of_posteriors(x):
    _, step, parts = split(x)
    q, z = step.code.posterior, step.code.z
    uniform = Categorical(torch.ones(8))
    log_q = MixtureSameFamily(uniform, Independent(q, 1)).log_prob(z)
    units = [MixtureSameFamily(uniform, Normal(q.mean[:, i], q.stddev[:, i])).log_prob(z[:, i]) for i in range(3)]
    torch.testing.assert_close(parts["mutual_information"], q.log_prob(z).sum(1) - log_q)
    torch.testing.assert_close(parts["total_correlation"], log_q - sum(units))
    torch.testing.assert_close(parts["dimension_wise_kl"], sum(units) - Normal(0.0, 1.0).log_prob(z).sum(1))


def test_parts_add_up_to_the_kl_at_each_sample(x):
    _, step, parts = split(x)
    z = step.code.z
    expected = step.code.posterior.log_prob(z).sum(1) - Normal(0.0, 1.0).log_prob(z).sum(1)
    torch.testing.assert_close(sum(parts.values()), expected)


def test_with_all_weights_one_the_objective_is_the_elbo_with_the_kl_at_the_samples(x):
    model = model_of(DiagonalPosterior(3, closed_form=False))
    step = model(x, torch.Generator().manual_seed(0))
    parts = Objective({"kl": 0.0}, terms=[total_correlation])(model, x, step)
    torch.testing.assert_close(parts["total"], Objective()(model, x, step)["total"])


def gaussian_images(n, correlation, log_variance=-4.0):
    """Images that a model encodes to posteriors of a small variance, whose means have correlated units."""
    covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        means = MultivariateNormal(torch.zeros(2), covariance).sample((n,))
    return torch.cat([means, torch.full((n, 2), log_variance)], 1).view(n, 1, 1, 4)


@pytest.mark.parametrize("r", [0.0, 0.8])
def test_the_total_correlation_of_correlated_units_is_that_of_the_formula(r):
    """-1/2 log(1 - r^2) nats for two units with correlation r."""
    found = split(gaussian_images(2000, r), seed=1)[2]["total_correlation"].mean().item()
    assert found == pytest.approx(-0.5 * math.log(1 - r**2), abs=0.06)


@pytest.mark.parametrize("r", [0.0, 0.8])
def test_small_batches_estimate_the_same(r):
    """The correlation of samples is r / (1 + s^2), with the variance s^2 of the posteriors."""
    x = gaussian_images(6400, r, log_variance=-2.0)
    model = model_of(DiagonalPosterior(2))
    g, found = torch.Generator().manual_seed(1), []
    for batch in x.split(64):
        step = step_on(model, batch, g, len(x))
        found.append(total_correlation(model, batch, step)["total_correlation"])
    expected = -0.5 * math.log(1 - (r / (1 + math.exp(-2.0))) ** 2)
    assert torch.cat(found).mean().item() == pytest.approx(expected, abs=0.1)


def test_the_size_of_the_batch_does_not_limit_the_mutual_information():
    """Images that a code identifies have log N nats of it, in a batch of two as well."""
    x = torch.tensor([[-10.0, -4.0], [10.0, -4.0]]).view(2, 1, 1, 2)
    model = model_of(DiagonalPosterior(1))
    step = step_on(model, x, torch.Generator().manual_seed(0), 1000)
    information = total_correlation(model, x, step)["mutual_information"]
    torch.testing.assert_close(information, torch.full((2,), math.log(1000)))


def test_the_estimate_of_the_density_is_unbiased():
    """The mean over all batches that hold an image is 1/N sum_n q(z | x_n) at its sample."""
    x, size = torch.randn(6, 1, 1, 2, generator=torch.Generator().manual_seed(0)), 3
    q = Normal(x[:, 0, 0, :1], (x[:, 0, 0, 1:] / 2).exp())
    z = torch.tensor([0.3])
    density = q.log_prob(z).exp().squeeze(1)
    weights = log_weights(size, 6, z).exp()[0]
    found = [(weights * density[[0, *others]]).sum() for others in combinations(range(1, 6), size - 1)]
    torch.testing.assert_close(torch.stack(found).mean(), density.mean())


def test_a_batch_of_one_is_its_own_density(x):
    model = model_of(DiagonalPosterior(3))
    parts = total_correlation(model, x[:1], step_on(model, x[:1], torch.Generator().manual_seed(0), 100))
    assert (parts["mutual_information"].item(), parts["total_correlation"].item()) == (0, 0)


@pytest.mark.parametrize("bottleneck", [Pointwise(6), DiagonalPosterior(3, samples=2)])
def test_no_posterior_and_several_samples_are_refused(bottleneck, x):
    model = model_of(bottleneck)
    with pytest.raises(ZooError, match="needs one sample per image"):
        total_correlation(model, x, model(x))
