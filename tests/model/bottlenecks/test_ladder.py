import math

import pytest
import torch
from torch.distributions import Normal

from zoo.errors import ZooError
from zoo.model.bottlenecks.ladder import Ladder


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def bottleneck():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Ladder(4, top=2, hidden=16)


@pytest.fixture
def h():
    return torch.randn(6, 8, generator=seeded())


@torch.no_grad()
def test_posterior_is_the_product_of_encoder_and_prior(bottleneck, h):
    """Its log density is the sum of theirs up to a constant."""
    t = torch.randn(6, 2, generator=seeded(1))
    q, p = bottleneck.given(t, h)
    mean, log_variance = h.chunk(2, dim=1)
    encoder = Normal(mean, (0.5 * log_variance).exp())
    a, b = torch.randn(2, 6, 4, generator=seeded(2))
    both = [encoder.log_prob(z) + p.log_prob(z) for z in (a, b)]
    torch.testing.assert_close(q.log_prob(a) - q.log_prob(b), both[0] - both[1], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_kl_is_the_mean_of_the_log_ratio(bottleneck, h):
    k = 20_000
    z, ratio = bottleneck.draw(h[:2], k, seeded(3))
    assert z.shape == (2 * k, 4)
    ratio = ratio.view(k, 2)
    kl = bottleneck(h[:2].repeat(k, 1), seeded(4)).penalties["kl"].view(k, 2)
    error = (ratio.var(0) + kl.var(0)).sqrt() / math.sqrt(k)
    assert ((ratio - kl).mean(0).abs() < 4 * error).all()
    assert (kl.std(0) < ratio.std(0)).all()


@torch.no_grad()
def test_importance_weights_have_mean_one(bottleneck, h):
    """E_q[p(t, z) / q(t, z | x)] = 1 for every image."""
    weight = (-bottleneck.draw(0.5 * h[:2], 50_000, seeded(5))[1]).exp().view(-1, 2)
    assert ((weight.mean(0) - 1).abs() < 5 * weight.std(0) / math.sqrt(50_000)).all()
    assert weight.std() < 20


def test_the_deterministic_code_has_no_noise(bottleneck, h):
    one, other = (bottleneck(h, seeded(seed)) for seed in (6, 7))
    assert torch.equal(one.point, other.point)
    assert torch.equal(one.point, bottleneck.point(h))
    assert not torch.equal(one.z, other.z)


def test_draws_from_the_prior_are_seeded(bottleneck):
    z = bottleneck.sample(5, seeded())
    assert z.shape == (5, 4)
    assert torch.equal(z, bottleneck.sample(5, seeded()))


def test_an_empty_upper_layer_is_refused():
    with pytest.raises(ZooError, match=r"bottleneck\.top=0"):
        Ladder(4, top=0)
