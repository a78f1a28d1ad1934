"""Linear encoders of Gaussian data, whose aggregate posterior is known."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import Laplace, Normal

from tests.evaluation.conftest import FixedSplits
from zoo.data.images import Images
from zoo.evaluation.evaluator import evaluate
from zoo.evaluation.measures.aggregate_posterior import log_densities
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.ladder import Ladder
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import BernoulliLikelihood, GaussianLikelihood
from zoo.model.priors.mixture import MixturePrior
from zoo.model.priors.standard import LaplacePrior

WIDTH, TRAIN = 3, 4_000
MIXED = TRAIN + 1  # posteriors in the largest mixture
NAMES = ("mutual_information", "aggregate_kl")


def normal(n, d=WIDTH, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def data():
    """x ~ N(0, I) in 3 dimensions."""
    parts = ((TRAIN, 0), (10, 1), (2_000, 2))
    rows = (Images(normal(n, seed=k).view(n, 1, 1, WIDTH), torch.zeros(n).long(), 1.0) for n, k in parts)
    return FixedSplits("gaussian", *rows, (), "vector")


def linear(gain, std, mean=0.0, bottleneck=None, likelihood=None):
    """q(z | x) = N(gain x + mean, std^2), and x_hat = z."""
    encoder, decoder = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH, 2 * WIDTH)), nn.Unflatten(1, (1, 1, WIDTH))
    with torch.no_grad():
        encoder[1].weight.copy_(torch.cat([gain * torch.eye(WIDTH), torch.zeros(WIDTH, WIDTH)]))
        encoder[1].bias.copy_(torch.cat([torch.full((WIDTH,), mean), torch.full((WIDTH,), 2 * math.log(std))]))
    bottleneck = bottleneck or DiagonalPosterior(WIDTH)
    return Autoencoder(encoder, bottleneck, decoder, likelihood or GaussianLikelihood(), NoCorruption()).eval()


@pytest.mark.parametrize(("gain", "std", "mean"), [(1.5, 0.5, 0.0), (0.8, 0.6, 0.0), (0.5, 1.0, 1.0), (3.0, 1.0, 0.5)])
def test_a_linear_encoder_has_the_information_and_the_divergence_of_gaussians(data, gain, std, mean):
    """I = D/2 log(1 + gain^2 / std^2); KL(N(mean, v) || N(0, 1)) = 1/2 (v + mean^2 - 1 - log v), v = gain^2 + std^2."""
    v = gain**2 + std**2
    information = WIDTH / 2 * math.log(1 + gain**2 / std**2)
    divergence = WIDTH / 2 * (v + mean**2 - 1 - math.log(v))
    found = evaluate(linear(gain, std, mean), data, [*NAMES, "elbo_kl"], {})
    assert found["mutual_information"]["value"] == pytest.approx(information, abs=0.08)
    assert found["aggregate_kl"]["value"] == pytest.approx(divergence, rel=0.05, abs=0.08)
    both = found["mutual_information"]["value"] + found["aggregate_kl"]["value"]
    assert both == pytest.approx(found["elbo_kl"]["value"], rel=0.03, abs=0.03)
    curve = found["mutual_information"]["curve"]
    assert curve["samples"] == [100, 1000, MIXED]
    assert curve["lower bound"] == sorted(curve["lower bound"])
    assert curve["upper bound"] == sorted(curve["upper bound"], reverse=True)
    assert curve["upper bound"][-1] == pytest.approx(information, abs=0.15), "it has settled"
    for entry in found.values():
        assert entry["n"] == 2000
    for low, high in zip(*(found["aggregate_kl"]["curve"][f"{end} bound"] for end in ("lower", "upper")), strict=True):
        assert -1e-6 <= low <= high


def test_a_collapsed_posterior_tells_nothing(data):
    found = evaluate(linear(0.0, 1.0), data, NAMES, {})
    assert [found[name]["value"] for name in NAMES] == pytest.approx([0, 0], abs=1e-5)
    for name in NAMES:
        for end in ("lower bound", "upper bound"):
            assert found[name]["curve"][end] == pytest.approx([0] * 3, abs=1e-5)
    elsewhere = evaluate(linear(0.0, 1.0, mean=2.0), data, NAMES, {})
    assert elsewhere["mutual_information"]["value"] == pytest.approx(0, abs=1e-5)
    assert elsewhere["aggregate_kl"]["value"] == pytest.approx(WIDTH * 2.0**2 / 2, rel=0.03)


def test_more_information_than_samples_can_show(data):
    """Each sample is a cluster of its own: log M for every M, and an upper bound that says so."""
    found = evaluate(linear(1.0, 1e-4), data, [*NAMES, "elbo_kl"], {})
    curve = found["mutual_information"]["curve"]
    expected = [math.log(size) for size in (100, 1000, MIXED)]
    assert curve["lower bound"] == pytest.approx(expected, abs=1e-3)
    assert curve["log samples"] == pytest.approx(expected)
    assert found["mutual_information"]["value"] == pytest.approx(math.log(MIXED), abs=1e-3)
    kl, information = found["elbo_kl"]["value"], WIDTH / 2 * math.log(1 + 1e8)
    assert curve["upper bound"] == pytest.approx([kl] * 3, rel=0.01)
    assert kl == pytest.approx(information, rel=0.01), "the codes of all samples are the prior's"
    assert information > 3 * curve["lower bound"][-1]
    assert found["aggregate_kl"]["value"] == pytest.approx(kl - math.log(MIXED), rel=0.01)
    assert found["aggregate_kl"]["curve"]["lower bound"] == pytest.approx([0] * 3)


def test_other_priors_and_posteriors(data):
    """The information is the encoder's, whatever the prior; a Laplace posterior has its own density."""
    plain = evaluate(linear(1.5, 0.5), data, NAMES, {})
    mixture = DiagonalPosterior(WIDTH, lambda width: MixturePrior(width, 4), samples=5, closed_form=False)
    other = evaluate(linear(1.5, 0.5, bottleneck=mixture), data, NAMES, {})
    value = [each["mutual_information"]["value"] for each in (plain, other)]
    assert value[0] == pytest.approx(value[1], abs=1e-9)
    laplace = DiagonalPosterior(WIDTH, LaplacePrior, family="laplace")
    found = evaluate(linear(0.0, 1.0, bottleneck=laplace), data, NAMES, {})
    assert [found[name]["value"] for name in NAMES] == pytest.approx([0, 0], abs=1e-5)


