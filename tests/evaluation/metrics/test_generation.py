from copy import deepcopy

import numpy as np
import pytest
import torch

from tests.evaluation.conftest import SHORT, measured
from zoo.density.feasible import feasible
from zoo.density.gaussian import GaussianDensity
from zoo.evaluation.chosen_densities import ChosenDensities
from zoo.evaluation.measures.code_points import in_box, pairs, spherical, straight
from zoo.evaluation.measures.distances import manifold
from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.registry import METRICS, NotApplicable
from zoo.evaluation.subject import Subject
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.lfq import LFQ
from zoo.model.bottlenecks.topk import TopK
from zoo.report.statistics import decoded, estimate

SETS = ("frechet", "kernel_mmd", "precision", "recall", "density", "coverage")


def rows(entry):
    return dict(zip(*entry["curve"].values(), strict=True))


@pytest.fixture(scope="module")
def records(pca, digits):
    return measured(pca, digits, ["generation", "gaps"], {})


def test_samples_that_are_the_test_images_are_perfect(identity_model, digits):
    records = measured(identity_model(1, 8, 8), digits, ["generation"], {})
    assert rows(records["frechet"])["reconstructions"] == pytest.approx(0, abs=1e-6)
    assert rows(records["precision"])["reconstructions"] == 1
    assert rows(records["recall"])["reconstructions"] == 1
    assert rows(records["coverage"])["reconstructions"] == 1


def test_better_densities_give_better_samples(records):
    """Codes of PCA are far from standard normal, and digits form clusters."""
    frechet, precision = rows(records["frechet"]), rows(records["precision"])
    assert max(frechet, key=frechet.get) == "standard_normal"
    assert frechet["training images"] < frechet["mixture"] < frechet["gaussian"] < frechet["standard_normal"]
    assert frechet["mixture"] < frechet["standard_normal"] / 2
    assert min(precision["training images"], precision["mixture"]) > precision["gaussian"]
    assert records["frechet"]["value"] == frechet["mixture"]
    assert records["feature_network_accuracy"]["value"] > 0.9


def test_every_set_is_as_large_as_the_test_split(records, digits):
    for name in SETS:
        assert records[name]["n"] == len(digits.test), name


def test_comparisons_hold_resamples_in_which_models_are_paired(records, pca, digits):
    """The same draws, decoded a little paler: what differs does so in nearly all resamples."""
    paler = deepcopy(pca)
    with torch.no_grad():
        paler.decoder[0].weight.mul_(0.97)
    others = measured(paler, digits, ["generation"], {})
    for name in (name for name in SETS if METRICS[name].direction != "none"):
        entry, other = records[name], others[name]
        one, two = (estimate([each["value"]], [decoded(each["resampled"])]) for each in (entry, other))
        low, high = entry["interval"]
        assert low <= entry["value"] <= high
        assert one.half_width == pytest.approx((high - low) / 2, rel=0.3)
        assert np.mean(one.resampled) == pytest.approx(one.mean, abs=one.half_width)
        assert np.std(one.resampled - two.resampled) < 0.6 * np.hypot(np.std(one.resampled), np.std(two.resampled))
        assert not one.differs(one)
    assert "resampled" not in records["feature_network_accuracy"]
    assert "interval" not in records["prior_frechet"]


def test_influences_of_draws_show_how_far_other_draws_would_move_a_comparison(pca, digits):
    subject = Subject(pca, digits, {}, chosen=ChosenDensities(SHORT))
    with torch.no_grad():
        mixture, n = subject.fast_densities["mixture"], subject.samples
        draws = [{"mixture": subject.decode(mixture.sample(n, seed))} for seed in range(24)]
        sets = [subject.likeness(images)["mixture"] for images in draws]
    for compared in (lambda s: s.frechet, lambda s: s.kernel, lambda s: s.manifold.density):
        values = torch.tensor([compared(each).value for each in sets])
        variance = torch.stack([compared(each).fake.var() / n for each in sets]).mean()
        assert 0.6 < variance.sqrt() / values.std() < 1.6


def test_halfway_by_hand():
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    torch.testing.assert_close(straight(a, b), torch.tensor([[1.0, 1.0]]))
    torch.testing.assert_close(spherical(a, b, torch.zeros(2)), torch.full((1, 2), 2**0.5))
    moved = spherical(a + 5, b + 5, torch.full((2,), 5.0))
    torch.testing.assert_close(moved, torch.full((1, 2), 5 + 2**0.5))
    torch.testing.assert_close(spherical(a, a, torch.zeros(2)), a)
    torch.testing.assert_close(spherical(a, -a, torch.ones(2) * 0), torch.zeros(1, 2))


