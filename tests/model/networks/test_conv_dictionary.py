import pytest
import torch

from zoo.errors import ZooError
from zoo.model.networks.conv_dictionary import conv_dictionary, covering


@pytest.mark.parametrize("places", [1, 4, 6, 8])
@pytest.mark.parametrize("length", [8, 12, 28, 32, 64])
def test_a_convolution_covers_every_pixel_with_the_given_number_of_positions(length, places):
    kernel, stride, padding = covering(length, places)
    assert (length + 2 * padding - kernel) // stride + 1 == places
    assert (places - 1) * stride + kernel - 2 * padding == length
    assert kernel >= max(stride, 11 / 28 * length)


def test_atoms_are_added_at_the_positions_of_the_code():
    _, decoder = conv_dictionary((1, 28, 28), 72, 72, 1, side=6)
    codes = torch.zeros(3, 72)
    codes[0, 14] = codes[2, 14] = 1.0  # first map, third row, third column
    codes[1, 36 + 21] = codes[2, 36 + 21] = 2.0  # second map, fourth row, fourth column
    with torch.no_grad():
        one, other, both = decoder(codes) - decoder(torch.zeros(1, 72))
    torch.testing.assert_close(both, one + other)
    kernel, stride, padding = covering(28, 6)
    start = 2 * stride - padding
    atom = decoder[2].weight[0, 0]
    torch.testing.assert_close(one[0, start : start + kernel, start : start + kernel], atom.detach())
    assert one.count_nonzero() == kernel**2


def test_units_that_do_not_fill_the_last_map():
    encoder, decoder = conv_dictionary((3, 12, 8), 40, 75, 3, side=6)
    assert encoder(torch.rand(2, 3, 12, 8)).shape == (2, 40)
    assert decoder(torch.rand(2, 75)).shape == (2, 3, 12, 8)


@pytest.mark.parametrize("side", [0, 6])
def test_an_invalid_grid_is_refused(side):
    with pytest.raises(ZooError, match=rf"network\.side={side}: .* from 1 to 5"):
        conv_dictionary((1, 5, 9), 72, 72, 1, side=side)
