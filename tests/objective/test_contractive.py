import pytest
import torch

from zoo.model.autoencoder import build
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import Binarise, NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.model.networks.mlp import mlp
from zoo.objective.terms.contractive import contractive

WIDTH = 8


@pytest.fixture
def x():
    return torch.rand(32, 1, 4, 5, generator=torch.Generator().manual_seed(0))


def model(network, activation="identity"):
    parts = network, lambda: Pointwise(WIDTH, activation), GaussianLikelihood(), NoCorruption()
    return build((1, 4, 5), *parts, seed=0).double()


def exact(model, x):
    """The squared norm of each image's Jacobian, computed in full: (B,)."""
    jacobian = torch.func.vmap(torch.func.jacrev(lambda image: model.encode(image[None])[0]))(x)
    return jacobian.square().flatten(1).sum(1)


def penalty(model, x):
    x = x.double()
    return contractive(model, x, model(x))["contractive"]


@pytest.mark.parametrize("activation", ["identity", "tanh", "sigmoid"])
def test_one_layer_is_exact(x, activation):
    one = model(linear, activation)
    torch.testing.assert_close(penalty(one, x), exact(one, x.double()))


@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_deep_estimates_average_to_the_norm(x, activation):
    """Exact in the mean over copies of an image, one per vector of signs; close in the mean over different images."""
    deep = model(mlp, activation)
    for image in x[:3]:
        copies = penalty(deep, image.expand(WIDTH, 1, 4, 5))
        torch.testing.assert_close(copies.mean(), exact(deep, image[None].double())[0])
        assert copies.std() > 0, "single estimates are not exact"
    assert penalty(deep, x).mean().item() == pytest.approx(exact(deep, x.double()).mean().item(), rel=0.2)


@pytest.mark.parametrize("network", [linear, mlp])
def test_gradient_is_that_of_the_norm(x, network):
    one = model(network, "tanh")
    images = x[:1].expand(WIDTH, 1, 4, 5)
    weights = list(one.encoder.parameters())
    found = torch.autograd.grad(penalty(one, images).mean(), weights, allow_unused=True, materialize_grads=True)
    wanted = torch.autograd.grad(exact(one, images.double()).mean(), weights, materialize_grads=True)
    assert max(gradient.abs().max().item() for gradient in wanted) > 1e-4
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("network", [linear, mlp])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_validation_without_gradients_has_the_same_values(x, network, mode):
    one = model(network, "tanh")
    expected = penalty(one, x).detach()
    with mode():
        assert torch.equal(penalty(one, x.clone()), expected)


def test_binary_inputs_have_the_penalty_of_the_binary_image(x):
    """Rounding has no gradient, and is not part of the code."""
    one = model(mlp, "tanh")
    one.corruption = Binarise()
    binary = (x > 0.5).double()
    found = contractive(one, x.double(), one(x.double()))["contractive"]
    one.corruption = NoCorruption()
    torch.testing.assert_close(found, contractive(one, binary, one(binary))["contractive"])
    assert (found > 0).all()


def test_is_measured_at_the_encoders_input(x):
    one = model(linear, "tanh")
    step = one(1 - x.double())
    torch.testing.assert_close(contractive(one, x.double(), step)["contractive"], exact(one, 1 - x.double()))
