import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from tests.evaluation.conftest import autoencoder, linear_model, measured
from zoo.data.images import Images
from zoo.evaluation.measures.bounds import importance_bounds, marginal_log_likelihood
from zoo.evaluation.metrics.clustering import matched_accuracy, normalised_mutual_information
from zoo.evaluation.metrics.code_statistics import unit_kl
from zoo.evaluation.subject import Subject
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.ladder import Ladder
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import BernoulliLikelihood, GaussianLikelihood, OptimalGaussianLikelihood
from zoo.model.priors.mixture import MixturePrior
from zoo.model.priors.standard import LaplacePrior

STD, WIDTH = 0.3, 4


def linear_vae(slack=1.0):
    """x = W z + b + noise on 8x8 images; the encoder gives the true posterior's mean, and its diagonal, times slack.

    Returns the model and the exact p(x), a Gaussian with covariance W W' + std^2 I.
    """
    g = torch.Generator().manual_seed(0)
    w, b = 0.15 * torch.randn(64, WIDTH, generator=g), torch.rand(64, generator=g)
    precision = torch.eye(WIDTH) + w.T @ w / STD**2
    gain = torch.linalg.solve(precision, w.T) / STD**2
    log_variance = -precision.diagonal().log() + 2 * math.log(slack)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 2 * WIDTH))
    decoder = nn.Sequential(nn.Linear(WIDTH, 64), nn.Unflatten(1, (1, 8, 8)))
    with torch.no_grad():
        encoder[1].weight.copy_(torch.cat([gain, torch.zeros(WIDTH, 64)]))
        encoder[1].bias.copy_(torch.cat([-gain @ b, log_variance]))
        decoder[0].weight.copy_(w)
        decoder[0].bias.copy_(b)
    model = Autoencoder(encoder, DiagonalPosterior(WIDTH), decoder, GaussianLikelihood(STD), NoCorruption())
    exact = MultivariateNormal(b.double(), (w @ w.T + STD**2 * torch.eye(64)).double())
    return model, exact


@pytest.fixture(scope="module")
def images():
    _, exact = linear_vae()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return exact.sample((40,)).float().view(40, 1, 8, 8)


@torch.no_grad()
def bounds(model, x, samples, seed=0):
    return importance_bounds(model, model.bottleneck, x, samples, seed)


def test_bound_of_a_linear_vae_meets_its_log_likelihood(images):
    """Within 0.05 nats at K = 5,000 with a posterior too wide by a fifth, for each image."""
    model, exact = linear_vae(slack=1.2)
    log_likelihood = exact.log_prob(images.double().flatten(1))
    found = bounds(model, images, 5000)
    assert (found.iwae - log_likelihood).abs().max() < 0.05
    assert (found.elbo < log_likelihood - 0.05).all()


def test_bounds_rise_with_samples(images):
    model, exact = linear_vae(slack=1.5)
    means = [bounds(model, images, k).iwae.mean().item() for k in (1, 10, 100)]
    assert means == sorted(means)
    assert means[-1] < exact.log_prob(images.double().flatten(1)).mean().item() + 0.05


def test_terms_of_the_elbo(images):
    """The KL term is the closed form's, and one sample's bound is that sample's ELBO."""
    model, _ = linear_vae()
    found = bounds(model, images, 2000)
    with torch.no_grad():
        closed = model.bottleneck(model.encoder(images)).penalties["kl"]
    torch.testing.assert_close(found.kl, closed.double(), rtol=0, atol=0.15)
    torch.testing.assert_close(found.elbo, found.reconstruction - found.kl)
    one = bounds(model, images, 1)
    torch.testing.assert_close(one.iwae, one.elbo, rtol=1e-5, atol=1e-5)


