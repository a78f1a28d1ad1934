from dataclasses import dataclass

import pytest
import torch
from torch import nn

from zoo.autoencoder import Autoencoder, build
from zoo.bottlenecks.dense import Dense
from zoo.bottlenecks.diagonal import Diagonal
from zoo.corruption import Clean, Gaussian
from zoo.likelihood import Gaussian as GaussianLikelihood
from zoo.networks.linear import linear
from zoo.networks.mlp import mlp
from zoo.types import Code


@pytest.fixture
def x():
    return torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_forward_corrupts_what_the_encoder_sees_and_nothing_else(x):
    model = Autoencoder(nn.Flatten(), Dense(64), nn.Unflatten(1, (1, 8, 8)), GaussianLikelihood(), Gaussian(0.5))
    step = model(x, torch.Generator().manual_seed(1))
    seen, hidden = Gaussian(0.5)(x, torch.Generator().manual_seed(1))
    assert torch.equal(step.seen, seen)
    assert torch.equal(step.hidden, hidden)
    assert torch.equal(step.raw, seen)
    assert torch.equal(step.code.z, seen.flatten(1))
    for mode in (True, False):
        model.train(mode)
        assert torch.equal(model.encode(x), x.flatten(1))
        assert torch.equal(model.reconstruct(x), x)


def test_forward_decodes_the_sample_and_reconstruct_the_point(x):
    model = Autoencoder(nn.Flatten(), Diagonal(32), nn.Linear(32, 64), GaussianLikelihood(), Clean())
    step = model(x, torch.Generator().manual_seed(1))
    assert torch.equal(step.code.point, x.flatten(1)[:, :32])
    assert not torch.equal(step.code.z, step.code.point)
    assert torch.equal(step.raw, model.decoder(step.code.z))
    assert torch.equal(model.encode(x), step.code.point)
    assert torch.equal(model.reconstruct(x), model.decoder(step.code.point))


def test_decode_is_in_data_space(x):
    class Shifted(GaussianLikelihood):
        def mean(self, raw):
            return raw + 1

    model = Autoencoder(nn.Flatten(), Dense(64), nn.Unflatten(1, (1, 8, 8)), Shifted(), Clean())
    assert torch.equal(model.decode(model.encode(x)), x + 1)
    assert torch.equal(model(x).raw, x)


@dataclass(frozen=True)
class Wide:
    """A likelihood with two parameters per pixel."""

    def channels(self, image_channels):
        return 2 * image_channels

    def mean(self, raw):
        return raw.chunk(2, dim=1)[0]


def test_build_gives_each_part_the_measures_of_the_others():
    model = build((3, 5, 7), mlp, lambda: Diagonal(4), Wide(), Clean(), seed=0)
    step = model(torch.rand(2, 3, 5, 7))
    assert step.code.z.shape == (2, 4)
    assert step.raw.shape == (2, 6, 5, 7)
    assert model.decode(step.code.z).shape == (2, 3, 5, 7)


def test_build_is_determined_by_its_seed_and_leaves_the_global_state():
    def built(seed):
        return build((1, 8, 8), linear, lambda: Dense(3), GaussianLikelihood(), Clean(), seed)

    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = built(1)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    again, other = built(1), built(2)
    for name, weight in first.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight)
        assert not torch.equal(other.state_dict()[name], weight)


def test_the_bottlenecks_weights_are_seeded_too():
    class Weighted(nn.Module):
        in_features = out_features = 3

        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.rand(3))

        def forward(self, h, generator=None):
            return Code(h * self.scale, h * self.scale)

    one, two = (build((1, 8, 8), linear, Weighted, GaussianLikelihood(), Clean(), 1) for _ in range(2))
    assert torch.equal(one.bottleneck.scale, two.bottleneck.scale)
    assert "bottleneck.scale" in one.state_dict()
