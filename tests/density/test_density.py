import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.distributions import MultivariateNormal

from zoo.density.gaussian import GaussianDensity
from zoo.density.gaussian_mixture import MixtureDensity
from zoo.density.kernel import KernelEstimate
from zoo.density.standard_normal import StandardNormalDensity
from zoo.density.whitening import Whitening
from zoo.errors import ZooError
from zoo.options import build, names

FAST = [name for name in names("density") if not build("density", {"option": name}).learned]


def density_of(name, **settings):
    return build("density", {"option": name, **settings})


@pytest.fixture(scope="module")
def codes():
    g = torch.Generator().manual_seed(0)
    mix = torch.tensor([[2.0, 0.3, 0.0], [0.0, 0.5, 0.1], [0.0, 0.0, 1.0]])
    return torch.randn(4000, 3, generator=g) @ mix + torch.tensor([5.0, 0.0, -1.0])


@pytest.fixture(scope="module", params=FAST)
def fitted(request, codes):
    return density_of(request.param).fit(codes)


def test_samples(fitted):
    one, same, other = (fitted.sample(500, seed) for seed in (0, 0, 1))
    assert one.shape == (500, 3)
    assert one.dtype == torch.float32
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_densities_are_those_of_their_samples(fitted):
    """Importance sampling of the volume: the mean of q(z) / p(z) over z ~ p is 1 for any density q."""
    z = fitted.sample(5_000, 0)
    narrow = MultivariateNormal(z.mean(0).double(), 0.3 * z.double().T.cov())
    ratio = (narrow.log_prob(z.double()) - fitted.log_prob(z)).exp()
    assert ratio.mean().item() == pytest.approx(1, abs=0.08)


def test_standard_normal_equals_torch(codes):
    expected = MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double()).log_prob(codes.double())
    torch.testing.assert_close(StandardNormalDensity().fit(codes).log_prob(codes), expected)


def test_gaussian_equals_torch(codes):
    z = codes.double()
    expected = MultivariateNormal(z.mean(0), z.T.cov(correction=0)).log_prob(z)
    density = GaussianDensity().fit(codes)
    torch.testing.assert_close(density.log_prob(codes), expected, rtol=1e-5, atol=1e-5)
    sample = density.sample(100_000, 0).double()
    torch.testing.assert_close(sample.mean(0), z.mean(0), rtol=0, atol=0.03)
    torch.testing.assert_close(sample.T.cov(), z.T.cov(), rtol=0, atol=0.06)


def test_mixture_of_one_is_the_gaussian(codes):
    mixture = MixtureDensity(components=1).fit(codes)
    torch.testing.assert_close(mixture.log_prob(codes), GaussianDensity().fit(codes).log_prob(codes), rtol=0, atol=1e-2)


@pytest.mark.parametrize("density", [lambda: MixtureDensity(components=2), KernelEstimate])
def test_two_clusters_are_two_clusters(density):
    """A gap in which one Gaussian has its largest density has almost none under a mixture or kernels."""
    g = torch.Generator().manual_seed(0)
    side = 2.0 * torch.randint(2, (3000, 1), generator=g) - 1
    z = 10 * side + torch.randn(3000, 2, generator=g)
    inside = (density().fit(z).sample(2000, 0).mean(1).abs() < 5).float().mean()
    assert inside < 0.01
    assert (GaussianDensity().fit(z).sample(2000, 0).mean(1).abs() < 5).float().mean() > 0.2
    gap = torch.zeros(1, 2)
    assert density().fit(z).log_prob(gap) < GaussianDensity().fit(z).log_prob(gap) - 2


def test_components_are_clusters():
    g = torch.Generator().manual_seed(0)
    group = torch.randint(3, (900,), generator=g)
    z = 20 * torch.eye(3)[group] + torch.randn(900, 3, generator=g)
    component = MixtureDensity(components=3).fit(z).component(z)
    pairs = set(zip(group.tolist(), component.tolist(), strict=True))
    assert len(pairs) == 3