def test_samples_are_seeded_and_streamed(images):
    """More samples than fit in one pass, and fewer images than in one, give the same kind of answer."""
    model, _ = linear_vae()
    assert torch.equal(bounds(model, images, 300).iwae, bounds(model, images, 300).iwae)
    assert not torch.equal(bounds(model, images, 300).iwae, bounds(model, images, 300, seed=1).iwae)
    alone = bounds(model, images[:1], 9000)
    torch.testing.assert_close(alone.iwae, bounds(model, images, 9000).iwae[:1], rtol=0, atol=0.05)


def test_records_of_a_variational_model(digits):
    model, _ = linear_vae()
    records = measured(model, digits, ["likelihood", "code"], {})
    value = {name: entry["value"] for name, entry in records.items()}
    assert value["density_elbo"] == pytest.approx(value["elbo_reconstruction"] - value["elbo_kl"])
    assert value["density_elbo"] < value["density_iwae_50"]
    assert value["iwae_50_bits_per_pixel"] == pytest.approx(-value["density_iwae_50"] / 64 / math.log(2) + 4)
    assert records["density_elbo"]["n"] == len(digits.test)
    assert records["elbo"]["reason"].startswith("the model gives samples a density and no probability")
    assert value["unit_kl"] * WIDTH == pytest.approx(value["elbo_kl"], abs=0.05)


def test_a_std_that_was_guessed_wrong_costs_nothing(digits):
    """The bounds are those of the std that suits validation images, whatever the model was fitted with, or learned."""
    records = []
    for likelihood in (OptimalGaussianLikelihood(), *map(GaussianLikelihood, (0.05, STD, 2.0))):
        model, exact = linear_vae()
        model.likelihood = likelihood
        records.append(measured(model, digits, ["likelihood"], {}))
    first, *others = [entry["density_iwae_50"]["value"] for entry in records]
    assert others == pytest.approx([first] * 3)
    with torch.no_grad():
        subject = Subject(model, digits, {})
        best = subject.likelihood.std
        assert subject.bounds.elbo.mean() > exact.log_prob(digits.test[:].double().flatten(1)).mean() - 20
        for other in (0.9 * best, 1.1 * best):
            worse = importance_bounds(model, model.bottleneck, subject.target, 50, 0, GaussianLikelihood(other))
            assert worse.elbo.mean() < subject.bounds.elbo.mean()


def test_probabilities_and_densities_have_columns_of_their_own(digits):
    model, _ = linear_vae()
    model.likelihood = BernoulliLikelihood()
    records = measured(model, digits, ["likelihood"], {})
    assert records["elbo"]["value"] < records["iwae_50"]["value"] < 0
    for name in ("density_elbo", "density_iwae_50", "iwae_50_bits_per_pixel"):
        assert records[name]["reason"].startswith("the model gives samples a probability and no density")


def test_real_pixels_have_no_bits(digits):
    model, _ = linear_vae()
    images = Images(digits.test[:], digits.test.labels, scale=1.0)
    records = measured(model, replace(digits, test=images), ["likelihood"], {})
    assert records["density_elbo"]["value"] is not None
    assert records["iwae_50_bits_per_pixel"]["reason"].startswith("the samples are not stored as whole numbers")


def test_a_laplace_code_is_compared_with_its_own_prior(digits):
    flat, _ = linear_vae()
    bottleneck = DiagonalPosterior(WIDTH, LaplacePrior, family="laplace")
    model = Autoencoder(flat.encoder, bottleneck, flat.decoder, flat.likelihood, NoCorruption()).eval()
    with torch.no_grad():
        records = measured(model, digits, ["likelihood", "code"], {})
        mixed = DiagonalPosterior(WIDTH, lambda width: MixturePrior(width, 3))
        model = Autoencoder(flat.encoder, mixed, flat.decoder, flat.likelihood, NoCorruption()).eval()
        other = measured(model, digits, ["code"], {})["unit_kl"]
    assert records["unit_kl"]["value"] * WIDTH == pytest.approx(records["elbo_kl"]["value"], rel=0.02)
    assert other["reason"] == "the prior is not a product of one standard distribution per unit"


