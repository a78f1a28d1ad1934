import pytest
import torch
from torch.distributions import Laplace, Normal, kl_divergence

from zoo.errors import ZooError
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.priors.standard import LaplacePrior, NormalPrior


@pytest.fixture
def h():
    return 2 * torch.randn(6, 10, generator=torch.Generator().manual_seed(0))


def posterior(h):
    mean, log_variance = h.double().split(5, dim=1)
    return Normal(mean, log_variance.exp().sqrt())


def test_kl_is_that_of_torch_distributions(h):
    kl = DiagonalPosterior(5)(h).penalties["kl"]
    assert kl.shape == (6,)
    expected = kl_divergence(posterior(h), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl.double(), expected, rtol=1e-5, atol=1e-5)


def test_kl_is_zero_at_the_prior_only():
    assert torch.equal(DiagonalPosterior(5)(torch.zeros(3, 10)).penalties["kl"], torch.zeros(3))
    assert (DiagonalPosterior(5)(torch.eye(10) * 0.1).penalties["kl"] > 0).all()


def test_samples_have_the_stated_mean_and_std(h):
    n = 20_000
    z = DiagonalPosterior(5)(h[:1].expand(n, -1), torch.Generator().manual_seed(1)).z.double()
    q = posterior(h[:1])
    error = (z.mean(0) - q.mean[0]) / (q.stddev[0] / n**0.5)
    assert error.abs().max() < 4
    assert (z.std(0) / q.stddev[0] - 1).abs().max() < 4 / (2 * n) ** 0.5
    correlation = torch.corrcoef(z.T) - torch.eye(5, dtype=torch.float64)
    assert correlation.abs().max() < 4 / n**0.5


def test_samples_have_the_gradient_of_mean_and_std(h):
    noise = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    leaf = h.clone().requires_grad_()
    DiagonalPosterior(5)(leaf, torch.Generator().manual_seed(2)).z.sum().backward()
    mean, log_variance = leaf.grad.split(5, dim=1)
    torch.testing.assert_close(mean, torch.ones(6, 5))
    torch.testing.assert_close(log_variance, 0.5 * noise * (0.5 * h[:, 5:]).exp())


def test_the_deterministic_code_is_the_mean(h):
    one, other = (DiagonalPosterior(5)(h, torch.Generator().manual_seed(seed)) for seed in (3, 4))
    assert torch.equal(one.point, h[:, :5])
    assert torch.equal(other.point, h[:, :5])
    assert not torch.equal(one.z, other.z)


def test_draws_from_the_prior_are_standard_normal_and_seeded():
    bottleneck, n = DiagonalPosterior(3), 20_000
    z = bottleneck.sample(n, torch.Generator().manual_seed(5))
    assert z.shape == (n, 3)
    assert torch.equal(z, bottleneck.sample(n, torch.Generator().manual_seed(5)))
    assert z.mean(0).abs().max() < 4 / n**0.5
    assert (z.std(0) - 1).abs().max() < 4 / (2 * n) ** 0.5


def test_half_precision_is_converted_to_float32():
    code = DiagonalPosterior(5)(torch.randn(3, 10, generator=torch.Generator().manual_seed(0)).bfloat16())
    assert {code.z.dtype, code.point.dtype, code.penalties["kl"].dtype} == {torch.float32}


def test_the_encoder_gives_a_mean_and_a_variance_per_dimension():
    assert (DiagonalPosterior(7).in_features, DiagonalPosterior(7).out_features) == (14, 7)
    with pytest.raises(ZooError, match="width=0"):
        DiagonalPosterior(0)


def test_posterior_and_prior_are_those_of_the_kl(h):
    bottleneck = DiagonalPosterior(5)
    q = bottleneck.posterior(h)
    assert torch.equal(q.mean, bottleneck(h).point)
    torch.testing.assert_close(kl_divergence(q, Normal(0.0, 1.0)).sum(1), bottleneck(h).penalties["kl"])
    z = q.sample()
    torch.testing.assert_close(bottleneck.log_prior(z), Normal(0.0, 1.0).log_prob(z).sum(1))


def test_samples_of_one_image_differ_and_share_point_and_kl(h):
    one = DiagonalPosterior(5)(h, torch.Generator().manual_seed(1))
    three = DiagonalPosterior(5, samples=3)(h, torch.Generator().manual_seed(1))
    assert three.z.shape == (18, 5)
    assert torch.equal(three.point, one.point)
    assert not torch.equal(three.z[:6], three.z[6:12])
    assert torch.equal(three.penalties["kl"], one.penalties["kl"])


def test_the_kl_at_samples_is_the_log_ratio_there(h):
    bottleneck = DiagonalPosterior(5, samples=3, closed_form=False)
    code = bottleneck(h, torch.Generator().manual_seed(1))
    expected = posterior(h).log_prob(code.z.view(3, 6, 5).double()) - Normal(0.0, 1.0).log_prob(code.z.view(3, 6, 5))
    torch.testing.assert_close(code.penalties["kl"].double(), expected.sum(2).flatten(), rtol=1e-4, atol=1e-4)
    z, ratio = bottleneck.draw(h, 3, torch.Generator().manual_seed(1))
    assert torch.equal(z, code.z)
    assert torch.equal(ratio, code.penalties["kl"])


def test_laplace_kl_is_the_mean_of_the_log_ratio(h):
    bottleneck, k = DiagonalPosterior(5, LaplacePrior, family="laplace"), 20_000
    q = bottleneck.posterior(h)
    assert type(q) is Laplace
    exact = bottleneck(h).penalties["kl"]
    torch.testing.assert_close(exact, kl_divergence(q, Laplace(0.0, 1.0)).sum(1))
    z, ratio = bottleneck.draw(h, k, torch.Generator().manual_seed(1))
    ratio = ratio.view(k, 6)
    assert ((ratio.mean(0) - exact).abs() < 4 * ratio.std(0) / k**0.5).all()
    torch.testing.assert_close(bottleneck.log_prior(z), Laplace(0.0, 1.0).log_prob(z).sum(1))
    scaled = (z.view(k, 6, 5) - q.loc) / q.scale
    assert (scaled.abs().mean(0) - 1).abs().max() < 5 / k**0.5
    prior = bottleneck.sample(k, torch.Generator().manual_seed(2))
    assert (prior.abs().mean(0) - 1).abs().max() < 5 / k**0.5


@pytest.mark.parametrize(("prior", "family"), [(NormalPrior, "laplace"), (LaplacePrior, "normal")])
def test_the_kl_of_a_prior_of_another_family_is_estimated_at_the_sample(h, prior, family):
    bottleneck = DiagonalPosterior(5, prior, family=family)
    code = bottleneck(h, torch.Generator().manual_seed(1))
    expected = bottleneck.posterior(h).log_prob(code.z).sum(1) - bottleneck.log_prior(code.z)
    torch.testing.assert_close(code.penalties["kl"], expected)


@pytest.mark.parametrize("wrong", [{"family": "cauchy"}, {"samples": 0}])
def test_an_unknown_family_or_number_of_samples_is_refused(wrong):
    (name, value), *_ = wrong.items()
    with pytest.raises(ZooError, match=rf"bottleneck\.{name}={value}"):
        DiagonalPosterior(5, **wrong)
