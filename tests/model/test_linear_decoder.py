import pytest
import torch
from torch import nn

from zoo.model.linear_decoder import atoms_of
from zoo.model.networks.conv_dictionary import conv_dictionary


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        yield


def test_atoms_are_the_columns_of_the_weights():
    layer = nn.Linear(700, 12)
    atoms = atoms_of(nn.Sequential(layer, nn.Unflatten(1, (1, 3, 4))), 700)
    assert atoms.shape == (700, 1, 3, 4)
    torch.testing.assert_close(atoms.flatten(1), layer.weight.T, rtol=0, atol=1e-5)


def test_a_convolution_is_linear():
    _, decoder = conv_dictionary((1, 8, 8), 32, 32, 1, side=2)
    z = torch.randn(3, 32)
    atoms = atoms_of(decoder, 32)
    expected = torch.einsum("nd,dchw->nchw", z, atoms) + decoder(torch.zeros(1, 32))
    torch.testing.assert_close(decoder(z), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.ReLU(), nn.GELU()])
def test_a_decoder_that_is_not_linear_has_none(last):
    assert atoms_of(nn.Sequential(nn.Linear(5, 12), last, nn.Unflatten(1, (1, 3, 4))), 5) is None


def test_nor_has_one_that_has_diverged():
    layer = nn.Linear(5, 12)
    nn.init.constant_(layer.weight, torch.nan)
    assert atoms_of(nn.Sequential(layer, nn.Unflatten(1, (1, 3, 4))), 5) is None
