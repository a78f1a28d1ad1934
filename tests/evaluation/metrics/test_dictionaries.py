"""Dictionaries with known answers: the true one, random ones, orthogonal ones, copies; codes that are the label."""

from dataclasses import replace

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import beta
from torch import nn

from tests.evaluation.conftest import autoencoder, linear_model, measured
from zoo.data.sources import planted
from zoo.data.splits import Splits
from zoo.evaluation.evaluator import evaluate
from zoo.evaluation.measures import cosines
from zoo.evaluation.measures.cosines import largest_among, largest_cosines
from zoo.evaluation.measures.linear_probe import linear_probe
from zoo.evaluation.measures.sparse_probe import best_units, sparse_probes, standardised
from zoo.evaluation.metrics.dictionaries import (
    LEVELS,
    atom_coherence,
    k_sparse_probe_accuracy,
    kept_accuracy,
    planted_recovery,
)
from zoo.evaluation.references import references
from zoo.evaluation.registry import NotApplicable

RECOVERY = ["planted_recovery", "atom_coherence"]
SMALL = {"size": 6, "atoms": 48, "active": 2, "exponent": 0.0, "coherence": 0.4, "n_train": 4000, "n_test": 200}


@pytest.fixture(scope="module")
def known():
    """Images of 128 atoms in 64 dimensions."""
    return Splits(planted(n_train=600, n_test=100))


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def unit(rows):
    return nn.functional.normalize(rows, dim=1)


def model_of(atoms, used=None):
    """A linear model with these atoms: (M, 64); units that are not `used` (M,) are always zero."""
    model = linear_model(unit(torch.randn(atoms.shape, generator=torch.Generator().manual_seed(1))), torch.zeros(64))
    with torch.no_grad():
        model.decoder[0].weight.copy_(atoms.T)
        if used is not None:
            model.encoder[1].weight.mul_(used[:, None])
            model.encoder[1].bias.mul_(used)
    return model


def expected_by_chance(atoms, dimension):
    """E max |cos| of a direction with random ones: cos^2 ~ Beta(1/2, (P - 1) / 2)."""
    return quad(lambda c: 1 - beta.cdf(c**2, 0.5, (dimension - 1) / 2) ** atoms, 0, 1)[0]


# Atoms


def test_the_true_dictionary_is_recovered_up_to_order_sign_and_scale(known, generator):
    true = known.atoms.flatten(1)
    factors = (0.1 + torch.rand(128, 1, generator=generator)) * torch.randn(128, 1, generator=generator).sign()
    shuffled = (true * factors)[torch.randperm(128, generator=generator)]
    entry = evaluate(model_of(shuffled), known, RECOVERY, {})["planted_recovery"]
    assert entry["value"] == pytest.approx(1, abs=1e-5)
    assert entry["curve"] == {"cosine above": list(LEVELS), "true atoms": [1.0] * 7, "atoms": [1.0] * 7}
    assert (entry["n"], entry["direction"]) == (128, "higher")


def test_random_atoms_score_what_random_directions_do(known, generator):
    for count in (128, 512):
        entry = evaluate(model_of(torch.randn(count, 64, generator=generator)), known, RECOVERY, {})["planted_recovery"]
        assert entry["value"] == pytest.approx(expected_by_chance(count, 64), abs=0.01)
        assert entry["curve"]["true atoms"][-3:] == entry["curve"]["atoms"][-3:] == [0.0] * 3
    assert f"{expected_by_chance(128, 64):.2f} for 128 atoms in 64 dimensions" in str(planted_recovery.__doc__)


def test_half_of_the_dictionary_is_half_of_it(known):
    curve = evaluate(model_of(known.atoms.flatten(1)[:64]), known, RECOVERY, {})["planted_recovery"]["curve"]
    assert curve["true atoms"] == [0.5] * 7, "no other pair of atoms has a cosine above 0.3"
    assert curve["atoms"] == [1.0] * 7


def test_units_that_are_never_active_do_not_count(known):
    half = (torch.arange(128) < 64).float()
    curve = evaluate(model_of(known.atoms.flatten(1), half), known, RECOVERY, {})["planted_recovery"]["curve"]
    assert curve["true atoms"] == [0.5] * 7
    entries = evaluate(model_of(known.atoms.flatten(1), 0 * half), known, RECOVERY, {})
    assert {entry["reason"] for entry in entries.values()} == {"no unit of the code is in use"}


def test_orthogonal_atoms_have_no_coherence_and_copies_are_coherent(pca, digits, generator):
    entry = evaluate(pca, digits, RECOVERY, {})["atom_coherence"]
    assert entry["value"] == pytest.approx(0, abs=1e-6)
    assert (entry["n"], entry["direction"]) == (16, "none")
    axes = torch.linalg.qr(torch.randn(64, 8, generator=generator)).Q.T
    assert atom_coherence(torch.cat([axes, -axes])).value == pytest.approx(1)
    one_copy = atom_coherence(torch.cat([axes, axes[:2]]))
    assert one_copy.value == pytest.approx(4 / 10)
    assert one_copy.table["largest cosine"][-1] == pytest.approx(1)


