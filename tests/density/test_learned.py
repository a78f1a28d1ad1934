import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from zoo.density.gaussian import GaussianDensity
from zoo.density.standard_normal import StandardNormalDensity
from zoo.errors import ZooError
from zoo.options import build

LEARNED = ["flow", "flow_matching", "two_stage_vae"]


def density_of(name, **settings):
    return build("density", {"option": name, **settings})


@pytest.fixture(scope="module")
def truth():
    """Two tilted clusters."""
    means = torch.tensor([[3.0, 0.0], [-3.0, 2.0]])
    covariances = torch.tensor([[[1.0, 0.6], [0.6, 0.5]], [[0.3, 0.0], [0.0, 1.0]]])
    return MixtureSameFamily(Categorical(torch.tensor([0.7, 0.3])), MultivariateNormal(means, covariances))


def draws(truth, n, seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return truth.sample((n,))


@pytest.fixture(scope="module")
def codes(truth):
    return draws(truth, 4000, 0)


# Tolerances: nats of the log-likelihood, means of samples, nats of samples. A VAE's density is blurred by its noise.
EXACT = {"flow": (0.12, 0.2, 0.3), "flow_matching": (0.12, 0.2, 0.3), "two_stage_vae": (0.4, 0.35, 2.0)}


# Settings that are enough for these codes, in less time than the defaults
ENOUGH = {
    "flow": {"steps": 400},
    "flow_matching": {"hidden": 64, "steps": 1500},
    "two_stage_vae": {"hidden": 128, "rate": 0.02, "steps": 1000},
}


@pytest.fixture(scope="module", params=LEARNED)
def fitted(request, codes):
    return density_of(request.param, **ENOUGH[request.param]).fit(codes)


@pytest.fixture(scope="module")
def samples(fitted):
    return fitted.sample(20_000, 0)


@pytest.fixture
def tolerance(request):
    return EXACT[request.node.callspec.params["fitted"]]


def test_the_log_likelihood_comes_close_to_the_true_one(fitted, tolerance, truth, codes):
    test = draws(truth, 2000, 1)
    best = truth.log_prob(test).mean().item()
    found = fitted.log_prob(test)
    assert found.shape == (2000,)
    assert found.dtype == torch.float64
    assert best - tolerance[0] < found.mean().item() < best + 0.02
    assert GaussianDensity().fit(codes).log_prob(test).mean().item() < best - 0.4


def test_samples_have_the_moments_of_the_codes(samples, tolerance, truth, codes):
    z = samples
    torch.testing.assert_close(z.mean(0), truth.mean, rtol=0, atol=tolerance[1])
    torch.testing.assert_close(z.T.cov(), codes.T.cov(), rtol=0.15, atol=0.15)
    assert truth.log_prob(z).mean().item() == pytest.approx(truth.log_prob(codes).mean().item(), abs=tolerance[2])


def test_densities_are_those_of_their_samples(fitted, samples):
    """Importance sampling of the volume: the mean of q(z) / p(z) over z ~ p is 1 for any density q."""
    z = samples[:5_000]  # whose mean has a standard error of 0.025
    narrow = MultivariateNormal(torch.tensor([3.0, 0.0]).double(), torch.tensor([[0.3, 0.18], [0.18, 0.15]]).double())
    ratio = (narrow.log_prob(z.double()) - fitted.log_prob(z)).exp()
    assert ratio.mean().item() == pytest.approx(1, abs=0.1)


def test_a_seed_gives_the_same_fit_and_samples_and_nothing_else_is_touched(codes):
    for name in LEARNED:
        torch.manual_seed(3)
        state = torch.get_rng_state()
        with torch.no_grad():  # as the evaluator calls it
            one = density_of(name, steps=20).fit(codes)
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(4)
        same, other = density_of(name, steps=20).fit(codes), density_of(name, steps=20, seed=1).fit(codes)
        assert torch.equal(one.sample(100, 0), same.sample(100, 0))
        assert torch.equal(one.log_prob(codes[:100]), same.log_prob(codes[:100]))
        assert not torch.equal(one.sample(100, 0), one.sample(100, 1))
        assert not torch.equal(one.log_prob(codes[:100]), other.log_prob(codes[:100]))


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("width", [1, 2, 40])
def test_units_that_never_vary_and_more_units_than_are_learned(name, width):
    g = torch.Generator().manual_seed(0)
    std = torch.linspace(3, 0.5, width)
    z = torch.cat([std * torch.randn(400, width, generator=g), torch.full((400, 2), 7.0)], 1)
    density = density_of(name, steps=100).fit(z)
    assert density.lead == min(width, 32)
    sample = density.sample(2000, 0)
    torch.testing.assert_close(sample[:, width:], torch.full((2000, 2), 7.0), rtol=0, atol=1e-2)
    if width > 32:
        torch.testing.assert_close(sample[:, 32:width].std(0), z[:, 32:width].std(0), rtol=0.15, atol=0)
    assert density.log_prob(sample[:200]).isfinite().all()


def test_sparse_codes_have_a_density():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(600, 100, generator=g).relu() * (torch.rand(600, 100, generator=g) < 0.05)
    for name in LEARNED:
        sample = density_of(name, steps=50).fit(z).sample(100, 0)
        assert sample.shape == (100, 100)
        assert sample.isfinite().all()


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("bad", [torch.full((50, 2), torch.nan), torch.ones(50, 2), torch.zeros(5, 2)])
def test_codes_that_have_no_learned_density(name, bad):
    with pytest.raises(ZooError, match=r"needs (at least 10 codes, not 5|finite codes|codes that vary)"):
        density_of(name).fit(bad)


def test_a_diverged_fit_is_an_error(codes):
    with pytest.raises(ZooError, match="diverged"):
        density_of("two_stage_vae", steps=3, rate=1e18).fit(codes)


def test_few_codes_are_not_overfitted():
    """Without the held-out tenth, hundreds of passes over 100 codes end far worse than the one Gaussian they are of."""
    g = torch.Generator().manual_seed(0)
    train, test = torch.randn(100, 4, generator=g), torch.randn(2000, 4, generator=g)
    gaussian = GaussianDensity().fit(train).log_prob(test).mean()
    assert density_of("flow", steps=300, epochs=300).fit(train).log_prob(test).mean() > gaussian - 0.6


def test_a_second_stage_beats_the_standard_normal_on_two_clusters():
    """Dai and Wipf's point: a first VAE's codes need not be standard normal, but a second one's are nearly."""
    g = torch.Generator().manual_seed(0)
    side = 2.0 * torch.randint(2, (3000, 1), generator=g) - 1
    z = torch.cat([side, torch.zeros(3000, 1)], 1) + 0.2 * torch.randn(3000, 2, generator=g)
    density = density_of("two_stage_vae", steps=500, hidden=128, rate=0.02).fit(z[:2000])
    assert density.log_prob(z[2000:]).mean() > StandardNormalDensity().fit(z).log_prob(z[2000:]).mean() + 1
    in_the_gap = (density.sample(2000, 0)[:, 0].abs() < 0.4).float().mean()
    assert in_the_gap < 0.15
    assert (StandardNormalDensity().fit(z).sample(2000, 0)[:, 0].abs() < 0.4).float().mean() > 0.25
