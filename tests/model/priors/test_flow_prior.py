import pytest
import torch
from torch.distributions import Normal

from zoo.errors import ZooError
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.priors.flow import FlowPrior


@pytest.fixture(params=[1, 2, 5])
def flow(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = FlowPrior(request.param, hidden=16)
        for parameter in flow.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return flow.double().eval()


def test_the_log_determinant_is_that_of_the_jacobian(flow):
    z = torch.randn(6, flow.width, generator=torch.Generator().manual_seed(1)).double()
    jacobians = torch.stack([torch.autograd.functional.jacobian(flow.transform, each) for each in z])
    expected = Normal(0.0, 1.0).log_prob(flow.transform(z)).sum(1) + torch.linalg.slogdet(jacobians).logabsdet
    torch.testing.assert_close(flow.log_prob(z), expected)
    assert (torch.linalg.slogdet(jacobians).logabsdet.abs() > 1e-3).all(), "the flow is the identity"


def test_samples_are_the_inverse_of_noise(flow):
    z = flow.float().sample(50, torch.Generator().manual_seed(2))
    assert torch.equal(z, flow.sample(50, torch.Generator().manual_seed(2)))
    noise = torch.randn(50, flow.width, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(flow.transform(z), noise, rtol=1e-4, atol=1e-4)


def test_the_kl_of_a_vae_is_the_log_ratio_at_the_sample(flow):
    bottleneck = DiagonalPosterior(flow.width, prior=lambda width: flow.float())
    h = torch.randn(4, 2 * flow.width, generator=torch.Generator().manual_seed(3))
    code = bottleneck(h, torch.Generator().manual_seed(4))
    expected = bottleneck.posterior(h).log_prob(code.z).sum(1) - bottleneck.log_prior(code.z)
    torch.testing.assert_close(code.penalties["kl"], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(bottleneck.log_prior(code.z), flow.log_prob(code.z))


@pytest.mark.parametrize(
    ("arguments", "message"), [((0,), "width=0"), ((3, 0), "prior.layers=0"), ((3, 1, 0), "prior.hidden=0")]
)
def test_invalid_numbers_are_refused(arguments, message):
    with pytest.raises(ZooError, match=message):
        FlowPrior(*arguments)
