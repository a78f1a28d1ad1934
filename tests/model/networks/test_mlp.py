import torch
from torch import nn

from zoo.model.networks.mlp import layers, mlp


def described(network):
    return [(m.in_features, m.out_features) if isinstance(m, nn.Linear) else type(m) for m in network]


def test_is_symmetric_around_the_code():
    encoder, decoder = mlp((1, 28, 28), 30, 30, 1, hidden=(1000, 500, 250))
    inwards = [(784, 1000), nn.GELU, (1000, 500), nn.GELU, (500, 250), nn.GELU, (250, 30)]
    outwards = [(30, 250), nn.GELU, (250, 500), nn.GELU, (500, 1000), nn.GELU, (1000, 784)]
    assert described(encoder) == [nn.Flatten, *inwards]
    assert described(decoder) == [*outwards, nn.Unflatten]


def test_widths_are_those_of_bottleneck_and_likelihood():
    encoder, decoder = mlp((3, 5, 7), 8, 4, 6, hidden=[11], activation="relu")
    assert described(encoder) == [nn.Flatten, (105, 11), nn.ReLU, (11, 8)]
    assert described(decoder) == [(4, 11), nn.ReLU, (11, 210), nn.Unflatten]
    assert encoder(torch.rand(2, 3, 5, 7)).shape == (2, 8)
    assert decoder(torch.rand(2, 4)).shape == (2, 6, 5, 7)


def test_without_hidden_layers_it_is_linear():
    encoder, decoder = mlp((1, 8, 8), 3, 3, 1, hidden=[])
    assert described(encoder) == [nn.Flatten, (64, 3)]
    assert described(decoder) == [(3, 64), nn.Unflatten]


def test_layers_share_no_module():
    modules = layers([4, 4, 4, 4], nn.ReLU)
    assert len({id(module) for module in modules}) == len(modules) == 5