def test_a_ladder_that_ignores_its_top_has_the_bounds_of_the_code_below_it(images):
    """Two layers of which the upper holds no information have the bounds of one layer, if its prior is N(0, I)."""
    flat, _ = linear_vae(slack=1.2)
    ladder = Ladder(WIDTH, top=2, hidden=8)
    for parameter in (*ladder.up.parameters(), *ladder.down.parameters()):
        nn.init.zeros_(parameter)
    with torch.no_grad():  # the product with N(0, I) is to be the posterior of the flat model
        h = flat.encoder(images)
        mean, log_variance = h.chunk(2, dim=1)
        precision = (-log_variance).exp() - 1
        given = torch.cat([mean * (precision + 1) / precision, -precision.log()], 1)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 2 * WIDTH))
    model = Autoencoder(encoder, ladder, flat.decoder, flat.likelihood, NoCorruption())
    encoder.forward = lambda x: given
    found, expected = bounds(model, images, 4000), bounds(flat, images, 4000)
    torch.testing.assert_close(found.kl, expected.kl, rtol=0, atol=0.15)
    torch.testing.assert_close(found.iwae, expected.iwae, rtol=0, atol=0.05)


def test_a_ladder_has_bounds_but_no_kl_by_unit(digits):
    flat, _ = linear_vae()
    model = Autoencoder(flat.encoder, Ladder(WIDTH), flat.decoder, flat.likelihood, NoCorruption()).eval()
    with torch.no_grad():
        records = measured(model, digits, ["likelihood", "code"], {})
    assert records["density_elbo"]["value"] < records["density_iwae_50"]["value"]
    assert records["unit_kl"]["reason"] == "the posterior is not a product of one distribution per unit"


def test_components_of_a_prior_are_clusters(digits):
    """Components at the means of the classes are found as their clusters."""
    flat, _ = linear_vae()
    bottleneck = DiagonalPosterior(WIDTH, lambda width: MixturePrior(width, 10))
    model = Autoencoder(flat.encoder, bottleneck, flat.decoder, flat.likelihood, NoCorruption()).eval()
    with torch.no_grad():
        codes, labels = model.encode(digits.test[:]), digits.test.labels
        means = torch.stack([codes[labels == digit].mean(0) for digit in range(10)])
        bottleneck.prior.mean.copy_(means)
        records = measured(model, digits, ["clustering"], {})
        nearest = torch.cdist(codes, means).argmin(1)
    assert records["prior_nmi"]["value"] == pytest.approx(normalised_mutual_information(nearest, labels).value)
    assert records["prior_accuracy"]["value"] == pytest.approx(matched_accuracy(nearest, labels).value)
    with torch.no_grad():
        none = measured(flat, digits, ["clustering"], {})["prior_nmi"]
    assert none["reason"] == "the model has no prior with components"


def test_unit_kl_by_hand():
    kl = torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    curve = unit_kl(kl)
    assert curve.value == 1
    assert curve.table["kl"][0] == 0
    assert curve.table["kl"][-1] == 2


def test_the_tight_bound_is_near_the_log_likelihood(digits):
    model, _ = linear_vae(slack=1.1)
    few = digits.test.subset(torch.arange(30))
    data = digits.__class__("few", few, few, few, digits.classes)
    entry = measured(model, data, ["bound"], {})["density_iwae_5000"]
    assert entry["n"] == 30
    with torch.no_grad():
        subject = Subject(model, data, {})
        axes, origin = model.decoder[0].weight.T, model.decoder[0].bias
        x, std = subject.target.flatten(1), torch.tensor(subject.likelihood.std)
        exact = marginal_log_likelihood(x, axes, origin, std).mean().item()
    assert exact - 0.5 < entry["value"] < exact + 0.05


