import pytest
import torch

from zoo.evaluation.measures import feature_network as features
from zoo.evaluation.measures.feature_network import feature_network, train_classifier


def same(a, b):
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(u, v) for u, v in pairs)


def test_the_classifier_knows_its_digits_and_gives_standardised_features(digits):
    network = feature_network(digits.train, 10, None)
    with torch.no_grad():
        predicted = network(digits.test[:]).argmax(1)
        z = network.features(digits.train[:])
    assert (predicted == digits.test.labels).float().mean() > 0.9
    assert z.shape == (1200, 64)
    torch.testing.assert_close(z.mean(0), torch.zeros(64), rtol=0, atol=1e-4)
    torch.testing.assert_close(z.std(0), torch.ones(64), rtol=1e-3, atol=0)


@pytest.fixture
def short(monkeypatch):
    """A training of a few steps."""
    monkeypatch.setattr(features, "STEPS", 30)


def test_the_same_seed_gives_the_same_network_and_leaves_the_random_state(digits, short):
    few = digits.train
    state = torch.get_rng_state()
    assert same(train_classifier(few, 10), train_classifier(few, 10))
    assert torch.equal(torch.get_rng_state(), state)
    assert not same(train_classifier(few, 10), train_classifier(few, 10, seed=1))


def test_weights_are_kept_in_the_cache(digits, short, monkeypatch, tmp_path):
    first = feature_network(digits.train, 10, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    monkeypatch.setattr(features, "train_classifier", None)  # a second training would fail
    assert same(feature_network(digits.train, 10, tmp_path / "cache"), first)
