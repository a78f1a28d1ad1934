"""Which metrics a part's abilities unlock: bottlenecks and likelihoods of these tests, unknown to the zoo."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from tests.evaluation.conftest import measured
from zoo.evaluation.registry import METRICS
from zoo.model.autoencoder import Autoencoder
from zoo.model.corruptions import NoCorruption
from zoo.types import Bottleneck, Code, Likelihood

WIDTH = 6
GROUPS = ["generation", "likelihood", "clustering", "code", "rate"]


class Plain(Bottleneck):
    """No ability, and a quarter of the units are zero."""

    def __init__(self):
        super().__init__(WIDTH, WIDTH)

    def forward(self, h, generator=None):
        z = h * (torch.arange(WIDTH) > 1)
        return Code(z, z)


class WithPrior(Plain):
    def sample(self, n, generator):
        return torch.randn(n, WIDTH, generator=generator)


class WithPosterior(Plain):
    def posterior(self, h):
        return Normal(h, 0.5)

    def log_prior(self, z):
        return Normal(0.0, 1.0).log_prob(z).sum(1)


class WithDraws(Plain):
    def draw(self, h, samples, generator=None):
        h = h.repeat(samples, 1)
        q = Normal(h, 0.5)
        z = h + 0.5 * torch.randn(h.shape, generator=generator)
        return z, (q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(1)


class WithPosteriorAndDraws(WithPosterior, WithDraws):
    pass


class WithCodebook(Plain):
    """Each unit is rounded to -1 or 1."""

    codebook_size, codebooks = 2, 1

    def forward(self, h, generator=None):
        z = torch.where(h > 0, 1.0, -1.0)
        return Code(z, z)

    def indices(self, point):
        return (point > 0).long()

    def points(self, indices):
        return 2.0 * indices - 1


class Halves(nn.Module):
    """Two components: the first unit is positive or not."""

    def log_prob(self, z):
        return Normal(0.0, 1.0).log_prob(z).sum(1)

    def sample(self, n, generator):
        return torch.randn(n, WIDTH, generator=generator)

    def component(self, z):
        return (z[:, 2] > 0).long()


class WithComponents(Plain):
    def __init__(self):
        super().__init__()
        self.prior = Halves()


class WithPlaces(Plain):
    """Three maps of two places; the first map is never active."""

    def __init__(self):
        super().__init__()
        self.places = 2


PRIOR = {f"prior_{name}" for name in ("frechet", "kernel_mmd", "precision", "recall", "density", "coverage")}
DRAWN = {"density_elbo", "elbo_reconstruction", "elbo_kl", "density_iwae_50", "iwae_50_bits_per_pixel", "bits_back"}
UNLOCKED = {
    Plain: set(),
    WithPrior: PRIOR,
    WithPosterior: {"unit_kl"},
    WithDraws: DRAWN,
    WithPosteriorAndDraws: {*DRAWN, "unit_kl", "mutual_information", "aggregate_kl"},
    WithCodebook: {"codebook_use", "codebook_perplexity", "code_bits_autoregressive", "frechet_autoregressive"},
    WithComponents: {"prior_nmi", "prior_accuracy"},
    WithPlaces: set(),
}
ABILITIES = set().union(*UNLOCKED.values())


class Own(Likelihood):
    """Gaussian pixels with the std 0.3, of images rounded to two levels."""

    def nll(self, raw, x, weight=None):
        squares = ((raw.view(-1, *x.shape) - x) / 0.3).square()
        return (squares / 2 + math.log(0.3) + math.log(2 * math.pi) / 2).flatten(2).sum(2).flatten()

    def mean(self, raw):
        return raw


class Rounding(Own):
    def target(self, x):
        return x.round()


class Noisy(Own):
    def noise_std(self):
        return torch.tensor(0.3)


def model_of(bottleneck, likelihood=None):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH))
        decoder = nn.Sequential(nn.Linear(WIDTH, 64), nn.Unflatten(1, (1, 8, 8)))
    return Autoencoder(encoder, bottleneck, decoder, likelihood or Own(), NoCorruption())


@pytest.mark.parametrize("bottleneck", UNLOCKED, ids=lambda each: each.__name__)
def test_abilities_of_a_bottleneck_unlock_metrics(bottleneck, digits):
    entries = measured(model_of(bottleneck()), digits, GROUPS)
    assert not [name for name, entry in entries.items() if entry.get("failed")]
    assert {name for name in ABILITIES if entries[name]["value"] is not None} == UNLOCKED[bottleneck]
    assert all(entries[name]["reason"] for name in ABILITIES - UNLOCKED[bottleneck])


def test_the_metrics_of_abilities_exist():
    assert METRICS.keys() >= ABILITIES


def test_places_count_maps_and_not_units(digits):
    plain, mapped = (measured(model_of(each()), digits, ["code"])["dead_fraction"] for each in (Plain, WithPlaces))
    assert (plain["value"], mapped["value"]) == pytest.approx((2 / 6, 1 / 3))
    single = WithPlaces()
    single.places = 3
    assert measured(model_of(single), digits, ["code"])["dead_fraction"]["value"] == 0


def test_rates_of_a_codebook_are_those_of_its_entries(digits):
    entry = measured(model_of(WithCodebook()), digits, ["rate"])["code_bits"]
    assert entry["value"] <= WIDTH + 0.1
    assert len(entry["curve"]["bits"]) == 1


def test_the_target_of_a_likelihood_is_what_bounds_are_of(digits):
    of_target = measured(model_of(WithDraws(), Rounding()), digits, ["likelihood"])["density_iwae_50"]["value"]
    rounded = digits.__class__(
        "rounded", digits.train, digits.validation, digits.test.__class__(
            digits.test[:].round().mul(16).to(torch.uint8), digits.test.labels, 16.0
        ), digits.classes,
    )  # fmt: skip
    expected = measured(model_of(WithDraws()), rounded, ["likelihood"])["density_iwae_50"]["value"]
    assert of_target == pytest.approx(expected, rel=1e-6)
    assert of_target != pytest.approx(
        measured(model_of(WithDraws()), digits, ["likelihood"])["density_iwae_50"]["value"]
    )


def test_the_noise_of_a_likelihood_gives_linear_models_an_exact_likelihood(digits):
    name = "linear_gaussian_log_likelihood"
    with_noise = measured(model_of(WithPosterior(), Noisy()), digits, ["likelihood"])[name]
    assert with_noise["value"] is not None
    without = measured(model_of(WithPosterior()), digits, ["likelihood"])[name]
    assert without["reason"] == "undefined: it needs a linear decoder with orthonormal columns"
