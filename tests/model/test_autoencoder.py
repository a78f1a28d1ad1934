from functools import partial

import pytest
import torch
from torch import nn

from zoo.fitting.gradient import initialise_from_data
from zoo.model.autoencoder import Autoencoder, build
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import GaussianNoise, NoCorruption
from zoo.model.io import build_model
from zoo.model.likelihoods import BernoulliLikelihood, GaussianLikelihood, OptimalGaussianLikelihood
from zoo.model.networks.conv import conv
from zoo.model.networks.conv_dictionary import conv_dictionary
from zoo.model.networks.fully_conv import fully_conv
from zoo.model.networks.linear import linear
from zoo.model.networks.mlp import mlp
from zoo.model.networks.vit import vit
from zoo.types import BindsEncoder, Bottleneck, Code, Likelihood, StartsFromData


@pytest.fixture
def x():
    return torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_forward_corrupts_the_encoders_input_and_nothing_else(x):
    noise = GaussianNoise(0.5)
    model = Autoencoder(nn.Flatten(), Pointwise(64), nn.Unflatten(1, (1, 8, 8)), GaussianLikelihood(), noise)
    step = model(x, torch.Generator().manual_seed(1))
    seen, hidden = noise(x, torch.Generator().manual_seed(1))
    assert torch.equal(step.seen, seen)
    assert torch.equal(step.hidden, hidden)
    assert torch.equal(step.raw, seen)
    assert torch.equal(step.code.z, seen.flatten(1))
    for mode in (True, False):
        model.train(mode)
        assert torch.equal(model.encode(x), x.flatten(1))
        assert torch.equal(model.reconstruct(x), x)


def test_forward_decodes_the_sample_and_reconstruct_the_deterministic_code(x):
    model = Autoencoder(nn.Flatten(), DiagonalPosterior(32), nn.Linear(32, 64), GaussianLikelihood(), NoCorruption())
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

    model = Autoencoder(nn.Flatten(), Pointwise(64), nn.Unflatten(1, (1, 8, 8)), Shifted(), NoCorruption())
    assert torch.equal(model.decode(model.encode(x)), x + 1)
    assert torch.equal(model(x).raw, x)


class Wide(Likelihood):
    """A likelihood with two parameters per pixel."""

    def channels(self, image_channels):
        return 2 * image_channels

    def nll(self, raw, x, weight=None):
        raise NotImplementedError

    def mean(self, raw):
        return raw.chunk(2, dim=1)[0]


def test_build_gives_each_part_the_widths_of_the_others():
    model = build((3, 5, 7), mlp, lambda: DiagonalPosterior(4), Wide(), NoCorruption(), seed=0)
    step = model(torch.rand(2, 3, 5, 7))
    assert step.code.z.shape == (2, 4)
    assert step.raw.shape == (2, 6, 5, 7)
    assert model.decode(step.code.z).shape == (2, 3, 5, 7)


def test_build_is_determined_by_its_seed_and_leaves_the_global_random_state():
    def built(seed):
        return build((1, 8, 8), linear, lambda: Pointwise(3), GaussianLikelihood(), NoCorruption(), seed)

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
    class Weighted(Bottleneck):
        def __init__(self):
            super().__init__(3, 3)
            self.scale = nn.Parameter(torch.rand(3))

        def forward(self, h, generator=None):
            return Code(h * self.scale, h * self.scale)

    one, two = (build((1, 8, 8), linear, Weighted, GaussianLikelihood(), NoCorruption(), 1) for _ in range(2))
    assert torch.equal(one.bottleneck.scale, two.bottleneck.scale)
    assert "bottleneck.scale" in one.state_dict()


# Abilities that all modules of a model are searched for: by inheritance, not by the names of methods


class Foreign(nn.Flatten):
    """A module from elsewhere whose methods have the names of abilities."""

    def _called(self, *arguments):
        raise AssertionError("a foreign method was called")

    start = start_from_data = attach = bind_encoder = _called


class Ours(nn.Flatten, BindsEncoder, StartsFromData):
    """The same names, with the abilities declared."""

    bound = None

    def bind_encoder(self, encoder, shape):
        self.bound = (encoder, shape)

    def start_from_data(self, images):
        raise AssertionError("called when the model is built, before there are data")


