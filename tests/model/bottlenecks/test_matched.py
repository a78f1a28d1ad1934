import pytest
import torch

from zoo.errors import ZooError
from zoo.model.bottlenecks.matched import Matched
from zoo.types import HasPosterior, HasPrior


def test_a_matched_code_is_the_encoders_output_and_can_be_sampled():
    bottleneck, h = Matched(4), torch.randn(5, 4)
    code = bottleneck(h)
    assert torch.equal(code.z, h)
    assert torch.equal(code.point, h)
    z = bottleneck.sample(4000, torch.Generator().manual_seed(0))
    assert torch.equal(z, bottleneck.sample(4000, torch.Generator().manual_seed(0)))
    torch.testing.assert_close(z.mean(0), torch.zeros(4), rtol=0, atol=0.06)
    torch.testing.assert_close(z.T.cov(), torch.eye(4), rtol=0, atol=0.08)
    assert isinstance(bottleneck, HasPrior)
    assert not isinstance(bottleneck, HasPosterior)


@pytest.mark.parametrize("variant", ["aae", "wae_mmd"])
def test_methods_that_match_a_prior_can_sample_it(compose_job, variant):
    assert isinstance(compose_job(f"variant={variant}").make("bottleneck")(), HasPrior)


def test_an_invalid_width_is_refused():
    with pytest.raises(ZooError, match="width=0"):
        Matched(0)
