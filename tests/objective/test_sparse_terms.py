import pytest
import torch

from zoo.errors import ZooError
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.penalised import Gated
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.bottlenecks.sparse import Sparse
from zoo.model.bottlenecks.topk import TopK
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import BernoulliLikelihood, GaussianLikelihood
from zoo.model.networks.dictionary import dictionary
from zoo.objective.terms.gate import gate
from zoo.objective.terms.revive import Revive

STD = 0.2


@pytest.fixture
def x():
    return torch.rand(7, 1, 4, 5, generator=torch.Generator().manual_seed(1))


def model_of(bottleneck):
    return build((1, 4, 5), dictionary, bottleneck, GaussianLikelihood(STD), NoCorruption(), seed=0)


def test_revive_is_the_gain_of_the_dead_units_in_the_residual(x):
    model = model_of(lambda: Sparse(50, 3, TopK))
    model.bottleneck.idle[:20] = 20_000
    dead = model.bottleneck.idle > 0
    step = model(x)
    dead &= ~(step.code.z != 0).any(0)
    assert 0 < dead.sum() < 20
    found = Revive(k=4)(model, x, step)["revive"]

    residual = (x - step.raw).flatten(1).detach()
    dead_h = step.code.h.where(dead, -torch.inf)
    values, index = dead_h.topk(4, dim=1)
    explained = torch.einsum("bk,pbk->bp", torch.nn.functional.softplus(values, 10), model.decoder[0].weight[:, index])
    expected = ((residual - explained).square().sum(1) - residual.square().sum(1)) / (2 * STD**2)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_revive_has_gradients_for_dead_units_only(x):
    model = model_of(lambda: Sparse(50, 3, TopK))
    model.bottleneck.idle[:20] = 20_000
    step = model(x)
    dead = step.code.dead
    assert dead.sum() > 5
    with torch.no_grad():
        model.encoder[1].bias[dead] -= 3 * step.code.h.max()  # negative for every image, as after a penalty
    step = model(x)
    assert step.code.h[:, dead].max() < 0
    Revive(k=50)(model, x, step)["revive"].sum().backward()
    analysis, synthesis = model.encoder[1], model.decoder[0]
    stored = synthesis.parametrizations.weight.original
    for gradient in (analysis.weight.grad, analysis.bias.grad[:, None], stored.grad.T):
        assert (gradient[~dead] == 0).all()
        assert torch.equal(gradient.abs().sum(1) > 0, dead)
    # the decoder's bias is the encoder's origin, and has its gradient from there only
    through_encoder = -analysis.weight.T.detach() @ analysis.bias.grad
    torch.testing.assert_close(synthesis.bias.grad, through_encoder, rtol=1e-3, atol=1e-3)


def test_revive_needs_a_gaussian_likelihood(x):
    model = build((1, 4, 5), dictionary, lambda: Sparse(50, 3, TopK), BernoulliLikelihood(), NoCorruption(), seed=0)
    with pytest.raises(ZooError, match="revive: needs a Gaussian likelihood; choose objective=elbo"):
        Revive(k=4)(model, x, model(x))


def test_revive_is_zero_without_dead_units_and_in_evaluation(x):
    model = model_of(lambda: Sparse(50, 3, TopK))
    assert torch.equal(Revive()(model, x, model(x))["revive"], torch.zeros(7))
    model.bottleneck.idle[:] = 20_000
    model.eval()
    assert torch.equal(Revive()(model, x, model(x))["revive"], torch.zeros(7))


def test_the_gates_reconstruction_has_no_gradient_for_the_decoder(x):
    model = model_of(lambda: Sparse(50, 3, Gated))
    step = model(x)
    found = gate(model, x, step)["gate"]
    raw = model.decoder(step.code.h.relu())
    torch.testing.assert_close(found, model.likelihood.nll(raw, x))
    found.sum().backward()
    assert model.encoder[1].weight.grad.abs().sum() > 0
    assert model.decoder[0].parametrizations.weight.original.grad is None
    assert torch.equal(gate(model.eval(), x, model(x))["gate"], torch.zeros(7))


@pytest.mark.parametrize("term", [Revive(), gate])
def test_terms_need_a_sparse_code(x, term):
    model = model_of(lambda: Pointwise(50))
    with pytest.raises(ZooError, match="choose bottleneck=topk"):
        term(model, x, model(x))
