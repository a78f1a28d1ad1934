import pytest
import torch

from zoo.model.autoencoder import build
from zoo.model.bottlenecks.batch_topk import BatchTopK
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import Binarise, NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.linear import linear
from zoo.model.networks.mlp import mlp
from zoo.objective.objective import step_on
from zoo.objective.terms.contractive import contractive, estimate

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
    return contractive(model, x, step_on(model, x, torch.Generator().manual_seed(0), None))["contractive"]


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
    found = penalty(one, x)
    one.corruption = NoCorruption()
    torch.testing.assert_close(found, penalty(one, binary))
    assert (found > 0).all()


def test_is_measured_at_the_encoders_input(x):
    one = model(linear, "tanh")
    step = one(1 - x.double())
    torch.testing.assert_close(contractive(one, x.double(), step)["contractive"], exact(one, 1 - x.double()))


@pytest.mark.parametrize("batch", [1, 3])
def test_estimates_of_small_batches_average_to_the_norm(x, batch):
    """The first rows of the matrix alone, of which one is constant, would be biased."""
    deep, images = model(mlp, "tanh"), x[:batch].double()
    g = torch.Generator().manual_seed(0)
    drawn = torch.stack([estimate(deep, images, g).detach() for _ in range(2000)])
    error = drawn.std(0) / len(drawn) ** 0.5
    assert (drawn.std(0) > 0).all()
    assert ((drawn.mean(0) - exact(deep, images)).abs() < 4 * error).all()


def test_estimates_draw_from_the_generator_of_the_step(x):
    deep, state = model(mlp, "tanh"), torch.get_rng_state()
    first, same, other = (estimate(deep, x.double(), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_penalty_does_not_count_a_batch_again(x):
    """A bottleneck that counts what it sees in training has seen this batch in the forward pass."""
    parts = mlp, lambda: BatchTopK(WIDTH, 2), GaussianLikelihood(), NoCorruption()
    counting = build((1, 4, 5), *parts, seed=0).train()
    step = counting(x)
    threshold = counting.bottleneck.threshold.clone()
    contractive(counting, x, step)
    assert torch.equal(counting.bottleneck.threshold, threshold)
    assert counting.bottleneck.training