@pytest.mark.parametrize("place", ["encoder", "bottleneck", "decoder"])
def test_foreign_methods_are_not_called_when_a_model_is_built(place):
    def network(shape, in_features, out_features, channels):
        return nn.Sequential(nn.Flatten(), parts["encoder"]), nn.Sequential(parts["decoder"], nn.Unflatten(1, shape))

    class Held(Pointwise):
        def __init__(self):
            super().__init__(64)
            self.part = parts["bottleneck"]

    for part in (Foreign(), Ours()):
        parts = {"encoder": nn.Identity(), "bottleneck": nn.Identity(), "decoder": nn.Identity()} | {place: part}
        model = build((1, 8, 8), network, Held, GaussianLikelihood(), NoCorruption(), seed=0)
        assert any(module is part for module in model.modules())
        if isinstance(part, Ours):
            assert part.bound[0] is model.encoder
            assert part.bound[1] == (1, 8, 8)


# The start from training images


def outputs(network, likelihood, images):
    """The decoder's output for codes that do not matter, after the start from images."""
    model = build(images.shape[1:], network, lambda: Pointwise(8), likelihood, NoCorruption(), seed=0)
    for module in model.modules():
        if isinstance(module, StartsFromData):
            module.start_from_data(images)
    for name, weight in model.decoder.named_parameters():
        if not name.endswith("bias") or weight.shape[0] not in (2, 8, 128):  # channels, a patch, all pixels
            torch.nn.init.zeros_(weight)
    return model.decode(torch.zeros(1, 8))[0]


@pytest.mark.parametrize(
    "likelihood", [GaussianLikelihood(), OptimalGaussianLikelihood(), BernoulliLikelihood()], ids=str
)
def test_a_decoder_starts_at_the_mean_image(likelihood):
    """Per pixel, per channel, or per position in a patch: as far as the last layer's bias can follow it."""
    images = 0.9 * torch.rand(40, 2, 8, 8, generator=torch.Generator().manual_seed(0)) ** torch.linspace(0.5, 3, 8)
    mean = likelihood.target(images).mean(0)
    channels = mean.mean((1, 2), keepdim=True).expand_as(mean)
    patches = mean.view(2, 4, 2, 4, 2).mean((1, 3))
    for network in (mlp, linear, partial(linear, tied=True)):
        torch.testing.assert_close(outputs(network, likelihood, images), mean.clamp(0.001, 0.999))
    for network in (conv, partial(fully_conv, dilations=()), partial(conv_dictionary, side=2)):
        torch.testing.assert_close(outputs(network, likelihood, images), channels)
    torch.testing.assert_close(outputs(vit, likelihood, images), patches.repeat(1, 4, 4))


def test_a_likelihood_that_does_not_invert_its_mean_leaves_the_decoder_as_it_is(x):
    class Foreign(Likelihood):
        def nll(self, raw, x, weight=None):
            return (raw - x).square().flatten(1).sum(1)

        def mean(self, raw):
            return raw

    model = build((1, 8, 8), mlp, lambda: Pointwise(8), Foreign(), NoCorruption(), seed=0)
    before = model.decoder[-2].bias.clone()
    model.start_from_data(x)
    assert torch.equal(model.decoder[-2].bias, before)


@pytest.mark.parametrize("network", ["deep", "linear", "linear_tied", "conv", "dictionary"])
def test_a_fit_starts_no_worse_than_the_mean_image_allows(compose_job, network):
    """The first error of a model whose code is zero is the variance of what its bias cannot follow."""
    job = compose_job("variant=deep_ae", f"network={network}")
    data = job.make("data")
    model = build_model(job.config, data.shape, seed=0)
    initialise_from_data(model, data)
    x = data.train[:]
    decoded = model.decode(torch.zeros(1, model.bottleneck.out_features))
    constant = (x - x.mean()).square().mean()
    assert (x - decoded).square().mean() < 1.15 * constant


def test_deterministic_codes_draw_no_random_numbers(compose_job, variant):
    model = build_model(compose_job(f"variant={variant}").config, (1, 8, 8), seed=0).eval()
    x = torch.rand(3, 1, 8, 8)
    before = torch.random.get_rng_state()
    with torch.no_grad():
        model.encode(x)
    assert torch.equal(torch.random.get_rng_state(), before)
