import pytest
import torch

from zoo.errors import ZooError
from zoo.model.networks.fully_conv import fully_conv


@pytest.mark.parametrize("side", [(8, 8), (28, 28), (16, 12), (9, 7)], ids=str)
@pytest.mark.parametrize(("units", "given"), [(8, 8), (16, 8), (3, 5), (100, 101)])
def test_any_side_and_any_number_of_units(side, units, given):
    encoder, decoder = fully_conv((2, *side), units, given, 4, filters=[4, 6], dilations=[1])
    assert encoder(torch.rand(5, 2, *side)).shape == (5, units)
    assert decoder(torch.rand(5, given)).shape == (5, 4, *side)


def test_weights_apply_to_images_of_another_size_with_equal_results():
    """Far from the edges, a part of a large image is reconstructed as it is alone."""
    settings = {"filters": [4, 4], "dilations": [1]}
    large, small = (
        fully_conv((1, side, side), (side // 4) ** 2 * 2, (side // 4) ** 2 * 2, 1, **settings) for side in (128, 64)
    )
    x = torch.rand(1, 1, 128, 128)
    with torch.no_grad():
        for one, other in zip(large, small, strict=True):
            for weight in one.parameters():
                weight.copy_(torch.randn(weight.shape) / weight[0].numel() ** 0.5)
            other.load_state_dict(one.state_dict())
        whole = large[1](large[0](x))
        part = small[1](small[0](x[..., 32:96, 32:96]))
    assert part[..., 28:36, 28:36].std() > 1e-3
    assert torch.allclose(whole[..., 60:68, 60:68], part[..., 28:36, 28:36], atol=1e-5)


def test_an_image_too_small_is_refused():
    with pytest.raises(ZooError, match="halves a 2x2 image to nothing"):
        fully_conv((1, 2, 2), 4, 4, 1, filters=[4, 4])
