import pytest
import torch
from torch.distributions import Normal

from zoo.errors import ZooError
from zoo.likelihood import FittedGaussian, Gaussian


@pytest.fixture
def images():
    x, raw = torch.rand(2, 5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    return x, raw


@pytest.mark.parametrize("std", [0.05, 0.1, 1.0, 2.5])
def test_nll_is_the_normal_densitys(images, std):
    x, raw = images
    expected = -Normal(raw.double(), std).log_prob(x.double()).sum((1, 2, 3))
    nll = Gaussian(std).nll(raw, x)
    assert nll.shape == (5,)
    torch.testing.assert_close(nll.double(), expected, rtol=1e-5, atol=1e-4)


def test_weights_count_pixel_by_pixel(images):
    x, raw = images
    weight = torch.rand(5, 1, 4, 6, generator=torch.Generator().manual_seed(1))
    expected = -(weight * Normal(raw, 0.3).log_prob(x)).sum((1, 2, 3))
    torch.testing.assert_close(Gaussian(0.3).nll(raw, x, weight), expected)
    torch.testing.assert_close(Gaussian(0.3).nll(raw, x, torch.zeros(5, 1, 4, 6)), torch.zeros(5))


def test_nll_is_least_at_the_mean(images):
    x, _ = images
    raw = x.clone().requires_grad_()
    Gaussian(0.1).nll(raw, x).sum().backward()
    assert torch.equal(raw.grad, torch.zeros_like(x))
    assert torch.equal(Gaussian(0.1).mean(raw), x)


def test_half_precision_is_summed_in_float32(images):
    x, raw = images
    nll = Gaussian(0.1).nll(raw.bfloat16(), x)
    assert nll.dtype is torch.float32
    torch.testing.assert_close(nll, Gaussian(0.1).nll(raw.bfloat16().float(), x), rtol=0, atol=0)
    assert Gaussian().mean(raw.bfloat16()).dtype is torch.float32


def test_one_output_channel_per_image_channel():
    assert [Gaussian().channels(channels) for channels in (1, 3)] == [1, 3]


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan")])
def test_a_std_that_is_none(std):
    with pytest.raises(ZooError, match=rf"likelihood\.std={std}: .* greater than 0"):
        Gaussian(std)


@pytest.mark.parametrize("shape", [(), (3, 4, 6)], ids=str)
def test_a_fitted_std_counts_pixel_by_pixel_and_is_loaded_in_its_shape(images, shape):
    x, raw = images
    likelihood = FittedGaussian()
    torch.testing.assert_close(likelihood.nll(raw, x), Gaussian(0.2).nll(raw, x))
    likelihood.std = 0.1 + torch.rand(shape, generator=torch.Generator().manual_seed(2))
    log_p = Normal(raw, likelihood.std.expand(3, 4, 6)).log_prob(x)
    weight = torch.rand(5, 1, 4, 6, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(likelihood.nll(raw, x), -log_p.sum((1, 2, 3)))
    torch.testing.assert_close(likelihood.nll(raw, x, weight), -(weight * log_p).sum((1, 2, 3)))
    fresh = FittedGaussian()
    fresh.load_state_dict(likelihood.state_dict())
    assert torch.equal(fresh.std, likelihood.std)