def test_spherical_keeps_the_norm():
    g = torch.Generator().manual_seed(0)
    a, b = (torch.nn.functional.normalize(torch.randn(500, 6, generator=g)) for _ in range(2))
    torch.testing.assert_close(spherical(a, b, torch.zeros(6)).norm(dim=1), torch.ones(500))


def test_box_and_pairs():
    codes = torch.tensor([[0.0, -1.0], [4.0, 1.0], [2.0, 3.0]])
    box = in_box(codes, 5000, 0)
    torch.testing.assert_close(box.amin(0), torch.tensor([0.0, -1.0]), rtol=0, atol=0.01)
    torch.testing.assert_close(box.amax(0), torch.tensor([4.0, 3.0]), rtol=0, atol=0.01)
    a, b = pairs(codes, 200, 0)
    assert (a != b).any(1).all()


def test_gaps_of_a_linear_code(records):
    """Encoding undoes linear decoding everywhere; the box's corners are farthest from digits."""
    assert max(rows(records["gap_reencoding_shift"]).values()) < 1e-4
    distance, realism = rows(records["gap_feature_distance"]), rows(records["gap_realism"])
    assert distance["box"] > distance["density"] > distance["straight"]
    assert distance["test images"] == pytest.approx(1, rel=1e-5)
    assert realism["test images"] == pytest.approx(0.95, abs=0.01)
    assert realism["reconstructions"] > realism["density"] > realism["box"]
    for entry, each in ((records["gap_feature_distance"], distance), (records["gap_realism"], realism)):
        assert entry["value"] == pytest.approx(sum(each[kind] for kind in ("straight", "spherical", "density")) / 3)
    assert records["gap_feature_distance"]["direction"] == records["gap_reencoding_shift"]["direction"] == "none"


@pytest.mark.parametrize(("bottleneck", "active"), [(LFQ(2, 8), 16), (TopK(16, 3), 3)])
def test_points_in_gaps_are_codes_that_the_bottleneck_emits(pca, digits, monkeypatch, bottleneck, active):
    """Also those halfway between two codes, which of discrete codes are hardly ever codes themselves."""
    model, decoded = Autoencoder(pca.encoder, bottleneck, pca.decoder, pca.likelihood, pca.corruption).eval(), []
    decode = Subject.decode
    monkeypatch.setattr(Subject, "decode", lambda self, z: decoded.append(z) or decode(self, z))
    with torch.no_grad():
        points = Subject(model, digits, {}).gap_points
    assert list(points.distance) == ["straight", "spherical", "density", "box", "reconstructions", "test images"]
    for z in decoded[-5:]:
        assert (z != 0).sum(1).max() <= active
        assert active == 3 or set(z.unique().tolist()) == {-1.0, 1.0}


def test_a_blur_is_no_real_image(identity_model, digits):
    """The mean image of every class is nearer to training images than test images are: a small distance is no merit."""
    subject = Subject(identity_model(1, 8, 8), digits, {})
    means = torch.stack([digits.train[:][digits.train.labels == digit].mean(0) for digit in range(10)])
    noise = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, train = subject.references.features, subject.references.train_features
        usual, blurred, garbage = (nearest(features(x), train, 1)[0][:, 0] for x in (digits.test[:], means, noise))
    low, high = usual.quantile(torch.tensor([0.025, 0.975]))
    assert blurred.mean() < usual.mean() < garbage.mean()
    assert (garbage > high).float().mean() > 0.5
    assert (blurred < usual.median()).float().mean() > 0.5
    assert low > 0


def test_codes_that_never_vary_have_no_density(small_model, digits):
    torch.nn.init.zeros_(small_model.encoder[1].weight)
    records = measured(small_model, digits, ["generation"], {})
    assert records["frechet"]["reason"] == "a density needs codes that vary; these 1200 are all equal"


@pytest.fixture
def variational(pca, digits):
    """PCA with codes of unit variance, as a VAE: the first half of the encoder's output is the posterior's mean."""
    std = pca.encode(digits.train[:]).std(0).detach()
    encoder = torch.nn.Sequential(pca.encoder, Rescaled(1 / std), torch.nn.ZeroPad1d((0, 16)))
    decoder = torch.nn.Sequential(Rescaled(std), pca.decoder)
    return Autoencoder(encoder, DiagonalPosterior(16), decoder, pca.likelihood, pca.corruption)