def test_three_directions_in_a_plane_reach_the_bound_of_welch():
    angle = torch.tensor([0.0, 1.0, 2.0]) * torch.pi / 3
    found = atom_coherence(torch.stack([angle.cos(), angle.sin()], 1))
    assert found.value == pytest.approx(((3 - 2) / (2 * (3 - 1))) ** 0.5)


def test_many_atoms_are_compared_in_parts(monkeypatch, generator):
    a, b = (unit(torch.randn(n, 6, generator=generator)) for n in (23, 11))
    whole = largest_among(a), largest_cosines(a, b)
    monkeypatch.setattr(cosines, "CHUNK", 5)
    torch.testing.assert_close((largest_among(a), largest_cosines(a, b)), whole)


def test_where_there_are_no_atoms(small_model, known, digits):
    entries = evaluate(small_model, digits, ["planted_recovery", "planted_recovery_of_dictionary_learning"], {})
    assert {entry["reason"] for entry in entries.values()} == {
        "the atoms that samples of digits are made of are not known"
    }
    curved = autoencoder(nn.Flatten(), nn.Sequential(nn.Sigmoid(), nn.Unflatten(1, (1, 8, 8))), 64)
    for entry in evaluate(curved, known, RECOVERY, {}).values():
        assert entry["reason"] == "the decoder is not linear in the code, so that it has no atoms"
    single = evaluate(model_of(torch.ones(1, 64)), known, ["atom_coherence"], {})["atom_coherence"]
    assert single["reason"] == "one unit of the code is in use, so that there are no two atoms to compare"


def test_scikit_learns_dictionary_is_as_large_as_the_true_one_and_recovers_it():
    data = Splits(planted(**SMALL))
    found = references(data, None)
    assert found.learned_atoms.shape == (48, 36)
    assert planted_recovery(found.learned_atoms, found.planted_atoms).value > 0.9 > 2 * expected_by_chance(48, 36)


def test_a_sparse_method_finds_atoms_that_pca_does_not_find(compose_job, fit_job):
    settings = [f"data.source.{name}={value}" for name, value in SMALL.items()]
    common = ["data=planted", *settings, "budget.epochs=8", "budget.batch_size=64", "optimizer.lr=0.02"]
    runs = {
        "topk": fit_job(compose_job(*common, "variant=topk", "width=2", "bottleneck.units=48")),
        "pca": fit_job(compose_job(*common, "variant=pca", "width=36")),
    }
    found = {name: evaluate(run.model, run.data, ["planted_recovery"], {}) for name, run in runs.items()}
    value = {name: entries["planted_recovery"]["value"] for name, entries in found.items()}
    assert value["topk"] > 0.9
    assert expected_by_chance(36, 36) < value["pca"] < 0.6


# Probes of few units


def parts(n, build):
    """Codes and labels for training, validation and test, in the order that probes take them."""
    generator = torch.Generator().manual_seed(0)
    return [part for _ in range(3) for part in build(n, generator)]


def one_hot_among_noise(n, generator):
    labels = torch.randint(4, (n,), generator=generator)
    noise = torch.randn(n, 20, generator=generator)
    return torch.cat([noise[:, :7], nn.functional.one_hot(labels, 4).float(), noise[:, 7:]], 1), labels


def test_one_unit_for_each_class_is_enough_where_units_are_classes():
    found = k_sparse_probe_accuracy(*parts(400, one_hot_among_noise))
    assert found.value == 1
    assert found.table == {"units": [1.0, 2.0, 5.0, 10.0], "accuracy": [1.0] * 4}


def test_a_label_that_is_a_unit_of_two_values_is_found():
    def build(n, generator):
        labels = torch.randint(2, (n,), generator=generator)
        codes = torch.randn(n, 9, generator=generator)
        codes[:, 6] = 3.0 * labels - 1
        return codes, labels

    assert k_sparse_probe_accuracy(*parts(300, build)).table["accuracy"] == [1.0] * 4


def test_noise_predicts_nothing():
    def build(n, generator):
        return torch.randn(n, 30, generator=generator), torch.randint(4, (n,), generator=generator)

    assert k_sparse_probe_accuracy(*parts(1000, build)).value == pytest.approx(0.25, abs=0.05)


def units_of(rows, inside, counts):
    z = standardised(rows)
    return best_units(z, (z.T @ z).numpy(), inside, counts)


def test_units_are_chosen_for_what_they_add_and_not_for_copies():
    """The class is whether a + b is above 0, and a has copies: both are needed, and a copy adds nothing."""

    def build(n, generator):
        a, b = torch.randn(2, n, generator=generator)
        return torch.stack([a, a, a, 0.9 * b, torch.zeros(n)], 1), (a + b > 0).long()

    rows = parts(1000, build)
    chosen = units_of(rows[0], rows[1] == 1, (1, 2, 5))
    assert {len(set(chosen[2].tolist()) & part) for part in ({0, 1, 2}, {3})} == {1}
    assert len(chosen[1]) == 1
    accuracy = k_sparse_probe_accuracy(*rows).table["accuracy"]
    assert accuracy[0] == pytest.approx(0.75, abs=0.04)
    assert accuracy[1] > 0.98


