from dataclasses import replace

import pytest
import torch

from tests.evaluation.conftest import measured
from zoo.evaluation.metrics.clustering import (
    adjusted_rand_index,
    class_overlap,
    matched_accuracy,
    normalised_mutual_information,
)


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
        assert score(renamed, labels).value == pytest.approx(1)
        assert score(one, labels).value == pytest.approx(blind)
    assert matched_accuracy(torch.tensor([0, 0, 1, 1, 1, 1]), labels).value == pytest.approx(5 / 6)
    # each cluster may be matched to one label only
    assert matched_accuracy(torch.tensor([0, 0, 0, 2, 1, 0]), labels).value == pytest.approx(4 / 6)


def test_clusters_of_separate_groups_are_the_classes(identity_model, digits):
    """Digits moved far apart by class are found again by k-means and by the mixture."""

    def apart(images):
        pixels = images.pixels.float()
        pixels[:, 0].view(len(pixels), -1)[torch.arange(len(pixels)), images.labels] += 500.0
        return replace(images, pixels=pixels)

    data = replace(digits, train=apart(digits.train), test=apart(digits.test))
    records = measured(identity_model(1, 8, 8), data, ["clustering"], {})
    for name in ("kmeans_nmi", "kmeans_ari", "kmeans_accuracy", "mixture_nmi", "mixture_ari", "mixture_accuracy"):
        assert records[name]["value"] == pytest.approx(1, abs=0.02), name
    assert records["class_overlap"]["value"] == 0
