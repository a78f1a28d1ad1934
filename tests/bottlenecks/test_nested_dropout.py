import pytest
import torch

from zoo.bottlenecks.nested_dropout import NestedDropout, first
from zoo.errors import ZooError

WIDTH = 8


@pytest.fixture
def h():
    return 1 + torch.rand(4000, WIDTH, generator=torch.Generator().manual_seed(0))


def test_units_drop_from_the_end_and_every_width_alike(h):
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


def test_first_by_hand():
    z = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert first(z, 2).tolist() == [[1, 2, 0], [4, 5, 0]]
    assert first(z, torch.tensor([[1], [3]])).tolist() == [[1, 0, 0], [4, 5, 6]]


def test_a_width_that_is_none():
    with pytest.raises(ZooError, match="width=0"):
        NestedDropout(0)


@pytest.mark.parametrize(("variant", "epochs"), [("nested_dropout", 60), ("deep_nested_dropout", 40)])
def test_the_first_units_are_the_best_ones(compose_job, fit_job, variant, epochs):
    """On test images, for every k, the first k reconstruct better than the last k and than 20 random choices of k."""
    run = fit_job(compose_job(f"variant={variant}", f"budget.epochs={epochs}"))
    x, g = run.data.test[:], torch.Generator().manual_seed(0)
    with torch.no_grad():
        z = run.model.encode(x)

        def error(units):
            kept = torch.zeros(WIDTH).index_fill(0, units, 1.0)
            return (run.model.decode(z * kept) - x).square().mean().item()

        errors = [error(torch.arange(k)) for k in range(WIDTH + 1)]
        assert errors == sorted(errors, reverse=True)
        for k in range(1, WIDTH):
            chosen = [torch.arange(WIDTH - k, WIDTH), *(torch.randperm(WIDTH, generator=g)[:k] for _ in range(20))]
            for units in chosen:
                if set(units.tolist()) != set(range(k)):
                    assert errors[k] < error(units), (k, units)


def test_linear_units_are_pcas_axes(compose_job, fit_job):
    """Not their subspace alone: each of the leading decoder columns points along its own principal axis."""
    runs = [fit_job(compose_job(f"variant={name}", "budget.epochs=60")) for name in ("nested_dropout", "pca")]
    with torch.no_grad():
        drawn, axes = ((run.model.decode(torch.eye(WIDTH)) - run.model.decode(torch.zeros(1, WIDTH))) for run in runs)
    cosine = torch.cosine_similarity(drawn.flatten(1), axes.flatten(1)).abs()
    assert (cosine[:4] > 0.95).all(), cosine
