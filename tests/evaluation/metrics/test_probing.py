from dataclasses import replace

import pytest
import torch

from tests.evaluation.conftest import measured
from zoo.evaluation.measures import linear_probe as probe
from zoo.evaluation.metrics.clustering import class_overlap
from zoo.evaluation.metrics.probing import knn_accuracy, linear_probe_accuracy


@pytest.fixture(scope="module")
def labelled(digits):
    """Pixels and labels of each part, in the order the probe takes them."""
    parts = [digits.train, digits.validation, digits.test]
    return [tensor for part in parts for tensor in (part[:].flatten(1), part.labels)]


def permuted(labels):
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]


@pytest.mark.parametrize("c", probe.PENALTIES)
def test_linear_probe_equals_scikit_learns(labelled, c, monkeypatch):
    from sklearn.linear_model import LogisticRegression

    train, train_labels, _, _, test, test_labels = labelled
    centre, scale = train.double().mean(0), train.double().var(0, correction=0).mean().sqrt()
    exact = LogisticRegression(C=c, max_iter=5000, tol=1e-8)
    exact.fit(((train - centre) / scale).numpy(), train_labels.numpy())
    expected = torch.from_numpy(exact.predict(((test - centre) / scale).numpy())) == test_labels
    monkeypatch.setattr(probe, "PENALTIES", (c,))
    predicted = linear_probe_accuracy(*labelled)
    assert predicted.dtype == torch.bool
    assert (predicted == expected).float().mean() > (0.99 if c <= 1 else 0.97)  # 200 steps are few for those
    assert expected.float().mean() > 0.8


def test_units_that_rarely_fire_and_a_rotation_change_no_probe(labelled):
    """A unit that fires on a few training images had standard scores in the hundreds where it fired on others."""
    plain = linear_probe_accuracy(*labelled)
    generator = torch.Generator().manual_seed(0)
    rows = list(labelled)
    for k, rate in ((0, 0.001), (2, 0.02), (4, 0.02)):
        rare = (torch.rand(len(rows[k]), 50, generator=generator) < rate).float() / 3
        rows[k] = torch.cat([rows[k], rare], 1)
    assert linear_probe_accuracy(*rows).float().mean() > plain.float().mean() - 0.015
    turn = torch.linalg.qr(torch.randn(64, 64, generator=generator)).Q
    turned = [part @ turn if k % 2 == 0 else part for k, part in enumerate(labelled)]
    assert (linear_probe_accuracy(*turned) == plain).float().mean() > 0.99


def test_training_samples_of_one_class_are_not_probed(identity_model, digits):
    one = replace(digits, train=digits.train.subset((digits.train.labels == 3).nonzero()[:, 0]))
    records = measured(identity_model(1, 8, 8), one, ["probing", "clustering"], {})
    for name in ("linear_probe_accuracy", "linear_probe_accuracy_of_pixels"):
        assert records[name]["reason"] == "the training samples are all of one class"
    assert records["knn_accuracy"]["value"] < 0.2


def test_sparse_codes_are_probed_as_dense_ones_are(labelled, monkeypatch):
    """Pixels as one of sixteen greys each, of which one in sixteen numbers is not zero."""
    rows = [
        torch.nn.functional.one_hot((part * 15).round().long(), 16).flatten(1).float() if k % 2 == 0 else part
        for k, part in enumerate(labelled)
    ]
    sparse = linear_probe_accuracy(*rows)
    monkeypatch.setattr(probe, "SPARSE", 0.0)
    assert (linear_probe_accuracy(*rows) == sparse).float().mean() > 0.98
    assert sparse.float().mean() > 0.85


def test_the_penalty_is_chosen_on_validation(labelled, monkeypatch):
    """Twenty images in 64 dimensions: the choice follows whichever labels validation bears."""
    train, train_labels, validation, validation_labels, test, test_labels = labelled
    few = (train[:20], train_labels[:20])
    predicted, scores = {}, {}
    for c in (1e-6, 1.0):
        monkeypatch.setattr(probe, "PENALTIES", (c,))
        predicted[c] = linear_probe_accuracy(*few, *few, test, test_labels)
        scores[c] = linear_probe_accuracy(*few, *few, validation, validation_labels).float().mean()
    assert scores[1.0] > scores[1e-6] + 0.1
    monkeypatch.setattr(probe, "PENALTIES", (1e-6, 1.0))
    chosen = linear_probe_accuracy(*few, validation, validation_labels, test, test_labels)
    assert (chosen == predicted[1.0]).float().mean() > 0.98  # a warm start moves single answers
    one_class = torch.full_like(validation_labels, int(few[1].mode().values))
    against = linear_probe_accuracy(*few, validation, one_class, test, test_labels)
    assert (against == predicted[1e-6]).float().mean() > 0.98


