import pytest
import torch
from torch import nn

from zoo.autoencoder import build
from zoo.bottlenecks.dense import Dense
from zoo.corruption import Clean
from zoo.likelihood import Gaussian
from zoo.networks.linear import linear
from zoo.networks.mlp import mlp
from zoo.terms.contractive import contractive

WIDTH = 8


@pytest.fixture
def x():
    return torch.rand(32, 1, 4, 5, generator=torch.Generator().manual_seed(0))


def model(network, activation=None):
    return build((1, 4, 5), network, lambda: Dense(WIDTH, activation), Gaussian(), Clean(), seed=0).double()


def exact(model, x):
    """The squared norm of each image's Jacobian, all of it: (B,)."""
    jacobian = torch.func.vmap(torch.func.jacrev(lambda image: model.encode(image[None])[0]))(x)
    return jacobian.square().flatten(1).sum(1)


def penalty(model, x):
    x = x.double()
    return contractive(model, x, model(x))["contractive"]


@pytest.mark.parametrize("activation", [None, nn.Tanh, nn.Sigmoid])
def test_one_layer_is_exact(x, activation):
    one = model(linear, activation)
    torch.testing.assert_close(penalty(one, x), exact(one, x.double()))


@pytest.mark.parametrize("activation", [None, nn.Tanh])
def test_deep_estimates_average_to_the_norm(x, activation):
    """Over one image in as many rows as there are probes the estimate is exact; over images it is near."""
    deep = model(mlp, activation)
    for image in x[:3]:
        alike = penalty(deep, image.expand(WIDTH, 1, 4, 5))
        torch.testing.assert_close(alike.mean(), exact(deep, image[None].double())[0])
        assert alike.std() > 0, "an estimate that needs no average"
    assert penalty(deep, x).mean().item() == pytest.approx(exact(deep, x.double()).mean().item(), rel=0.2)


@pytest.mark.parametrize("network", [linear, mlp])
def test_gradient_is_that_of_the_norm(x, network):
    one = model(network, nn.Tanh)
    images = x[:1].expand(WIDTH, 1, 4, 5)
    weights = list(one.encoder.parameters())
    found = torch.autograd.grad(penalty(one, images).mean(), weights, allow_unused=True, materialize_grads=True)
    wanted = torch.autograd.grad(exact(one, images.double()).mean(), weights, materialize_grads=True)
    assert max(gradient.abs().max().item() for gradient in wanted) > 1e-4
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("network", [linear, mlp])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_validation_without_gradients_sees_the_same(x, network, mode):
    one = model(network, nn.Tanh)
    expected = penalty(one, x).detach()
    with mode():
        assert torch.equal(penalty(one, x.clone()), expected)


def test_is_measured_where_the_encoder_looked(x):
    one = model(linear, nn.Tanh)
    step = one(1 - x.double())
    torch.testing.assert_close(contractive(one, x.double(), step)["contractive"], exact(one, 1 - x.double()))
