import math

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
from zoo.objective.objective import Objective
from zoo.objective.terms.total_correlation import total_correlation


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


def test_the_total_correlation_of_correlated_units_is_that_of_the_formula():
    """-1/2 log(1 - r^2) nats for two units with correlation r."""
    n, r = 2000, 0.8
    for correlation, expected in ((r, -0.5 * math.log(1 - r**2)), (0.0, 0.0)):
        covariance = torch.tensor([[1.0, correlation], [correlation, 1.0]])
        with torch.random.fork_rng():
            torch.manual_seed(0)
            means = MultivariateNormal(torch.zeros(2), covariance).sample((n,))
        x = torch.cat([means, torch.full((n, 2), -4.0)], 1).view(n, 1, 1, 4)
        found = split(x, seed=1)[2]["total_correlation"].mean().item()
        assert found == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("bottleneck", [Pointwise(6), DiagonalPosterior(3, samples=2)])
def test_no_posterior_and_several_samples_are_refused(bottleneck, x):
    model = model_of(bottleneck)
    with pytest.raises(ZooError, match="needs one sample per image"):
        total_correlation(model, x, model(x))