def in_parts(rows, labels):
    third = len(rows) // 3
    return [part for k in range(3) for part in (rows[k * third : (k + 1) * third], labels[k * third : (k + 1) * third])]


@pytest.mark.parametrize("seed", range(10))
def test_small_units_are_read_by_weak_penalties(seed, monkeypatch):
    """A unit that is small beside the other tells labels apart, which with C up to 1 no probe sees."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(900, generator=generator)
    for classes, rare, small in ((4, 1.0, 0.01), (2, 0.2, 0.05)):
        labels = torch.randint(classes, (900,), generator=generator)
        labels = torch.where(torch.rand(900, generator=generator) < rare, labels, 0)
        parts = in_parts(torch.stack([noise, small * labels], 1), labels)
        accuracy = linear_probe_accuracy(*parts).float().mean()
        assert accuracy > (0.9 if classes == 4 else 0.97)
        with monkeypatch.context() as until_one:
            until_one.setattr(probe, "PENALTIES", probe.PENALTIES[:5])
            assert linear_probe_accuracy(*parts).float().mean() < accuracy - 0.02


def test_permuted_labels_are_predicted_at_chance(labelled):
    shuffled = [permuted(t) if i % 2 else t for i, t in enumerate(labelled)]
    assert linear_probe_accuracy(*shuffled).float().mean().item() == pytest.approx(0.1, abs=0.05)
    train, labels, _, _, test, test_labels = shuffled
    assert knn_accuracy(train, labels, test, test_labels).float().mean().item() == pytest.approx(0.1, abs=0.05)
    assert class_overlap(test, test_labels).mean().item() == pytest.approx(0.9, abs=0.03)


def test_knn_equals_scikit_learns(labelled):
    from sklearn.neighbors import KNeighborsClassifier

    train, train_labels, _, _, test, test_labels = labelled
    reference = KNeighborsClassifier(10, algorithm="brute").fit(train.numpy(), train_labels.numpy())
    expected = torch.from_numpy(reference.predict(test.numpy())) == test_labels
    assert torch.equal(knn_accuracy(train, train_labels, test, test_labels), expected)


def test_digits_as_they_are(identity_model, digits):
    """The code of an identity model is the image, so its probe is the reference probe."""
    records = measured(identity_model(1, 8, 8), digits, ["probing", "clustering"], {})
    value = {name: entry["value"] for name, entry in records.items()}
    assert value["linear_probe_accuracy"] == value["linear_probe_accuracy_of_pixels"] > 0.85
    assert value["knn_accuracy"] > 0.9
    assert value["kmeans_accuracy"] > 0.6
    assert set(records["knn_accuracy"]["per_class"]) == set(digits.classes)
    assert "worst" not in records["knn_accuracy"]


def test_without_labels_nothing_is_measured(small_model, digits):
    records = measured(small_model, replace(digits, classes=()), ["probing", "clustering"], {})
    assert {entry["value"] for entry in records.values()} == {None}
    reasons = {
        entry["reason"] for name, entry in records.items() if not name.startswith("prior_")
    }  # nor has it a prior
    assert reasons == {"the data set digits has no labels"}


def test_metrics_of_labels_are_for_at_most_a_thousand_classes(identity_model, digits):
    many = replace(digits, classes=tuple(map(str, range(1001))))
    records = measured(identity_model(1, 8, 8), many, ["probing", "reconstruction"], {})
    for name in ("linear_probe_accuracy", "knn_accuracy"):
        assert records[name]["reason"] == "the data set digits has 1,001 classes; this is for at most 1,000"
    assert records["sse"]["value"] is not None
    assert "per_class" not in records["sse"]
