import pytest
import torch

from zoo.evaluation import probe
from zoo.evaluation.evaluator import evaluate
from zoo.evaluation.metrics.knowledge import (
    adjusted_rand_index,
    class_overlap,
    knn_accuracy,
    linear_probe_accuracy,
    matched_accuracy,
    normalised_mutual_information,
)


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
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, train_labels, _, _, test, test_labels = labelled
    exact = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000, tol=1e-8))
    exact.fit(train.double().numpy(), train_labels.numpy())
    expected = torch.from_numpy(exact.predict(test.double().numpy())) == test_labels
    monkeypatch.setattr(probe, "PENALTIES", (c,))
    told = linear_probe_accuracy(*labelled)
    assert told.dtype == torch.bool
    assert (told == expected).float().mean() > 0.99
    assert expected.float().mean() > 0.85


def test_the_penalty_is_chosen_on_validation(labelled, monkeypatch):
    """Twenty images in 64 dimensions: the choice follows whichever labels validation bears."""
    train, train_labels, validation, validation_labels, test, test_labels = labelled
    few = (train[:20], train_labels[:20])
    told, scores = {}, {}
    for c in (1e-6, 1.0):
        monkeypatch.setattr(probe, "PENALTIES", (c,))
        told[c] = linear_probe_accuracy(*few, *few, test, test_labels)
        scores[c] = linear_probe_accuracy(*few, *few, validation, validation_labels).float().mean()
    assert scores[1.0] > scores[1e-6] + 0.1
    monkeypatch.setattr(probe, "PENALTIES", (1e-6, 1.0))
    chosen = linear_probe_accuracy(*few, validation, validation_labels, test, test_labels)
    assert (chosen == told[1.0]).float().mean() > 0.98  # a warm start moves single answers
    one_class = torch.full_like(validation_labels, int(few[1].mode().values))
    against = linear_probe_accuracy(*few, validation, one_class, test, test_labels)
    assert (against == told[1e-6]).float().mean() > 0.98


def test_permuted_labels_are_told_at_chance(labelled):
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


def test_class_overlap_by_hand():
    """Two pure groups do not overlap; one stranger in a group of 11 is a tenth of each neighbourhood."""
    codes = torch.cat([torch.arange(11.0), 1000 + torch.arange(11.0)])[:, None]
    labels = (codes[:, 0] > 500).long()
    assert class_overlap(codes, labels).max() == 0
    labels[5] = 1
    overlap = class_overlap(codes, labels)
    assert overlap[5] == 1
    torch.testing.assert_close(overlap[:5], torch.full((5,), 0.1))
    assert overlap[11:].max() == 0


def test_scores_of_clusters_by_hand():
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    renamed = torch.tensor([4, 4, 4, 2, 2, 2])
    one = torch.zeros(6).long()
    for score, blind in ((normalised_mutual_information, 0), (adjusted_rand_index, 0), (matched_accuracy, 0.5)):
        assert score(renamed, labels) == pytest.approx(1)
        assert score(one, labels) == pytest.approx(blind)
    assert matched_accuracy(torch.tensor([0, 0, 1, 1, 1, 1]), labels) == pytest.approx(5 / 6)
    # each cluster may be matched to one label only
    assert matched_accuracy(torch.tensor([0, 0, 0, 2, 1, 0]), labels) == pytest.approx(4 / 6)


def test_clusters_of_separate_groups_are_the_classes(identity_model, digits):
    """Digits moved far apart by class are found again by k-means and by the mixture."""
    from dataclasses import replace

    def apart(images):
        pixels = images.pixels.float()
        pixels[:, 0].view(len(pixels), -1)[torch.arange(len(pixels)), images.labels] += 500.0
        return replace(images, pixels=pixels)

    data = replace(digits, train=apart(digits.train), test=apart(digits.test))
    records = evaluate(identity_model(1, 8, 8), data, ["clusters"], {})
    for name in ("kmeans_nmi", "kmeans_ari", "kmeans_accuracy", "mixture_nmi", "mixture_ari", "mixture_accuracy"):
        assert records[name]["value"] == pytest.approx(1, abs=0.02), name
    assert records["class_overlap"]["value"] == 0


def test_digits_as_they_are(identity_model, digits):
    """The code of an identity model is the image, so its probe is the reference probe."""
    records = evaluate(identity_model(1, 8, 8), digits, ["knowledge", "clusters"], {})
    value = {name: entry["value"] for name, entry in records.items()}
    assert value["linear_probe_accuracy"] == value["linear_probe_accuracy_of_pixels"] > 0.85
    assert value["knn_accuracy"] > 0.9
    assert value["kmeans_accuracy"] > 0.6
    assert set(records["knn_accuracy"]["per_class"]) == set(digits.classes)
    assert "worst" not in records["knn_accuracy"]


def test_no_labels_no_answers(small_model, digits):
    from dataclasses import replace

    records = evaluate(small_model, replace(digits, classes=()), ["knowledge", "clusters"], {})
    assert {entry["value"] for entry in records.values()} == {None}
    reasons = {
        entry["reason"] for name, entry in records.items() if not name.startswith("prior_")
    }  # nor has it a prior
    assert reasons == {"the data set digits has no labels"}
