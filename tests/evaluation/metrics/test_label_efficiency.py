from dataclasses import replace

import pytest
import torch

from tests.evaluation.conftest import FixedSplits, measured
from zoo.data.images import Images
from zoo.evaluation.measures.linear_probe import DRAWS, few_label_probe, labelled
from zoo.evaluation.metrics.label_efficiency import few_label_accuracy_1, few_label_accuracy_10, few_label_accuracy_100
from zoo.evaluation.registry import NotApplicable

METRICS = {1: few_label_accuracy_1, 10: few_label_accuracy_10, 100: few_label_accuracy_100}


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def labels(n, classes, seed=0):
    return torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("per_class", METRICS)
def test_a_code_that_is_the_label_needs_one_label_a_class(per_class):
    train, test = labels(2000, 5), labels(300, 5, seed=1)
    codes = [torch.nn.functional.one_hot(each).float() for each in (train, test)]
    found = METRICS[per_class](codes[0], train, codes[1], test)
    assert found.shape == (300,)
    assert (found == 1).all()


@pytest.mark.parametrize("per_class", METRICS)
def test_noise_is_predicted_at_chance(per_class):
    found = METRICS[per_class](normal(2000, 8), labels(2000, 5), normal(2000, 8, seed=1), labels(2000, 5, seed=1))
    assert found.mean().item() == pytest.approx(0.2, abs=0.02)
    assert found.mul(DRAWS).remainder(1).abs().max() < 1e-9, "of 20 draws"


def test_more_labels_help_and_all_that_there_are_give_the_whole_probe():
    """Two Gaussians at distance 2: at most Phi(1) = 0.841 of the answers can be right."""
    train, test = labels(4000, 2), labels(4000, 2, seed=1)
    codes = [normal(4000, 10, seed) + 2 * y[:, None] * torch.eye(10)[0] for seed, y in ((2, train), (3, test))]
    accuracy = [few_label_probe(codes[0], train, codes[1], test, k).mean().item() for k in (1, 10, 100, 1000)]
    assert accuracy == sorted(accuracy)
    assert accuracy[0] < 0.7
    assert accuracy[-1] == pytest.approx(0.841, abs=0.02)


def test_draws_are_fixed_differ_from_one_another_and_are_nested():
    known = labels(500, 4)
    few, more = labelled(known, 3, seed=7), labelled(known, 10, seed=7)
    assert known[few].bincount().tolist() == [3] * 4
    assert len(set(more.tolist())) == 40
    assert set(few.tolist()) < set(more.tolist())
    assert torch.equal(few, labelled(known, 3, seed=7))
    assert set(few.tolist()) != set(labelled(known, 3, seed=8).tolist())


def test_what_a_decoder_undoes_changes_little():
    """A rotation, a constant and one scale of the code: the probe sees the same rows."""
    train, test = labels(400, 3), labels(400, 3, seed=1)
    means = 2 * normal(3, 6, seed=2)
    codes = normal(400, 6, seed=3) + means[train], normal(400, 6, seed=4) + means[test]
    turn = torch.linalg.qr(normal(6, 6, seed=5)).Q
    plain = few_label_probe(codes[0], train, codes[1], test, 5)
    other = few_label_probe(50 * codes[0] @ turn + 9, train, 50 * codes[1] @ turn + 9, test, 5)
    assert (plain - other).abs().mean() < 0.01


def test_a_class_with_too_few_samples():
    known = torch.cat([labels(500, 3), torch.full((5,), 3)])
    rows = normal(505, 4), known, normal(20, 4, seed=1), labels(20, 4, seed=1)
    assert few_label_accuracy_1(*rows).shape == (20,)
    with pytest.raises(NotApplicable, match="the smallest class has 5 training samples, fewer than 10 to be labelled"):
        few_label_accuracy_10(*rows)
    with pytest.raises(NotApplicable, match="the training samples are all of one class"):
        few_label_accuracy_1(rows[0], torch.ones_like(known), *rows[2:])


def test_sparse_codes_are_probed_as_dense_ones_are(monkeypatch):
    train, test = labels(600, 4), labels(200, 4, seed=1)
    codes = [torch.nn.functional.one_hot(4 * y + labels(len(y), 4, seed=2), 64).float() for y in (train, test)]
    sparse = few_label_probe(codes[0], train, codes[1], test, 5)
    monkeypatch.setattr("zoo.evaluation.measures.linear_probe.SPARSE", 0.0)
    assert (few_label_probe(codes[0], train, codes[1], test, 5) - sparse).abs().mean() < 0.02
    assert 0.5 < sparse.mean() < 1


def test_the_code_of_an_identity_model_is_the_reference(identity_model, digits):
    records = measured(identity_model(1, 8, 8), digits, ["label_efficiency"])
    value = {name: entry["value"] for name, entry in records.items()}
    assert 0.4 < value["few_label_accuracy_1"] < value["few_label_accuracy_10"] < value["few_label_accuracy_100"]
    reference = records["few_label_accuracy_of_pixels"]
    assert reference["value"] == value["few_label_accuracy_10"]
    assert reference["curve"]["labels a class"] == [1, 10, 100]
    assert reference["curve"]["accuracy"] == [value[f"few_label_accuracy_{k}"] for k in (1, 10, 100)]
    assert reference["n"] == records["few_label_accuracy_1"]["n"] == len(digits.test)
    assert set(records["few_label_accuracy_1"]["per_class"]) == set(digits.classes)


def test_small_and_unlabelled_data(identity_model, digits):
    few = digits.train.subset(torch.arange(60))
    small = measured(identity_model(1, 8, 8), replace(digits, train=few), ["label_efficiency"])
    assert small["few_label_accuracy_1"]["value"] > 0.3
    assert small["few_label_accuracy_10"]["reason"].startswith("the smallest class has")
    assert small["few_label_accuracy_of_pixels"]["reason"] == "a class has fewer than 10 training samples"
    assert small["few_label_accuracy_of_pixels"]["curve"]["labels a class"] == [1]
    none = measured(identity_model(1, 8, 8), replace(digits, classes=()), ["label_efficiency"])
    assert {entry["reason"] for entry in none.values()} == {"the data set digits has no labels"}
    one = few.subset((few.labels == 3).nonzero()[:, 0])
    alike = FixedSplits("one", one, one, Images(digits.test.pixels, digits.test.labels, 16.0), digits.classes)
    assert {entry["reason"] for entry in measured(identity_model(1, 8, 8), alike, ["label_efficiency"]).values()} == {
        "the training samples are all of one class"
    }
