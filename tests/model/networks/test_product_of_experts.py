"""Topics multiply."""

import pytest
import torch

from zoo.errors import ZooError
from zoo.model.likelihoods import MultinomialLikelihood
from zoo.model.networks.product_of_experts import BatchStandardised, product_of_experts

TOPICS, TERMS = 3, 7


@pytest.fixture
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return product_of_experts((1, 1, TERMS), 2 * TOPICS, TOPICS, 1, [5])


def test_the_decoder_multiplies_topics_to_the_powers_of_their_shares(network):
    _, decoder = network
    decoder.eval()
    z = torch.randn(4, TOPICS, generator=torch.Generator().manual_seed(1))
    topics = decoder[1].weight.T.softmax(1)
    product = (topics[None] ** z.softmax(1)[:, :, None]).prod(1)
    found = decoder(z).flatten(1).softmax(1)
    torch.testing.assert_close(found, product / product.sum(1, keepdim=True), atol=1e-5, rtol=1e-4)


def test_without_topics_it_gives_the_mean_document(network):
    _, decoder = network
    counts = torch.randint(1, 9, (20, 1, 1, TERMS), generator=torch.Generator().manual_seed(1)).float()
    decoder[2].start_at_mean(counts.mean(0), MultinomialLikelihood().raw_of_mean)
    torch.nn.init.zeros_(decoder[1].weight)
    share = counts.mean(0).flatten() / counts.mean(0).sum()
    torch.testing.assert_close(decoder(torch.zeros(4, TOPICS)).flatten(1).softmax(1), share.expand(4, -1))


def test_a_single_sample_is_normalised_by_what_is_known():
    norm = BatchStandardised(2)
    for _ in range(200):
        norm(torch.tensor([[1.0, 10.0], [3.0, 30.0]]))
    known = norm.running_mean.clone()
    torch.testing.assert_close(norm(torch.tensor([[2.0, 20.0]])), torch.zeros(1, 2), atol=1e-4, rtol=0)
    assert torch.equal(norm.running_mean, known)


def test_a_layer_without_units_is_refused():
    with pytest.raises(ZooError, match=r"network\.hidden=\[0\]"):
        product_of_experts((1, 1, TERMS), 2, 1, 1, [0])