class Rescaled(torch.nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return self.scale * x


def test_a_standard_normal_prior_is_the_standard_normal_density(variational, digits):
    """The same draws of the same distribution, once as a prior and once as a density."""
    records = measured(variational, digits, ["generation"], {})
    for name in SETS:
        found = records[f"prior_{name}"]
        assert found["value"] == pytest.approx(rows(records[name])["standard_normal"], abs=1e-6)
        assert rows(found) == {"prior": found["value"]}
        assert found["direction"] == records[name]["direction"]
        assert found["n"] == len(digits.test)
        assert "interval" in found


def test_a_model_without_a_prior_has_none(records):
    entry = records["prior_frechet"]
    assert entry["value"] is None
    assert entry["reason"] == "the model has no prior to sample from"


def test_learned_densities_have_metrics_of_their_own(pca, digits):
    learned = measured(pca, digits, ["learned_generation"], {})
    names = ["flow", "flow_matching", "two_stage_vae"]
    for name in SETS:
        entry = learned[f"learned_{name}"]
        assert list(rows(entry)) == names
        assert entry["value"] == rows(entry)["flow"]
        assert "flow" in entry["definition"]
    likelihood = learned["code_log_likelihood"]
    assert list(rows(likelihood)) == ["standard_normal", "gaussian", "mixture", "kernel", *names]
    assert rows(likelihood)["gaussian"] > rows(likelihood)["standard_normal"]
    assert likelihood["n"] == len(digits.test)


def test_draws_become_codes_that_the_bottleneck_emits(pca, digits):
    encoder, decoder, likelihood, clean = pca.encoder, pca.decoder, pca.likelihood, pca.corruption
    z = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        dense = Subject(pca, digits, {}).feasible(z)
        sparse = Subject(Autoencoder(encoder, TopK(16, 3), decoder, likelihood, clean).eval(), digits, {}).feasible(z)
        corners = Subject(Autoencoder(encoder, LFQ(2, 8), decoder, likelihood, clean).eval(), digits, {}).feasible(z)
    assert torch.equal(dense, z)
    assert (sparse != 0).sum(1).max() == 3
    assert sparse.min() >= 0, "as no training code is below zero"
    assert torch.equal(sparse[sparse != 0], z.clamp(min=0)[sparse != 0])
    assert torch.equal(corners, torch.where(z > 0, 1.0, -1.0))


def test_draws_have_at_most_one_active_place_of_a_feature_map():
    generator = torch.Generator().manual_seed(0)
    codes = torch.zeros(50, 4, 9).scatter_(2, torch.randint(9, (50, 4, 1), generator=generator), 1.0)
    codes[:, :2] = 0.0
    z = torch.randn(30, 36, generator=generator)
    found = feasible(z, codes.flatten(1), None, places=9)
    assert ((found.view(30, 4, 9) != 0).sum(2) <= 1).all()
    assert 0 < (found != 0).sum(1).max() <= 2, "as many as codes have"
    assert torch.equal(found[found != 0], z[found != 0])


def test_samples_are_decoded_from_such_codes(pca, digits, monkeypatch):
    """Those that are compared with test images, and those of the Python interface."""
    sparse = Autoencoder(pca.encoder, TopK(16, 3), pca.decoder, pca.likelihood, pca.corruption).eval()
    monkeypatch.setattr(Subject, "decode", lambda self, z: z)
    with torch.no_grad():
        subject = Subject(sparse, digits, {})
        drawn = subject.drawn({"gaussian": GaussianDensity().fit(subject.train_codes)})
    assert 0 < (drawn["gaussian"] != 0).sum(1).max() <= 3


def test_images_are_clipped_before_they_are_compared(pca, digits):
    subject = Subject(pca, digits, {})
    x = digits.test[:64]
    beyond = torch.where(x > 0.9, 1.4, torch.where(x < 0.1, -0.3, x))
    with torch.no_grad():
        assert torch.equal(subject.references.features(beyond), subject.references.features(beyond.clamp(0, 1)))


def test_sets_too_small_for_neighbours_are_not_compared():
    with pytest.raises(NotApplicable, match="5 images have no 5th nearest neighbours"):
        manifold(torch.randn(5, 3), torch.randn(20, 3))
    assert manifold(torch.randn(6, 3), torch.randn(20, 3)).n == 20
