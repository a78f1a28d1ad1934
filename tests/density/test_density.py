import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.distributions import MultivariateNormal

from zoo.density import DENSITIES
from zoo.density.gaussian import Gaussian
from zoo.density.kernel import Kernel
from zoo.density.mixture import Mixture
from zoo.density.standard_normal import StandardNormal
from zoo.errors import ZooError


@pytest.fixture(scope="module")
def codes():
    g = torch.Generator().manual_seed(0)
    mix = torch.tensor([[2.0, 0.3, 0.0], [0.0, 0.5, 0.1], [0.0, 0.0, 1.0]])
    return torch.randn(4000, 3, generator=g) @ mix + torch.tensor([5.0, 0.0, -1.0])


@pytest.fixture(params=DENSITIES)
def fitted(request, codes):
    return DENSITIES[request.param]().fit(codes)


def test_samples(fitted):
    one, same, other = (fitted.sample(500, seed) for seed in (0, 0, 1))
    assert one.shape == (500, 3)
    assert one.dtype == torch.float32
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_densities_are_those_of_their_samples(fitted):
    """Importance sampling of the volume: the mean of q(z) / p(z) over z ~ p is 1 for any density q."""
    z = fitted.sample(20_000, 0)
    narrow = MultivariateNormal(z.mean(0).double(), 0.3 * z.double().T.cov())
    ratio = (narrow.log_prob(z.double()) - fitted.log_prob(z)).exp()
    assert ratio.mean().item() == pytest.approx(1, abs=0.08)


def test_standard_normal_equals_torch(codes):
    expected = MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double()).log_prob(codes.double())
    torch.testing.assert_close(StandardNormal().fit(codes).log_prob(codes), expected)


def test_gaussian_equals_torch(codes):
    z = codes.double()
    expected = MultivariateNormal(z.mean(0), z.T.cov(correction=0)).log_prob(z)
    density = Gaussian().fit(codes)
    torch.testing.assert_close(density.log_prob(codes), expected, rtol=1e-5, atol=1e-5)
    sample = density.sample(100_000, 0).double()
    torch.testing.assert_close(sample.mean(0), z.mean(0), rtol=0, atol=0.03)
    torch.testing.assert_close(sample.T.cov(), z.T.cov(), rtol=0, atol=0.06)


def test_mixture_of_one_is_the_gaussian(codes):
    mixture = Mixture(components=1).fit(codes)
    torch.testing.assert_close(mixture.log_prob(codes), Gaussian().fit(codes).log_prob(codes), rtol=0, atol=1e-2)


@pytest.mark.parametrize("density", [lambda: Mixture(components=2), Kernel])
def test_two_groups_are_two_groups(density):
    """A gap that one Gaussian fills is left open by a mixture and by kernels."""
    g = torch.Generator().manual_seed(0)
    side = 2.0 * torch.randint(2, (3000, 1), generator=g) - 1
    z = 10 * side + torch.randn(3000, 2, generator=g)
    inside = (density().fit(z).sample(2000, 0).mean(1).abs() < 5).float().mean()
    assert inside < 0.01
    assert (Gaussian().fit(z).sample(2000, 0).mean(1).abs() < 5).float().mean() > 0.2
    gap = torch.zeros(1, 2)
    assert density().fit(z).log_prob(gap) < Gaussian().fit(z).log_prob(gap) - 2


def test_components_are_groups():
    g = torch.Generator().manual_seed(0)
    group = torch.randint(3, (900,), generator=g)
    z = 20 * torch.eye(3)[group] + torch.randn(900, 3, generator=g)
    component = Mixture(components=3).fit(z).component(z)
    pairs = set(zip(group.tolist(), component.tolist(), strict=True))
    assert len(pairs) == 3


def test_leading_components_and_the_rest():
    """What lies beyond the leading components stays Gaussian, with its own variance."""
    g = torch.Generator().manual_seed(0)
    std = torch.cat([torch.full((4,), 3.0), torch.full((36,), 0.5)])
    z = std * torch.randn(5000, 40, generator=g)
    for density in (Mixture(components=2, leading=4), Kernel(leading=4)):
        sample = density.fit(z).sample(20_000, 0)
        torch.testing.assert_close(sample[:, 4:].std(0), z[:, 4:].std(0), rtol=0.05, atol=0)
        assert (sample[:, :4].std(0) > 2.8).all()


def test_units_that_never_vary(codes):
    dead = torch.cat([codes, torch.full((len(codes), 2), 7.0)], 1)
    for name, build in DENSITIES.items():
        density = build().fit(dead)
        sample = density.sample(300, 0)
        assert density.log_prob(sample).isfinite().all()
        if name != "standard_normal":
            torch.testing.assert_close(sample[:, 3:], torch.full((300, 2), 7.0), rtol=0, atol=1e-2)


def test_bandwidth_is_chosen_by_held_out_codes():
    """Few codes in many dimensions ask for wide kernels, many codes in one dimension for narrow ones."""
    g = torch.Generator().manual_seed(0)
    wide = Kernel().fit(torch.randn(300, 8, generator=g)).kernel.bandwidth
    narrow = Kernel().fit(torch.rand(10_000, 1, generator=g)).kernel.bandwidth
    assert narrow < 0.25 < wide


def test_mixture_suits_digits_better_than_one_gaussian():
    pixels = torch.from_numpy(load_digits().data).float()
    u = torch.linalg.svd(pixels - pixels.mean(0), full_matrices=False).U[:, :8]
    z = u[torch.randperm(len(u), generator=torch.Generator().manual_seed(0))] * math.sqrt(len(u))
    train, test = z[:1300], z[1300:]
    assert Mixture().fit(train).log_prob(test).mean() > Gaussian().fit(train).log_prob(test).mean() + 0.2


@pytest.mark.parametrize("bad", [torch.full((50, 2), torch.nan), torch.ones(50, 2), torch.zeros(1, 2)])
@pytest.mark.parametrize("name", ["gaussian", "mixture", "kernel"])
def test_codes_that_have_no_density(name, bad):
    with pytest.raises(ZooError, match=r"needs (at least|codes that vary)"):
        DENSITIES[name]().fit(bad)
