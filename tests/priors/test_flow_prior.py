import pytest
import torch
from torch.distributions import Normal

from zoo.bottlenecks.diagonal import Diagonal
from zoo.errors import ZooError
from zoo.priors.flow import Flow


@pytest.fixture(params=[1, 2, 5])
def flow(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = Flow(request.param, hidden=16)
        for parameter in flow.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return flow.double().eval()


def test_the_log_determinant_is_that_of_the_jacobian(flow):
    z = torch.randn(6, flow.width, generator=torch.Generator().manual_seed(1)).double()
    jacobians = torch.stack([torch.autograd.functional.jacobian(flow.transform, each) for each in z])
    expected = Normal(0.0, 1.0).log_prob(flow.transform(z)).sum(1) + torch.linalg.slogdet(jacobians).logabsdet
    torch.testing.assert_close(flow.log_prob(z), expected)
    assert (torch.linalg.slogdet(jacobians).logabsdet.abs() > 1e-3).all(), "the flow does nothing"


def test_samples_are_noise_carried_back(flow):
    z = flow.float().sample(50, torch.Generator().manual_seed(2))
    assert torch.equal(z, flow.sample(50, torch.Generator().manual_seed(2)))
    noise = torch.randn(50, flow.width, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(flow.transform(z), noise, rtol=1e-4, atol=1e-4)


def test_the_kl_of_a_vae_is_the_log_ratio_at_the_sample(flow):
    bottleneck = Diagonal(flow.width, prior=lambda width: flow.float())
    h = torch.randn(4, 2 * flow.width, generator=torch.Generator().manual_seed(3))
    code = bottleneck(h, torch.Generator().manual_seed(4))
    expected = bottleneck.posterior(h).log_prob(code.z).sum(1) - bottleneck.log_prior(code.z)
    torch.testing.assert_close(code.penalties["kl"], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(bottleneck.log_prior(code.z), flow.log_prob(code.z))


def test_no_flow_without_units():
    with pytest.raises(ZooError, match="width=0"):
        Flow(0)
