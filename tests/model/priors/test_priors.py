import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from zoo.errors import ZooError
from zoo.model.autoencoder import build
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood
from zoo.model.networks.mlp import mlp
from zoo.model.priors.mixture import MixturePrior
from zoo.model.priors.vamp import VampPrior

WIDTH = 3


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def z():
    return 2 * torch.randn(7, WIDTH, generator=seeded())


def spread(prior, scale=1.0):
    """The same prior with parameters that differ from component to component."""
    with torch.no_grad():
        for i, parameter in enumerate(prior.parameters()):
            parameter.copy_(scale * torch.randn(parameter.shape, generator=seeded(i)))
    return prior


def vamp_model(components=4):
    """A model for 4x4 images with a VampPrior."""
    return build(
        (1, 4, 4),
        network=lambda *args: mlp(*args, hidden=(8,)),
        bottleneck=lambda: DiagonalPosterior(WIDTH, lambda width: VampPrior(width, components)),
        likelihood=GaussianLikelihood(),
        corruption=NoCorruption(),
        seed=0,
    )


def test_a_mixture_is_that_of_torch_distributions(z):
    prior = spread(MixturePrior(WIDTH, 5))
    components = Independent(Normal(prior.mean, (0.5 * prior.log_variance).exp()), 1)
    expected = MixtureSameFamily(Categorical(logits=prior.logits), components)
    torch.testing.assert_close(prior.log_prob(z), expected.log_prob(z))
    posterior = components.log_prob(z[:, None]) + prior.logits.log_softmax(0)
    assert torch.equal(prior.component(z), posterior.argmax(1))
    assert len(prior.component(z).unique()) > 1


def test_a_mixture_of_one_standard_normal_is_the_standard_prior(z):
    prior = MixturePrior(WIDTH, 1)
    torch.nn.init.zeros_(prior.mean)
    torch.testing.assert_close(prior.log_prob(z), DiagonalPosterior(WIDTH).log_prior(z))
    assert torch.equal(prior.component(z), torch.zeros(7, dtype=torch.int64))


def test_vamp_of_one_pseudo_input_is_that_images_posterior(z):
    model = vamp_model(1)
    prior = model.bottleneck.prior
    q = model.bottleneck.posterior(model.encoder(prior.pseudo_inputs))
    torch.testing.assert_close(model.bottleneck.log_prior(z), q.log_prob(z).sum(1))


def test_vamp_is_the_mean_of_posteriors_of_pseudo_inputs(z):
    model = vamp_model(4)
    prior = model.bottleneck.prior
    with torch.no_grad():
        prior.logits.copy_(3 * torch.randn(4, 1, 4, 4, generator=seeded()))
    posteriors = (model.bottleneck.posterior(model.encoder(u[None])) for u in prior.pseudo_inputs)
    density = sum(q.log_prob(z).sum(1).exp() for q in posteriors) / 4
    torch.testing.assert_close(prior.log_prob(z), density.log())


def test_pseudo_inputs_start_as_training_images_and_have_gradients():
    model = vamp_model(4)
    images = torch.rand(9, 1, 4, 4, generator=seeded())
    prior = model.bottleneck.prior
    prior.start_from_data(images)
    torch.testing.assert_close(prior.pseudo_inputs, images[[0, 2, 4, 6]], rtol=0, atol=0.02)
    step = model(images, seeded())
    step.code.penalties["kl"].sum().backward()
    assert (prior.logits.grad.abs().flatten(1).sum(1) > 0).all()


def test_pixels_at_the_ends_of_the_range_learn():
    """Four of five pixels of a digit are exactly 0 or 1, where clipping has no gradient."""
    model = vamp_model(4)
    prior, images = model.bottleneck.prior, torch.randint(2, (9, 1, 4, 4), generator=seeded()).float()
    prior.start_from_data(images)
    before = prior.pseudo_inputs.detach()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for step in range(20):
        optimizer.zero_grad()
        model(images, seeded(step)).code.penalties["kl"].mean().backward()
        optimizer.step()
    assert (prior.pseudo_inputs != before).all()


def test_pseudo_inputs_are_in_the_range_of_the_data():
    prior = vamp_model(9).bottleneck.prior
    vectors = 3 * torch.randn(9, 1, 4, 4, generator=seeded()) - 1
    prior.start_from_data(vectors)
    torch.testing.assert_close(prior.pseudo_inputs, vectors, rtol=0, atol=0.02 * (vectors.max() - vectors.min()).item())


def test_the_encoder_is_not_a_submodule_of_the_prior():
    model = vamp_model(4)
    names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    assert "bottleneck.prior.logits" in names
    assert sum("prior" in name for name in names) == 1


def test_vamp_without_an_encoder(z):
    with pytest.raises(ZooError, match="need an encoder"):
        VampPrior(WIDTH).log_prob(z)


@pytest.mark.parametrize("kind", [MixturePrior, VampPrior])
def test_invalid_numbers_of_components_are_refused(kind):
    with pytest.raises(ZooError, match=r"prior\.components=0"):
        kind(WIDTH, 0)


def test_importance_samples_with_a_vamp_prior_train(compose_job, fit_job):
    job = compose_job("variant=vae", "bottleneck=importance", "prior=vamp", "objective=iwae", "budget.epochs=2")
    assert job.config["bottleneck"] == {
        "option": "importance",
        "width": 8,
        "prior": {"option": "vamp", "components": 500},
        "samples": 5,
        "closed_form": False,
        "family": "normal",
    }
    run = fit_job(job)
    prior, losses = run.model.bottleneck.prior, run.report.history["validation_total"]
    assert isinstance(prior, VampPrior)
    assert losses[1] < losses[0]
    index = torch.arange(500) * len(run.data.train) // 500
    assert (prior.logits.sigmoid() - run.data.train[index].clamp(0.01, 0.99)).abs().mean() > 1e-3, "inputs are learned"
    assert (prior.pseudo_inputs - run.data.train[index]).abs().mean() < 0.1, "and start from training images"


@pytest.mark.parametrize("make", [lambda: spread(MixturePrior(WIDTH, 5)), lambda: vamp_model(4).bottleneck.prior])
@torch.no_grad()
def test_draws_follow_the_density(make):
    """The mean of exp(log N(z) - log p(z)) over draws of p is the integral of N, which is one."""
    prior, n = make(), 50_000
    z = prior.sample(n, seeded(1))
    assert torch.equal(z, prior.sample(n, seeded(1)))
    weight = (Normal(z.mean(0), z.std(0) / 2).log_prob(z).sum(1) - prior.log_prob(z)).exp()
    assert weight.mean().item() == pytest.approx(1, abs=5 * weight.std().item() / math.sqrt(n))
    assert weight.std() < 20


def test_kl_under_a_learned_prior_is_estimated_at_the_samples():
    """Under one standard component its mean is the closed form's."""
    h = torch.randn(2, 2 * WIDTH, generator=seeded())
    bottleneck = DiagonalPosterior(WIDTH, lambda width: MixturePrior(width, 1), samples=20_000)
    torch.nn.init.zeros_(bottleneck.prior.mean)
    kl = bottleneck(h, seeded(1)).penalties["kl"].view(20_000, 2)
    exact = kl_divergence(bottleneck.posterior(h), Normal(0.0, 1.0)).sum(1)
    assert ((kl.mean(0) - exact).abs() < 4 * kl.std(0) / math.sqrt(20_000)).all()
