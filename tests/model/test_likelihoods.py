import pytest
import torch
from torch.distributions import Bernoulli, Multinomial, Normal

from zoo.errors import ZooError
from zoo.model.likelihoods import (
    BernoulliLikelihood,
    FittedGaussianLikelihood,
    GaussianLikelihood,
    MultinomialLikelihood,
    OptimalGaussianLikelihood,
)


@pytest.fixture
def images():
    x, raw = torch.rand(2, 5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    return x, raw


@pytest.mark.parametrize("std", [0.05, 0.1, 1.0, 2.5])
def test_nll_is_the_normal_densitys(images, std):
    x, raw = images
    expected = -Normal(raw.double(), std).log_prob(x.double()).sum((1, 2, 3))
    nll = GaussianLikelihood(std).nll(raw, x)
    assert nll.shape == (5,)
    torch.testing.assert_close(nll.double(), expected, rtol=1e-5, atol=1e-4)


def test_weights_count_pixel_by_pixel(images):
    x, raw = images
    weight = torch.rand(5, 1, 4, 6, generator=torch.Generator().manual_seed(1))
    expected = -(weight * Normal(raw, 0.3).log_prob(x)).sum((1, 2, 3))
    torch.testing.assert_close(GaussianLikelihood(0.3).nll(raw, x, weight), expected)
    torch.testing.assert_close(GaussianLikelihood(0.3).nll(raw, x, torch.zeros(5, 1, 4, 6)), torch.zeros(5))


def test_nll_is_least_at_the_mean(images):
    x, _ = images
    raw = x.clone().requires_grad_()
    GaussianLikelihood(0.1).nll(raw, x).sum().backward()
    assert torch.equal(raw.grad, torch.zeros_like(x))
    assert torch.equal(GaussianLikelihood(0.1).mean(raw), x)


def test_half_precision_is_summed_in_float32(images):
    x, raw = images
    nll = GaussianLikelihood(0.1).nll(raw.bfloat16(), x)
    assert nll.dtype is torch.float32
    torch.testing.assert_close(nll, GaussianLikelihood(0.1).nll(raw.bfloat16().float(), x), rtol=0, atol=0)
    assert GaussianLikelihood().mean(raw.bfloat16()).dtype is torch.float32


def test_one_output_channel_per_image_channel():
    assert [GaussianLikelihood().channels(channels) for channels in (1, 3)] == [1, 3]


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan")])
def test_an_invalid_std_is_refused(std):
    with pytest.raises(ZooError, match=rf"likelihood\.std={std}: must be greater than 0"):
        GaussianLikelihood(std)


@pytest.mark.parametrize("shape", [(), (3, 4, 6)], ids=str)
def test_a_fitted_std_applies_pixel_by_pixel_and_is_loaded_in_its_shape(images, shape):
    x, raw = images
    likelihood = FittedGaussianLikelihood()
    torch.testing.assert_close(likelihood.nll(raw, x), GaussianLikelihood(0.2).nll(raw, x))
    likelihood.std = 0.1 + torch.rand(shape, generator=torch.Generator().manual_seed(2))
    log_p = Normal(raw, likelihood.std.expand(3, 4, 6)).log_prob(x)
    weight = torch.rand(5, 1, 4, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(likelihood.nll(raw, x), -log_p.sum((1, 2, 3)))
    torch.testing.assert_close(likelihood.nll(raw, x, weight), -(weight * log_p).sum((1, 2, 3)))
    fresh = FittedGaussianLikelihood()
    fresh.load_state_dict(likelihood.state_dict())
    assert torch.equal(fresh.std, likelihood.std)


def test_bernoulli_is_the_probability_of_the_binary_image(images):
    x, raw = images
    expected = -Bernoulli(logits=4 * raw - 2).log_prob((x > 0.5).float()).sum((1, 2, 3))
    likelihood = BernoulliLikelihood()
    torch.testing.assert_close(likelihood.nll(4 * raw - 2, x), expected)
    torch.testing.assert_close(likelihood.mean(raw), raw.sigmoid())
    weight = torch.zeros(5, 1, 4, 6)
    assert torch.equal(likelihood.nll(raw, x, weight), torch.zeros(5))


def test_multinomial_is_the_probability_of_the_counts():
    raw = torch.randn(5, 1, 1, 7, generator=torch.Generator().manual_seed(0))
    x = torch.randint(0, 6, (5, 1, 1, 7), generator=torch.Generator().manual_seed(1)).float()
    rows = zip(raw.flatten(1), x.flatten(1), strict=True)
    expected = [-Multinomial(int(counts.sum()), logits=logits).log_prob(counts) for logits, counts in rows]
    torch.testing.assert_close(MultinomialLikelihood().nll(raw, x), torch.stack(expected))


def test_no_std_gives_a_batch_a_higher_likelihood_than_the_optimal_one(images):
    x, raw = images
    likelihood = OptimalGaussianLikelihood(momentum=1.0)
    best = likelihood.nll(raw, x).mean()
    stds = torch.logspace(-2, 0.5, 2001).tolist()
    grid = torch.stack([GaussianLikelihood(std).nll(raw, x).mean() for std in stds])
    assert best <= grid.min() + 1e-4
    assert best.item() == pytest.approx(grid.min().item(), abs=1e-2)
    likelihood.observe(raw, x)
    assert likelihood.variance.sqrt().item() == pytest.approx(stds[grid.argmin()], rel=2e-3)


def test_the_optimal_std_uses_the_weights(images):
    x, raw = images
    weight = (torch.rand(5, 1, 4, 6, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    likelihood = OptimalGaussianLikelihood(momentum=1.0)
    likelihood.observe(raw, x, weight)
    assert likelihood.variance.item() == pytest.approx((x - raw)[weight.expand_as(x) == 1].square().mean().item())


def test_evaluation_uses_the_running_mean_and_does_not_change_it(images):
    x, raw = images
    likelihood = OptimalGaussianLikelihood(momentum=0.5)
    likelihood.observe(raw, x)
    variance = likelihood.variance.clone()
    assert variance.item() == pytest.approx((0.2**2 + (x - raw).square().mean().item()) / 2)
    likelihood.eval()
    torch.testing.assert_close(likelihood.nll(2 * raw, x), GaussianLikelihood(variance.sqrt().item()).nll(2 * raw, x))
    assert torch.equal(likelihood.variance, variance)


@pytest.mark.parametrize("momentum", [0.0, 1.5])
def test_an_invalid_momentum_is_refused(momentum):
    with pytest.raises(ZooError, match=rf"likelihood\.momentum={momentum}"):
        OptimalGaussianLikelihood(momentum)


LIKELIHOODS = [
    BernoulliLikelihood(),
    GaussianLikelihood(),
    FittedGaussianLikelihood(),
    OptimalGaussianLikelihood(),
    MultinomialLikelihood(),
]
each_likelihood = pytest.mark.parametrize("likelihood", LIKELIHOODS, ids=str)


@each_likelihood
def test_an_nll_changes_nothing(images, likelihood):
    """A term of an objective may evaluate it on anything, as `revive` does on residuals."""
    x, raw = images
    before = {name: tensor.clone() for name, tensor in likelihood.state_dict().items()}
    for training in (True, False):
        likelihood.train(training).nll(raw, x)
    assert all(torch.equal(tensor, before[name]) for name, tensor in likelihood.state_dict().items())


@each_likelihood
def test_the_raw_output_of_a_mean_is_decoded_to_it(likelihood):
    mean = torch.tensor([0.05, 0.2, 0.7, 0.95]).view(1, 2, 2)
    decoded = likelihood.mean(likelihood.raw_of_mean(mean)[None])[0]
    share = mean.sum() / decoded.sum() if isinstance(likelihood, MultinomialLikelihood) else 1
    torch.testing.assert_close(share * decoded, mean)
    assert likelihood.raw_of_mean(torch.tensor([0.0, 1.0]).view(1, 1, 2)).isfinite().all()


@each_likelihood
@pytest.mark.parametrize("weighted", [True, False])
def test_samples_are_evaluated_one_after_another(images, likelihood, weighted):
    x, raw = images
    likelihood.eval()
    weight = torch.rand(5, 1, 4, 6, generator=torch.Generator().manual_seed(1)) if weighted else None
    both = likelihood.nll(torch.cat([raw, 2 * raw]), x, weight)
    apart = [likelihood.nll(each, x, weight) for each in (raw, 2 * raw)]
    assert torch.equal(both, torch.cat(apart))