@pytest.mark.parametrize("family", [Normal, Laplace])
def test_log_densities_are_those_of_each_posterior(family, monkeypatch):
    monkeypatch.setattr("zoo.evaluation.measures.aggregate_posterior.ENTRIES", 40)
    q, z = family(normal(5), normal(5, seed=1).exp()), normal(7, seed=2)
    found = log_densities(q, z)
    assert found.shape == (7, 5)
    for n in range(7):
        torch.testing.assert_close(found[n], q.log_prob(z[n]).sum(1))


def test_binary_samples_are_encoded_as_the_likelihood_has_them(data):
    """Of values that are above 0.5 or not, a code of little noise holds the entropy: P(x > 0.5) = 0.3085."""
    entropy = -sum(p * math.log(p) for p in (0.3085, 0.6915))
    found = evaluate(linear(1.0, 0.05, likelihood=BernoulliLikelihood()), data, ["mutual_information"], {})
    assert found["mutual_information"]["value"] == pytest.approx(WIDTH * entropy, abs=0.03)


def test_small_sets(data):
    few = replace(data, train=data.train.subset(torch.arange(30)), test=data.test.subset(torch.arange(5)))
    entry = evaluate(linear(1.0, 1e-4), few, ["mutual_information"], {})["mutual_information"]
    assert entry["curve"]["samples"] == [31]
    assert entry["value"] == pytest.approx(math.log(31), abs=1e-3)
    assert entry["n"] == 5


def test_codes_without_a_posterior_in_closed_form(data, digits, pca):
    ladder = linear(1.0, 0.5, bottleneck=Ladder(WIDTH, top=2, hidden=4))
    for entry in evaluate(ladder, data, NAMES, {}).values():
        assert entry["reason"] == "q(z | x) has no closed form, as the code has several layers"
    for entry in evaluate(pca, digits, [*NAMES, "bits_back"], {}).values():
        assert entry["reason"] == "the model is not variational: its code has no posterior"


def test_rate_and_distortion_of_sampled_codes():
    """KL = 1/2 sum (mean^2 + std^2 - 1 - log std^2), and (x - x_hat)^2 = (1 - gain)^2 x^2 + std^2 on average."""
    x = normal(3_000)
    images = Images(x.view(-1, 1, 1, WIDTH), torch.zeros(len(x)).long(), 1.0)
    gain, std = 0.7, 0.3
    entry = evaluate(linear(gain, std), FixedSplits("images", images, images, images, ()), ["bits_back"], {})[
        "bits_back"
    ]
    nats = 0.5 * ((gain * x).square() + std**2 - 1 - 2 * math.log(std)).sum(1).mean().item()
    assert entry["value"] == pytest.approx(nats / math.log(2), rel=0.01)
    mse = ((1 - gain) * x).square().mean().item() + std**2
    assert entry["curve"]["bits"] == [entry["value"]]
    assert entry["curve"]["mse"] == pytest.approx([mse], rel=0.02)
    assert entry["curve"]["psnr"] == pytest.approx([-10 * math.log10(entry["curve"]["mse"][0])])
    assert entry["n"] == 3_000


def test_bits_back_of_a_ladder_and_of_binary_pixels(digits, data):
    images = replace(data, kind="image")
    ladder = evaluate(linear(1.0, 0.5, bottleneck=Ladder(WIDTH, top=2, hidden=4)), images, ["bits_back", "elbo_kl"], {})
    assert ladder["bits_back"]["value"] * math.log(2) == pytest.approx(ladder["elbo_kl"]["value"], rel=0.05)
    binary = linear(3.0, 0.5, likelihood=BernoulliLikelihood())
    found = evaluate(binary, images, ["bits_back", "elbo_kl"], {})
    assert found["bits_back"]["value"] * math.log(2) == pytest.approx(found["elbo_kl"]["value"], rel=0.02)
