"""Influences of test samples, against values of resampled test samples."""

import pytest
import torch
from scipy.stats import spearmanr

from zoo.evaluation.measures.influence import jackknifed, mean, of_table, ratio
from zoo.evaluation.metrics.clustering import adjusted_rand_index, matched_accuracy, normalised_mutual_information
from zoo.evaluation.metrics.documents import perplexity
from zoo.evaluation.metrics.reconstruction import explained_variance

N = 1000


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def spread(value, influence, parts, generator):
    """The standard deviation of a value over resamples of its samples, and that which the influences say."""
    drawn = [torch.randint(N, (N,), generator=generator) for _ in range(300)]
    values = torch.tensor([value(*(part[rows] for part in parts)) for rows in drawn], dtype=torch.float64)
    assert influence.shape == (N,)
    assert influence.mean().item() == pytest.approx(0, abs=1e-9)
    return values.std().item(), (influence.std() / N**0.5).item()


def clusters(generator):
    labels = torch.randint(5, (N,), generator=generator)
    wrong = torch.rand(N, generator=generator) < 0.4
    return torch.where(wrong, torch.randint(4, (N,), generator=generator), labels), labels


@pytest.mark.parametrize("score", [normalised_mutual_information, adjusted_rand_index, matched_accuracy])
def test_scores_of_clusters(score, generator):
    parts = clusters(generator)
    by_resamples, by_influences = spread(lambda *p: score(*p).value, score(*parts).influence, parts, generator)
    assert by_influences == pytest.approx(by_resamples, rel=0.2)


def test_means_and_ratios(generator):
    above, below = torch.rand(N, generator=generator), 1 + torch.rand(N, generator=generator)
    above = above * below
    for found, value, parts in (
        (mean(above), lambda a: a.mean().item(), (above,)),
        (ratio(above, below), lambda a, b: (a.sum() / b.sum()).item(), (above, below)),
    ):
        assert found.value == pytest.approx(value(*parts))
        by_resamples, by_influences = spread(value, found.influence, parts, generator)
        assert by_influences == pytest.approx(by_resamples, rel=0.2)


def test_explained_variance_and_perplexity(generator):
    x = torch.rand(N, 1, 2, 2, generator=generator)
    x_hat = x + 0.2 * torch.randn(x.shape, generator=generator) * x[:, :, :1, :1]
    counts = torch.poisson(2 * torch.rand(N, 6, generator=generator))
    log_p = torch.randn(N, 6, generator=generator).log_softmax(1)
    for score, parts in ((explained_variance, (x, x_hat)), (perplexity, (counts, log_p))):
        found = score(*parts).influence[0]
        by_resamples, by_influences = spread(lambda *p, score=score: score(*p).value, found, parts, generator)
        assert by_influences == pytest.approx(by_resamples, rel=0.2)


def test_a_function_of_a_table_by_hand():
    """The share of one cell: its samples move it by 1 less the share, the others by the share."""
    rows, columns = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    found = of_table(lambda shares: shares[1, 1], rows, columns)
    assert found.value == 0.5
    assert found.influence.tolist() == [-0.5, -0.5, 0.5, 0.5]


def test_the_jackknife_of_a_mean_is_its_influence_and_of_a_rank_correlation_its_deviation(generator):
    x = torch.randn(50, generator=generator).double()
    found = jackknifed(lambda places: x[places].mean().item(), 50)
    torch.testing.assert_close(found.influence, mean(x).influence)
    pairs = torch.randn(300, 2, generator=generator).double()
    pairs[:, 1] += pairs[:, 0]

    def correlation(places):
        return float(spearmanr(*pairs[places].T.numpy()).statistic)

    moved = jackknifed(correlation, 300)
    assert moved.value == pytest.approx(correlation(torch.arange(300)))
    assert abs(moved.influence.mean()) < 1e-12
    again = [correlation(torch.randint(300, (300,), generator=generator)) for _ in range(400)]
    expected = torch.tensor(again).std().item()
    assert (moved.influence.std() / 300**0.5).item() == pytest.approx(expected, rel=0.15)