def test_units_are_chosen_whatever_their_scale():
    rows, labels = one_hot_among_noise(400, torch.Generator().manual_seed(0))
    rows[:, 7] *= 1e-3
    rows[:, 0] *= 1e3
    assert units_of(rows, labels == 0, (1,))[1].tolist() == [7]


def test_codes_that_are_all_equal_give_the_most_frequent_class():
    def build(n, generator):
        return torch.ones(n, 3), (torch.rand(n, generator=generator) < 0.3).long()

    rows = parts(500, build)
    assert k_sparse_probe_accuracy(*rows).value == pytest.approx((rows[5] == 0).double().mean().item())


def test_a_probe_of_all_units_is_the_linear_probe(digits):
    """Of two classes, whose log-odds are opposite."""
    sets = [
        part.subset(((part.labels == 3) | (part.labels == 8)).nonzero()[:, 0])
        for part in (digits.train, digits.validation, digits.test)
    ]
    rows = [tensor for part in sets for tensor in (part[:].flatten(1), part.labels)][:5]
    varying = rows[0].std(0) > 0
    rows = [part[:, varying] if k % 2 == 0 else part for k, part in enumerate(rows)]
    every = sparse_probes(*rows, (int(varying.sum()),))
    assert (next(iter(every.values())) == linear_probe(*rows)).float().mean() > 0.98


def test_of_many_training_codes_evenly_spaced_ones_are_used(monkeypatch):
    rows = parts(400, one_hot_among_noise)
    rows[1][torch.arange(400) % 4 != 0] = 0  # labels that would mislead the probe
    monkeypatch.setattr("zoo.evaluation.measures.sparse_probe.MOST", 100)
    assert k_sparse_probe_accuracy(*rows).value == 1


def test_digits_need_more_than_one_pixel(identity_model, digits):
    entry = evaluate(identity_model(1, 8, 8), digits, ["k_sparse_probe_accuracy"], {})["k_sparse_probe_accuracy"]
    accuracy = entry["curve"]["accuracy"]
    assert accuracy == sorted(accuracy)
    assert 0.3 < accuracy[0] < 0.6 < 0.85 < accuracy[-1]
    assert (entry["value"], entry["n"]) == (accuracy[2], 397)


# Accuracy on reconstructions


def test_what_is_reconstructed_exactly_keeps_the_networks_accuracy(identity_model, digits):
    both = evaluate(identity_model(1, 8, 8), digits, ["kept_accuracy", "feature_network_accuracy"], {})
    kept = both["kept_accuracy"]
    assert kept["value"] == both["feature_network_accuracy"]["value"] > 0.6
    assert kept["curve"] == {"images": ["reconstructions", "test images"], "accuracy": [kept["value"]] * 2}
    assert kept["n"] == 397


def test_the_mean_image_keeps_no_class(pca, digits):
    blind = model_of(torch.zeros(16, 64))
    with torch.no_grad():
        blind.decoder[0].bias.copy_(digits.train[:].mean(0).flatten())
    entry = evaluate(blind, digits, ["kept_accuracy"], {})["kept_accuracy"]
    shares = digits.test.labels.bincount() / len(digits.test)
    assert any(entry["value"] == pytest.approx(share.item()) for share in shares), "one class for all"
    some = evaluate(pca, digits, ["kept_accuracy"], {})["kept_accuracy"]
    assert entry["value"] < 0.15 < some["value"] <= some["curve"]["accuracy"][1] + 0.05


def test_reconstructions_are_clipped_as_images_are(digits):
    found = references(digits, None)
    with torch.no_grad():
        x = digits.test[:40]
        torch.testing.assert_close(found.logits(3 * x - 1), found.network((3 * x - 1).clamp(0, 1)))
        torch.testing.assert_close(found.logits(x), found.test_logits[:40])


def test_without_labels_there_is_no_class_to_keep(small_model, digits):
    entries = measured(small_model, replace(digits, classes=()), ["dictionary"])
    for name in ("k_sparse_probe_accuracy", "kept_accuracy"):
        assert entries[name]["reason"] == "the data set digits has no labels"


def test_one_class_is_not_probed(digits):
    ones = torch.ones(10, dtype=torch.int64)
    with pytest.raises(NotApplicable, match="all of one class"):
        k_sparse_probe_accuracy(torch.rand(10, 3), ones, torch.rand(10, 3), ones, torch.rand(10, 3), ones)
    assert kept_accuracy(torch.eye(3), torch.eye(3)[[1, 2, 0]], torch.arange(3)).table["accuracy"] == [1.0, 0.0]
