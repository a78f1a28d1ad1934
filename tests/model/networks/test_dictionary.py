import pytest
import torch
from torch import nn

from zoo.errors import ZooError
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import BernoulliLikelihood, GaussianLikelihood
from zoo.model.networks.dictionary import Analysis, MatchingPursuit, Synthesis, dictionary, pursuit


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


def test_the_encoder_starts_as_the_transpose_with_a_shared_origin(network, x):
    encoder, decoder = network
    synthesis = decoder[0]
    assert torch.equal(encoder[1].weight, synthesis.weight.T)
    assert encoder[1].origin is synthesis.bias
    synthesis.start_at_mean(x.mean(0), lambda mean: mean)
    encoder[1].start_from_data(x)
    torch.testing.assert_close(synthesis.bias, x.mean(0).flatten())
    torch.testing.assert_close(encoder[1].bias, torch.zeros(50), atol=1e-5, rtol=0)
    h = (x.flatten(1) - synthesis.bias) @ synthesis.weight
    torch.testing.assert_close(encoder(x), h, atol=1e-5, rtol=1e-5)
    raw = (h @ synthesis.weight.T + synthesis.bias).view_as(x)
    torch.testing.assert_close(decoder(h), raw, atol=1e-5, rtol=1e-5)


def test_binary_images_start_at_their_mean(x):
    """On the scale of logits, the decoder's bias is far from images; the encoder starts around the mean image still."""
    model = build((1, 4, 5), dictionary, lambda: Pointwise(50), BernoulliLikelihood(), NoCorruption(), seed=0)
    for module in (model, model.encoder[1]):
        module.start_from_data(x)
    binary = (x > 0.5).float()
    torch.testing.assert_close(model.decode(torch.zeros(1, 50))[0], binary.mean(0).clamp(0.001, 0.999))
    h = (x - x.mean(0)).flatten(1) @ model.decoder[0].weight
    torch.testing.assert_close(model.encoder(x), h, atol=1e-4, rtol=1e-4)
    model.encoder(x).square().sum().backward()
    assert (model.encoder[1].centre - x.mean(0).flatten()).abs().max() < 1e-5, "inputs of the encoder are around 0"
    other = build((1, 4, 5), dictionary, lambda: Pointwise(50), BernoulliLikelihood(), NoCorruption(), seed=1)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.encoder(x), model.encoder(x))
    plain = build((1, 4, 5), dictionary, lambda: Pointwise(50), GaussianLikelihood(), NoCorruption(), seed=0)
    for module in (plain, plain.encoder[1]):
        module.start_from_data(x)
    assert "encoder.1.offset" not in plain.state_dict()


def test_columns_have_unit_norm_and_an_orthogonal_gradient(network, x):
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


def test_unequal_widths_are_refused():
    with pytest.raises(ZooError, match="network=dictionary: encoder and decoder share weights"):
        dictionary((1, 4, 5), 50, 25, 1)
    with pytest.raises(ZooError, match="network=pursuit: encoder and decoder share weights"):
        pursuit((1, 4, 5), 50, 25, 1, k=3)
    with pytest.raises(ZooError, match=r"network\.k=0"):
        pursuit((1, 4, 5), 50, 50, 1, k=0)


def synthesis_of(columns):
    layer = Synthesis(len(columns), len(columns[0]))
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(torch.tensor(columns).T)
    return layer


def test_matching_pursuit_by_hand():
    # atoms e1, (3 e1 + 4 e2) / 5 and e2: (1, 3) is 3 times the second plus (-0.8, 0.6), and that is 0.6 e2 plus a rest
    search = MatchingPursuit(synthesis_of([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), steps=2)
    torch.testing.assert_close(search(torch.tensor([[1.0, 3.0]])), torch.tensor([[0.0, 3.0, 0.6]]))


def test_matching_pursuit_of_orthogonal_atoms_is_topk():
    search = MatchingPursuit(synthesis_of(torch.eye(4).tolist()), steps=2)
    x = torch.tensor([[3.0, -9.0, 1.0, 2.0], [-1.0, -2.0, 5.0, -3.0]])
    torch.testing.assert_close(search(x), torch.tensor([[3.0, 0, 0, 2.0], [0, 0, 5.0, 0]]))


def test_matching_pursuit_and_its_gradient_are_those_of_the_plain_algorithm(x):
    layer = Synthesis(50, 20).double()
    search, x = MatchingPursuit(layer, steps=6), x.double().flatten(1)

    def plain(x):
        atoms, residual = layer.weight, x - layer.bias
        z = x.new_zeros(len(x), 50)
        for _ in range(6):
            share, atom = (residual @ atoms).max(1)
            z = z.scatter_add(1, atom[:, None], share.relu()[:, None])
            residual = residual - share.relu()[:, None] * atoms.T[atom]
        return z

    weights = [layer.parametrizations.weight.original, layer.bias]
    found, expected = search(x), plain(x)
    torch.testing.assert_close(found, expected)
    assert ((found != 0).sum(1) <= 6).all()
    for one, other in zip(*(torch.autograd.grad(z.square().sum(), weights) for z in (found, expected)), strict=True):
        torch.testing.assert_close(one, other)


def test_pursuit_under_autocast_equals_that_in_float32(x):
    encoder, _ = pursuit((1, 4, 5), 50, 50, 1, k=3)
    expected = encoder(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder(x), expected)