def test_leading_components_and_the_rest():
    """The components beyond the leading ones are Gaussian, with their own variances."""
    g = torch.Generator().manual_seed(0)
    std = torch.cat([torch.full((4,), 3.0), torch.full((36,), 0.5)])
    z = std * torch.randn(5000, 40, generator=g)
    for density in (MixtureDensity(components=2, leading=4), KernelEstimate(leading=4)):
        sample = density.fit(z).sample(20_000, 0)
        torch.testing.assert_close(sample[:, 4:].std(0), z[:, 4:].std(0), rtol=0.05, atol=0)
        assert (sample[:, :4].std(0) > 2.8).all()


def test_units_that_never_vary(codes):
    dead = torch.cat([codes, torch.full((len(codes), 2), 7.0)], 1)
    for name in FAST:
        density = density_of(name).fit(dead)
        sample = density.sample(300, 0)
        assert density.log_prob(sample).isfinite().all()
        if name != "standard_normal":
            torch.testing.assert_close(sample[:, 3:], torch.full((300, 2), 7.0), rtol=0, atol=1e-2)


def test_units_that_never_vary_take_no_memory_and_leading_axes_are_those_of_all():
    z = torch.zeros(50, 4000)
    z[:, ::1000] = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.arange(1.0, 5))
    z[:, 7] = 3.0
    whitening = Whitening.of(z)
    assert whitening.axes.shape == (4, 4)
    u = whitening.forward(z)
    torch.testing.assert_close(u[:, :4].T @ u[:, :4] / 50, torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close(whitening.inverse(u), z)
    for leading in (2, 6):
        torch.testing.assert_close(whitening.forward(z, leading), u[:, :leading])
    z[:, 7] = 3.5  # of new codes, a unit may vary
    torch.testing.assert_close(whitening.inverse(whitening.forward(z)), z)


def test_bandwidth_is_chosen_by_held_out_codes():
    """Few codes in many dimensions need wide kernels, many codes in one dimension narrow ones."""
    g = torch.Generator().manual_seed(0)
    wide = KernelEstimate().fit(torch.randn(300, 8, generator=g)).kernel.bandwidth
    narrow = KernelEstimate().fit(torch.rand(10_000, 1, generator=g)).kernel.bandwidth
    assert narrow < 0.25 < wide


def test_mixture_suits_digits_better_than_one_gaussian():
    pixels = torch.from_numpy(load_digits().data).float()
    u = torch.linalg.svd(pixels - pixels.mean(0), full_matrices=False).U[:, :8]
    z = u[torch.randperm(len(u), generator=torch.Generator().manual_seed(0))] * math.sqrt(len(u))
    train, test = z[:1300], z[1300:]
    assert MixtureDensity().fit(train).log_prob(test).mean() > GaussianDensity().fit(train).log_prob(test).mean() + 0.2


@pytest.mark.parametrize("bad", [torch.full((50, 2), torch.nan), torch.ones(50, 2), torch.zeros(1, 2)])
@pytest.mark.parametrize("name", ["gaussian", "mixture", "kernel"])
def test_codes_that_have_no_density(name, bad):
    with pytest.raises(
        ZooError, match=r"needs (at least two codes, not 1|at least 10 codes, not 1|finite codes|codes that vary)"
    ):
        density_of(name).fit(bad)


@pytest.mark.parametrize("name", ["gaussian", "mixture", "kernel"])
def test_codes_of_which_too_many_units_vary(name):
    z = torch.eye(40, 2050)
    with pytest.raises(ZooError, match="at most 2,048 units in use, not 2,050"):
        density_of(name).fit(torch.cat([z, 1 - z]))
    idle = torch.cat([torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.ones(40, 2048)], 1)
    assert density_of(name).fit(idle).log_prob(idle).isfinite().all()


def test_the_fast_densities():
    assert FAST == ["gaussian", "kernel", "mixture", "standard_normal"]


def test_a_mixture_needs_as_many_codes_as_components(codes):
    with pytest.raises(ZooError, match="a mixture of 10 components needs as many codes, not 9"):
        MixtureDensity().fit(codes[:9])
    with pytest.raises(ZooError, match="a mixture of 10 components needs as many codes, not 8"):
        MixtureDensity(codes=8).fit(codes)
