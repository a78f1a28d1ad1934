from itertools import pairwise

import pytest
import torch

from zoo.errors import ZooError
from zoo.fitting.principal_axes import leading_axes
from zoo.model.bottlenecks.nested_dropout import NestedDropout, truncated

WIDTH = 8


@pytest.fixture
def h():
    return 1 + torch.rand(4000, WIDTH, generator=torch.Generator().manual_seed(0))


def test_units_are_dropped_from_the_end_and_all_widths_are_equally_frequent(h):
    code = NestedDropout(WIDTH)(h, torch.Generator().manual_seed(1))
    kept = code.z != 0
    assert torch.equal(code.z[kept], h[kept])
    k = kept.sum(1)
    assert torch.equal(kept, torch.arange(WIDTH) < k[:, None])
    counts = k.bincount(minlength=WIDTH + 1)
    assert counts[0] == 0
    expected = len(h) / WIDTH
    assert ((counts[1:] - expected).abs() < 4 * expected**0.5).all()
    assert torch.equal(code.point, h)


def test_truncated_by_hand():
    z = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert truncated(z, 2).tolist() == [[1, 2, 0], [4, 5, 0]]
    assert truncated(z, torch.tensor([[1], [3]])).tolist() == [[1, 0, 0], [4, 5, 6]]


def test_an_invalid_width_is_refused():
    with pytest.raises(ZooError, match="width=0"):
        NestedDropout(0)


@pytest.fixture(scope="module", params=[("nested_dropout", 60), ("deep_nested_dropout", 40)], ids=lambda p: p[0])
def run(request, compose_job, fit_job):
    variant, epochs = request.param
    return fit_job(compose_job(f"variant={variant}", f"budget.epochs={epochs}"))


@torch.no_grad()
def error(run, x, units):
    """Squared error per image with only these units of the code."""
    kept = torch.zeros(WIDTH).index_fill(0, units, 1.0)
    return (run.model.decode(run.model.encode(x) * kept) - x).square().flatten(1).sum(1).mean().item()


def test_the_first_units_are_the_best_ones(run):
    """On test images, for every k, the last k and 20 random choices of k are at most 5 % better than the first."""
    x, g = run.data.test[:], torch.Generator().manual_seed(0)
    errors = [error(run, x, torch.arange(k)) for k in range(WIDTH + 1)]
    assert all(more < 1.01 * fewer for fewer, more in pairwise(errors))
    for k in range(1, WIDTH):
        for units in [torch.arange(WIDTH - k, WIDTH), *(torch.randperm(WIDTH, generator=g)[:k] for _ in range(20))]:
            if set(units.tolist()) != set(range(k)):
                assert errors[k] < 1.05 * error(run, x, units), (k, units)


def test_one_model_is_as_good_as_pca_at_every_width(run):
    """The linear one comes within 15 % of PCA's training error, its optimum; the deep one is better than PCA."""
    x = run.data.train[:]
    variances = leading_axes(run.data.train, WIDTH).variances
    ratios = [error(run, x, torch.arange(k)) / variances[k:].sum().item() for k in range(1, WIDTH + 1)]
    if run.job.variant == "nested_dropout":
        assert all(1 < ratio < 1.15 for ratio in ratios), ratios
    else:
        assert all(ratio < 1 for ratio in ratios), ratios
