import pytest
import torch
from torch import nn

from zoo.errors import ZooError
from zoo.networks.residual import Residual, residual


@pytest.mark.parametrize("side", [(8, 8), (28, 28), (32, 32), (7, 9), (5, 4), (29, 30)], ids=str)
@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_any_side_comes_back(side, blocks):
    encoder, decoder = residual((2, *side), 6, 3, 4, filters=[4, 8], blocks=blocks)
    assert encoder(torch.rand(5, 2, *side)).shape == (5, 6)
    assert decoder(torch.rand(5, 3)).shape == (5, 4, *side)
    found = sum(isinstance(module, Residual) for part in (encoder, decoder) for module in part)
    assert found == 4 * blocks


def test_a_block_adds_its_branch_to_what_comes_in():
    block, x = Residual(4, nn.ReLU), torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    normal = torch.nn.functional.layer_norm(x, x.shape[1:])
    first, second = block.branch[2], block.branch[5]
    inside = first(normal.relu())
    expected = x + second(torch.nn.functional.layer_norm(inside, inside.shape[1:]).relu())
    torch.testing.assert_close(block(x), expected)
    nn.init.zeros_(second.weight)
    nn.init.zeros_(second.bias)
    assert torch.equal(block(x), x)


def test_an_image_does_not_see_its_batch():
    encoder, _ = residual((1, 8, 8), 6, 6, 1, filters=[4, 8])
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    other = torch.cat([x[:1], 9 * x[1:]])
    torch.testing.assert_close(encoder(other)[:1], encoder(x)[:1])


def test_an_image_too_small_to_be_halved():
    with pytest.raises(ZooError, match=r"network\.filters=\[4, 8\] halves a 3x3 image to nothing"):
        residual((1, 3, 3), 4, 4, 1, filters=[4, 8])
