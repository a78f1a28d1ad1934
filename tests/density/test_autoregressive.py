"""The density of codebook entries, on entries from a known distribution."""

import math

import pytest
import torch

from zoo.density.autoregressive import AutoregressiveDensity
from zoo.errors import ZooError
from zoo.evaluation.chosen_densities import ChosenDensities
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject import Subject
from zoo.model.bottlenecks.lfq import LFQ
from zoo.options import build

CODE = LFQ(3, 2)  # three symbols out of four


def density(**settings):
    whole = {"units": 16, "steps": 300, "rate": 0.02} | settings
    return build("density", {"option": "autoregressive", **whole}).bind_codebook(CODE)


@pytest.fixture(scope="module")
def codes():
    """The first symbol is uniform, the second equals it nine times in ten, the third is their sum modulo 4."""
    g = torch.Generator().manual_seed(0)
    first, other = torch.randint(4, (2, 4000), generator=g)
    second = torch.where(torch.rand(4000, generator=g) < 0.9, first, other)
    return CODE.points(torch.stack([first, second, (first + second) % 4], 1))


@pytest.fixture(scope="module")
def fitted(codes):
    return density().fit(codes)


def test_entropy_is_that_of_the_distribution(fitted, codes):
    same = 0.9 + 0.1 / 4
    entropy = math.log(4) - same * math.log(same) - (1 - same) * math.log(0.1 / 4)
    assert -fitted.log_prob(codes).mean().item() == pytest.approx(entropy, abs=0.05)


def test_probabilities_of_all_codes_add_up_to_one(fitted):
    every = torch.cartesian_prod(*[torch.arange(4)] * 3)
    log_prob = fitted.log_prob(CODE.points(every))
    assert log_prob.dtype is torch.float64
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_distribution(fitted):
    symbols = CODE.indices(fitted.sample(5000, 0))
    assert (torch.bincount(symbols[:, 0], minlength=4) / 5000 - 0.25).abs().max() < 0.05
    assert (symbols[:, 0] == symbols[:, 1]).float().mean().item() == pytest.approx(0.925, abs=0.02)
    assert ((symbols[:, 0] + symbols[:, 1]) % 4 == symbols[:, 2]).float().mean() > 0.97


def test_samples_agree_with_the_probabilities(fitted):
    z = fitted.sample(5000, 1)
    share = (z == z[0]).all(1).float().mean().item()
    assert share == pytest.approx(fitted.log_prob(z[:1]).exp().item(), abs=0.03)


def test_seeds(fitted, codes):
    state = torch.get_rng_state()
    again = density().fit(codes)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again.sample(50, 3), fitted.sample(50, 3))
    assert not torch.equal(fitted.sample(50, 4), fitted.sample(50, 3))


def test_too_few_codes(codes):
    with pytest.raises(ZooError, match="at least 10 codes, not 9"):
        density().fit(codes[:9])


def test_without_a_codebook(codes):
    with pytest.raises(ZooError, match=r"describes entries of a codebook; call bind_codebook\(...\) before fit"):
        AutoregressiveDensity().fit(codes)


def test_a_continuous_code_has_none(compose_job, fit_job):
    run = fit_job(compose_job("variant=pca"))
    subject = Subject(run.model, run.data, {})
    for name in ("index_samples", "index_bits"):
        with pytest.raises(NotApplicable, match="the code is not discrete: it has no codebook"):
            getattr(subject, name)


def test_a_discrete_code_has_one(compose_job, fit_job):
    run = fit_job(compose_job("variant=fsq", "budget.epochs=2"))
    with torch.no_grad():
        short = ChosenDensities({"autoregressive": {"option": "autoregressive", "units": 16, "steps": 30}})
        subject = Subject(run.model, run.data, {}, chosen=short)
        assert 0 < subject.index_bits.mean().item() < 8 * math.log2(240)
        z = subject.index_density.sample(20, 0)
        assert torch.equal(run.model.bottleneck.points(run.model.bottleneck.indices(z)), z)
