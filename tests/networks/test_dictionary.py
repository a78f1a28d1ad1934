import pytest
import torch
from torch import nn

from zoo.errors import ZooError
from zoo.networks.dictionary import Analysis, dictionary


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return dictionary((1, 4, 5), 50, 50, 1)


@pytest.fixture
def x():
    return torch.rand(7, 1, 4, 5, generator=torch.Generator().manual_seed(1))


def test_layers(network):
    encoder, decoder = network
    assert [type(part) for part in encoder] == [nn.Flatten, Analysis]
    assert isinstance(decoder[0], nn.Linear)
    assert type(decoder[1]) is nn.Unflatten


def test_starts_with_the_transpose_around_a_shared_origin(network, x):
    encoder, decoder = network
    synthesis = decoder[0]
    assert torch.equal(encoder[1].weight, synthesis.weight.T)
    assert encoder[1].origin is synthesis.bias
    encoder[1].start(x)
    torch.testing.assert_close(synthesis.bias, x.mean(0).flatten())
    h = (x.flatten(1) - synthesis.bias) @ synthesis.weight
    torch.testing.assert_close(encoder(x), h, atol=1e-5, rtol=1e-5)
    raw = (h @ synthesis.weight.T + synthesis.bias).view_as(x)
    torch.testing.assert_close(decoder(h), raw, atol=1e-5, rtol=1e-5)


def test_columns_have_unit_norm_and_a_gradient_across_them(network, x):
    encoder, decoder = network
    synthesis = decoder[0]
    optimizer = torch.optim.SGD(nn.Sequential(encoder, decoder).parameters(), lr=1e-3)
    for _ in range(5):
        torch.testing.assert_close(synthesis.weight.norm(dim=0), torch.ones(50))
        optimizer.zero_grad()
        (decoder(encoder(x).relu()) - x).square().sum().backward()
        stored = synthesis.parametrizations.weight.original
        along = (stored.grad * stored).sum(0).abs()
        assert (along < 1e-5 * stored.grad.norm(dim=0) * stored.norm(dim=0) + 1e-9).all()
        assert stored.grad.norm() > 0
        optimizer.step()


def test_sides_must_be_of_one_width():
    with pytest.raises(ZooError, match="network=dictionary: encoder and decoder share weights"):
        dictionary((1, 4, 5), 50, 25, 1)
