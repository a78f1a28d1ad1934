import pytest
import torch
from torch import nn

from zoo.errors import ZooError
from zoo.model.networks.conv import Residual, ToImage, conv


@pytest.mark.parametrize("side", [(8, 8), (28, 28), (32, 32), (7, 9), (5, 4), (29, 30)], ids=str)
@pytest.mark.parametrize("filters", [[4], [4, 8]], ids=str)
def test_images_of_any_size_keep_their_size(side, filters):
    encoder, decoder = conv((2, *side), 6, 3, 4, filters, hidden=[16])
    assert encoder(torch.rand(5, 2, *side)).shape == (5, 6)
    assert decoder(torch.rand(5, 3)).shape == (5, 4, *side)


def test_layers():
    encoder, decoder = conv((3, 32, 32), 20, 10, 6, filters=[32, 64], hidden=[256], activation="relu")
    down = [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.Flatten, nn.Linear, nn.ReLU, nn.Linear]
    up = [nn.Linear, nn.ReLU, nn.Linear, nn.Unflatten, nn.ReLU, nn.ConvTranspose2d, nn.ReLU, ToImage]
    assert [type(part) for part in encoder] == down
    assert [type(part) for part in decoder] == up
    assert [tuple(p.shape) for p in encoder.parameters() if p.dim() > 1] == [
        (32, 3, 4, 4),
        (64, 32, 4, 4),
        (256, 64 * 8 * 8),
        (20, 256),
    ]
    assert [tuple(p.shape) for p in decoder.parameters() if p.dim() > 1] == [
        (256, 10),
        (64 * 8 * 8, 256),
        (64, 32, 4, 4),
        (32, 6, 4, 4),
    ]


def test_residual_blocks_start_as_the_identity_and_are_trained():
    torch.manual_seed(0)
    plain = conv((1, 28, 28), 4, 4, 1)
    torch.manual_seed(0)
    block = Residual(8, nn.GELU)
    x = torch.rand(2, 8, 7, 7)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.branch[-1].weight.grad.abs().max() > 0
    for side, parts in zip(conv((1, 28, 28), 4, 4, 1, blocks=2), plain, strict=True):
        residual = [i for i, part in enumerate(side) if isinstance(part, Residual)]
        assert len(residual) == 4
        assert len(side) == len(parts) + 4
    assert [type(part) for part in conv((1, 28, 28), 4, 4, 1, blocks=1)[1]][-6:] == [
        nn.GELU,
        Residual,
        nn.ConvTranspose2d,
        nn.GELU,
        Residual,
        ToImage,
    ]


def test_the_convolution_to_the_image_equals_torchs_and_leaves_torchs_settings(monkeypatch):
    torch.manual_seed(0)
    plain, ours = (layer(3, 2, 4, 2, 1, output_padding=(1, 0)) for layer in (nn.ConvTranspose2d, ToImage))
    ours.load_state_dict(plain.state_dict())
    x, gradient = torch.rand(5, 3, 7, 6), torch.rand(5, 2, 15, 12)
    found = []
    for layer in (plain, ours):
        inside = x.clone().requires_grad_()
        y = layer(inside)
        found.append([y, *torch.autograd.grad(y, [inside, *layer.parameters()], gradient)])
    torch.testing.assert_close(found[1], found[0])
    assert torch.backends.mkldnn.enabled
    with pytest.raises(RuntimeError):
        ours(x[:, :2])
    assert torch.backends.mkldnn.enabled
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    ours(x)
    assert not torch.backends.mkldnn.enabled


def test_transposed_convolutions_treat_all_pixels_equally():
    """No checkerboard: with constant weights, a constant image comes out constant away from the edges."""
    _, decoder = conv((1, 32, 32), 4, 4, 1, filters=[2, 2], hidden=[8], activation="identity")
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.fill_(0.1)
        inside = decoder(torch.ones(1, 4))[..., 4:-4, 4:-4]
    assert inside.abs().max() > 0.1
    torch.testing.assert_close(inside, inside.mean().expand_as(inside))


@pytest.mark.parametrize(("side", "filters"), [((3, 3), [4, 8]), ((28, 1), [4])])
def test_an_image_too_small_to_be_halved_is_refused(side, filters):
    with pytest.raises(ZooError, match=r"network\.filters=.* halves a \d+x\d+ image to nothing; give fewer"):
        conv((1, *side), 4, 4, 1, filters)