def test_binary_likelihoods_evaluate_binary_images(digits):
    model, _ = linear_vae()
    noise = Subject(model, digits, {}).target - digits.test[:]
    assert noise.abs().max() <= 0.5 / 16
    assert noise.std() == pytest.approx(1 / 16 / 12**0.5, rel=0.02)
    model.likelihood = BernoulliLikelihood()
    target = Subject(model, digits, {}).target
    assert set(target.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(target == 1, digits.test[:] > 0.5)


def test_probabilistic_pca_equals_scikit_learns(pca, digits):
    """scikit-learn divides by N - 1 where the maximum of the likelihood has N."""
    record = measured(pca, digits, ["likelihood"], {})["linear_gaussian_log_likelihood"]
    rng = np.random.default_rng(0)
    train, test = (x[:].flatten(1).numpy() for x in (digits.train, digits.test))
    train, test = (x + rng.uniform(-0.5, 0.5, x.shape) / 16 for x in (train, test))
    assert record["value"] == pytest.approx(PCA(16).fit(train).score(test), abs=0.3)


def test_exact_likelihood_of_a_linear_vae(digits):
    """Whatever its encoder: what is left when the code is integrated out of prior, decoder and noise."""
    model, exact = linear_vae(slack=1.5)
    real = replace(digits, test=Images(digits.test[:], digits.test.labels, scale=1.0))
    expected = exact.log_prob(digits.test[:].double().flatten(1)).mean().item()
    record = measured(model, real, ["likelihood"], {})["linear_gaussian_log_likelihood"]
    assert record["value"] == pytest.approx(expected, abs=1e-3)
    noisy = MultivariateNormal(exact.mean, exact.covariance_matrix + torch.eye(64).double() / 256 / 12)
    expected = noisy.log_prob(Subject(model, digits, {}).target.double().flatten(1)).mean().item()
    record = measured(model, digits, ["likelihood"], {})["linear_gaussian_log_likelihood"]
    assert record["value"] == pytest.approx(expected, abs=1e-3)
    model.bottleneck.log_prior = lambda z: Normal(0.0, 2.0).log_prob(z).sum(1)
    record = measured(model, digits, ["likelihood"], {})["linear_gaussian_log_likelihood"]
    assert record["value"] is None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("width", "reason"),
    [
        (3, "the code loses nothing of the training samples, which leaves no noise"),
        (4, "the covariance .* is singular"),
    ],
)
def test_a_residue_of_rounding_is_no_noise(digits, width, reason, seed):
    """Samples of rank 3 that are no grey levels: their log-density depended on the last bits, or was that of nan."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(300, 3, generator=generator) @ torch.randn(3, 64, generator=generator) + 2
    parts = [Images(rows[k::3].view(-1, 1, 8, 8), torch.zeros(100, dtype=torch.long), 1.0) for k in range(3)]
    data = replace(digits, train=parts[0], validation=parts[1], test=parts[2])
    mean = rows[::3].mean(0)
    axes = torch.linalg.svd(rows[::3] - mean).Vh[:width]
    found = measured(linear_model(axes, mean), data, ["likelihood"], {})["linear_gaussian_log_likelihood"]
    assert re.fullmatch(f"undefined: {reason}", found["reason"])


def test_a_gaussian_without_likelihood_elsewhere(digits, small_model, identity_model):
    reason = "undefined: it needs a linear decoder with orthonormal columns"
    records = measured(small_model, digits, ["likelihood"], {})
    assert records["linear_gaussian_log_likelihood"]["reason"] == reason
    assert records["elbo"]["reason"] == "the model is not variational: its code has no posterior"
    dead = linear_model(torch.eye(64)[:3], torch.zeros(64))  # the first of 8x8 pixels are always 0
    records = measured(dead, digits, ["likelihood"], {})
    assert (
        records["linear_gaussian_log_likelihood"]["reason"]
        == "undefined: the covariance of the training codes is singular"
    )
    curved = autoencoder(nn.Sequential(nn.Flatten(), nn.ReLU()), nn.Unflatten(1, (1, 8, 8)), 64)
    with torch.no_grad():
        wide = measured(curved, digits, ["likelihood"], {})["linear_gaussian_log_likelihood"]
    assert wide["reason"].startswith("undefined: the code is as wide as the image")
