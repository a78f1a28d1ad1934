"""Known answers of how scores tell outliers from inliers."""

import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from zoo.evaluation.evaluator import resampled_means
from zoo.evaluation.measures.detection import Detection, auroc, average_precision
from zoo.evaluation.registry import NotApplicable


def draws(n, mean=0.0, seed=0):
    return mean + torch.randn(n, generator=torch.Generator().manual_seed(seed))


def test_the_label_itself_is_right_and_its_reverse_wrong():
    zeros, ones = torch.zeros(50), torch.ones(50)
    assert (auroc(zeros, ones).value, average_precision(zeros, ones).value) == (1, 1)
    assert auroc(ones, zeros).value == 0


def test_a_constant_score_carries_no_information():
    assert auroc(torch.ones(40), torch.ones(40)).value == 0.5
    assert average_precision(torch.ones(40), torch.ones(40)).value == 0.5


def test_shuffled_labels_give_one_half():
    scores = draws(20_000)[torch.randperm(20_000, generator=torch.Generator().manual_seed(1))]
    assert auroc(scores[:10_000], scores[10_000:]).value == pytest.approx(0.5, abs=0.012)  # three standard errors
    assert average_precision(scores[:10_000], scores[10_000:]).value == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_both_equal_scikit_learns_with_ties_and_sets_of_different_sizes(levels):
    usual, unusual = ((draws(n, mean, n) * levels / 4).round() for n, mean in ((70, 0.0), (40, 1.0)))
    truth, scores = torch.cat([torch.zeros(70), torch.ones(40)]), torch.cat([usual, unusual])
    assert auroc(usual, unusual).value == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert average_precision(usual, unusual).value == pytest.approx(average_precision_score(truth, scores), abs=1e-12)


@pytest.mark.parametrize("measure", [auroc, average_precision])
def test_influences_have_the_variance_over_independent_sets(measure):
    found = [measure(draws(200, seed=2 * i), draws(300, 1.0, 2 * i + 1)) for i in range(200)]
    spread = torch.tensor([each.value for each in found]).std()
    claimed = torch.stack([(each.real.var() / 200 + each.fake.var() / 300).sqrt() for each in found]).mean()
    assert 0.85 < claimed / spread < 1.15


@pytest.mark.parametrize(("measure", "n"), [(auroc, 400), (average_precision, 2000)])
@pytest.mark.parametrize("levels", [4, 1000])
def test_an_influence_is_what_resampling_moves(measure, n, levels):
    """The value of resampled scores is the value and the mean influences, up to what is of second order."""
    usual, unusual = ((draws(n, mean, seed) * levels / 4).round() for mean, seed in ((0.0, 0), (0.7, 1)))
    whole = measure(usual, unusual)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        i, j = torch.randint(n, (2, n), generator=generator)
        moved = whole.value + whole.real[i].mean() + whole.fake[j].mean()
        assert measure(usual[i], unusual[j]).value == pytest.approx(moved.item(), abs=0.004)
    assert resampled_means(whole.real).std() > 0.005


def test_the_table_has_a_row_per_method_and_a_column_per_kind():
    label, noise = (torch.zeros(60), torch.ones(60)), (draws(60), draws(60, seed=1))
    kinds = {"first": torch.arange(30), "second": torch.arange(30, 60)}
    pairs = {"label": label, "noise": noise}
    found = Detection({k: v[0] for k, v in pairs.items()}, {k: v[1] for k, v in pairs.items()}, kinds, {"gone": "why"})
    table = found.table()
    assert table["score"] == ["label", "noise"]
    assert table["AUROC"] == [1, auroc(*noise).value]
    assert table["average precision"] == [1, average_precision(*noise).value]
    halves = zip(table["first"], table["second"], strict=True)
    assert [sum(pair) / 2 for pair in halves] == pytest.approx(table["AUROC"])
    with pytest.raises(NotApplicable, match=r"^why$"):
        found.by("gone")
    assert list(Detection({}, {}, {"one": torch.arange(3)}, {}).table()) == ["score", "AUROC", "average precision"]
