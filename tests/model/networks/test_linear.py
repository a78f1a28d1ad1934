import pytest
import torch
from torch import nn

from zoo.errors import ZooError
from zoo.model.networks.last_layer import LastLinear
from zoo.model.networks.linear import Transposed, linear


@pytest.fixture
def x():
    return torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))


def test_is_two_affine_maps(x):
    encoder, decoder = linear((3, 4, 6), 8, 5, 6)
    assert [type(part) for part in encoder] == [nn.Flatten, nn.Linear]
    assert [type(part) for part in decoder] == [LastLinear, nn.Unflatten]
    torch.testing.assert_close(encoder(x), x.flatten(1) @ encoder[1].weight.T + encoder[1].bias)
    assert encoder(x).shape == (5, 8)
    assert decoder(torch.rand(5, 5)).shape == (5, 6, 4, 6)


def test_tied_decoder_is_the_encoders_transpose(x):
    encoder, decoder = linear((3, 4, 6), 8, 8, 3, tied=True)
    assert type(decoder[0]) is Transposed
    assert decoder[0].weight is encoder[1].weight
    z = torch.rand(5, 8, generator=torch.Generator().manual_seed(1))
    raw = (z @ encoder[1].weight + decoder[0].bias).view(5, 3, 4, 6)
    torch.testing.assert_close(decoder(z), raw)


def test_the_tied_weight_has_the_gradient_of_both_sides(x):
    encoder, decoder = linear((3, 4, 6), 2, 2, 3, tied=True)
    decoder(encoder(x)).square().sum().backward()
    weight = encoder[1].weight.detach().clone().requires_grad_()
    raw = (x.flatten(1) @ weight.T + encoder[1].bias.detach()) @ weight + decoder[0].bias.detach()
    raw.square().sum().backward()
    torch.testing.assert_close(encoder[1].weight.grad, weight.grad)
    both = nn.ModuleList([encoder, decoder])
    assert sum(p.numel() for p in both.parameters()) == 2 * 72 + 2 + 72


@pytest.mark.parametrize(("inside", "outside", "channels"), [(8, 4, 3), (8, 8, 6)])
def test_unequal_widths_are_refused_for_tied_weights(inside, outside, channels):
    with pytest.raises(ZooError, match="network=linear_tied: encoder and decoder share weights"):
        linear((3, 4, 6), inside, outside, channels, tied=True)
