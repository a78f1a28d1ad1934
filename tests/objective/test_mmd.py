import math
from types import SimpleNamespace

import pytest
import torch

from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.priors.mixture import MixturePrior
from zoo.model.priors.standard import LaplacePrior
from zoo.objective.terms.mmd import SCALES, draws_from_prior, kernel, mmd, squared_mmd
from zoo.types import Code, Step

PLAIN = SimpleNamespace(bottleneck=Pointwise(2))  # a model without a prior of its own


def normal(n, shift=0.0, seed=0):
    return shift + torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))


def test_kernel_and_mmd_by_hand():
    a, b = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 2.0]])

    def k(square):
        return sum(4 * s / (4 * s + square) for s in SCALES)

    torch.testing.assert_close(kernel(a, b), torch.tensor([[k(0), k(4)], [k(1), k(5)]]))
    expected = k(1) + k(4) - 2 * (k(0) + k(4) + k(1) + k(5)) / 4
    assert squared_mmd(a, b).item() == pytest.approx(expected, abs=1e-5)


def test_the_mean_is_zero_for_equal_distributions_only():
    estimates = torch.stack([squared_mmd(normal(50, seed=2 * i), normal(50, seed=2 * i + 1)) for i in range(200)])
    assert estimates.mean().abs() < 4 * estimates.std() / math.sqrt(200)
    assert squared_mmd(normal(500), normal(500, 1.0, seed=1)) > 10 * estimates.std()


def test_the_term_draws_from_the_generator_of_the_step():
    z, state = normal(20, 3.0), torch.get_rng_state()
    g = torch.Generator().manual_seed(0)
    step = Step(Code(z, z), z, z, None, generator=g)
    first, second = (mmd(PLAIN, z, step)["mmd"] for _ in range(2))
    g.manual_seed(0)
    assert torch.equal(mmd(PLAIN, z, step)["mmd"], first)
    assert not torch.equal(first, second)
    assert first.shape == (20,)
    assert torch.equal(torch.get_rng_state(), state)
    prior = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(first[0], squared_mmd(z, prior))


def test_a_batch_of_one_has_no_pair():
    z = normal(1).requires_grad_()
    value = mmd(PLAIN, z, Step(Code(z, z), z, z, None))["mmd"]
    assert value.tolist() == [0.0]
    value.sum().backward()
    assert z.grad.tolist() == [[0.0, 0.0]]


def test_codes_are_compared_with_the_prior_of_the_bottleneck():
    """Draws from the prior itself are at no distance from it, whatever it is, and the prior gets no gradient."""
    laplace, mixture = (
        SimpleNamespace(bottleneck=DiagonalPosterior(4, prior)) for prior in (LaplacePrior, shifted_mixture)
    )
    for model in (laplace, mixture):
        z = model.bottleneck.sample(500, torch.Generator().manual_seed(1)).detach()
        step = Step(Code(z, z), z, z, None, generator=torch.Generator().manual_seed(0))
        own, standard = mmd(model, z, step)["mmd"][0], mmd(PLAIN, z, step)["mmd"][0]
        assert own.abs() < 0.01
        assert own.abs() < standard
        assert not draws_from_prior(model, z, step.generator).requires_grad


def shifted_mixture(width):
    prior = MixturePrior(width, components=3)
    with torch.no_grad():
        prior.mean.copy_(3.0 * torch.arange(1, 4)[:, None].expand(-1, width))
    return prior
