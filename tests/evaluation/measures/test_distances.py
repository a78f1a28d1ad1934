import pytest
import torch
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from zoo.evaluation.measures.distances import (
    Compared,
    Reals,
    frechet_distance,
    kernel_distance,
    likeness,
    manifold,
)
from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.registry import NotApplicable
from zoo.spacing import spaced

SHARES = ("precision", "recall", "density", "coverage")


def draws(n, d=5, seed=0, mean=0.0, std=1.0):
    return mean + std * torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_frechet_of_known_gaussians():
    """N(0, I) and N(m, s^2 I) in 5 dimensions: 5 m^2 + 5 (1 - s)^2."""
    distance = frechet_distance(draws(200_000), draws(200_000, seed=1, mean=2.0, std=3.0)).value
    assert distance == pytest.approx(5 * 4 + 5 * 4, rel=0.02)


def test_frechet_equals_torchmetrics():
    g = torch.Generator().manual_seed(0)
    a = draws(500) @ torch.randn(5, 5, generator=g)
    b = draws(400, seed=1) @ torch.randn(5, 5, generator=g) + 1
    moments = [(s.double().mean(0), s.double().T.cov()) for s in (a, b)]
    expected = _compute_fid(*moments[0], *moments[1])
    assert frechet_distance(a, b).value == pytest.approx(expected.item(), rel=1e-6)


def test_frechet_of_a_set_with_itself_and_without_full_rank():
    a = draws(300)
    a[:, 3] = a[:, 2]
    a[:, 4] = 7
    assert frechet_distance(a, a.clone()).value == pytest.approx(0, abs=1e-8)


def test_kernel_distance_equals_torchmetrics():
    a, b = draws(300), draws(300, seed=1, mean=0.5)
    expected = poly_mmd(a.double(), b.double(), degree=3, gamma=1 / 5, coef=1.0)
    assert kernel_distance(a, b).value == pytest.approx(expected.item(), rel=1e-4)


def test_kernel_distance_is_unbiased():
    """Between sets of one distribution it is 0 on average, of either sign."""
    pairs = [(draws(200, seed=2 * i), draws(200, seed=2 * i + 1)) for i in range(60)]
    values = torch.tensor([kernel_distance(*pair).value for pair in pairs])
    assert abs(values.mean()) < 3 * values.std() / 60**0.5
    assert (values < 0).any()


def brute_force(real, fake, k):
    """The definitions of precision, recall, density and coverage, word by word."""
    between = torch.cdist(real.double(), fake.double())
    real_radius = torch.cdist(real.double(), real.double()).sort(1).values[:, k]
    fake_radius = torch.cdist(fake.double(), fake.double()).sort(1).values[:, k]
    in_real = between <= real_radius[:, None]
    return {
        "precision": in_real.any(0).double().mean().item(),
        "recall": (between <= fake_radius[None]).any(1).double().mean().item(),
        "density": in_real.double().sum(0).mean().item() / k,
        "coverage": in_real.any(1).double().mean().item(),
    }


@pytest.mark.parametrize("shift", [0.0, 0.7, 3.0])
def test_manifold_equals_the_definitions(shift):
    real, fake = draws(300, d=3), draws(250, d=3, seed=1, mean=shift, std=0.8)
    found = manifold(real, fake, chunk=64)
    for name, expected in brute_force(real, fake, 5).items():
        assert getattr(found, name).value == pytest.approx(expected, abs=1e-6), name
    assert found.n == 250


def test_manifold_of_the_same_set_and_of_a_distant_one():
    real = draws(400)
    same = manifold(real, real.clone())
    assert (same.precision.value, same.recall.value, same.coverage.value) == (1, 1, 1)
    assert same.density.value >= 1
    far = manifold(real, real + 100)
    assert [getattr(far, name).value for name in SHARES] == [0, 0, 0, 0]


def test_one_repeated_sample_is_precise_but_recalls_nothing():
    real = draws(500)
    centre = draws(500, std=0.001)
    found = manifold(real, centre)
    assert found.precision.value == 1
    assert found.recall.value < 0.02
    assert found.coverage.value < 0.3


# Influences


def without(points, j):
    return torch.cat([points[:j], points[j + 1 :]])


def left_out(compare, real, fake, k):
    """What leaving out each of the first k reals, and fakes, takes from a number, times the size of the set less 1."""
    whole = compare(real, fake)
    reals = [(len(real) - 1) * (whole - compare(without(real, j), fake)) for j in range(k)]
    fakes = [(len(fake) - 1) * (whole - compare(real, without(fake, j))) for j in range(k)]
    return torch.tensor(reals).double(), torch.tensor(fakes).double()


def assert_proportional(found: Compared, expected, rel):
    """Influences are known up to a constant each."""
    for name, jackknife in zip(("real", "fake"), expected, strict=True):
        some = getattr(found, name)[: len(jackknife)]
        assert getattr(found, name).mean() == pytest.approx(0, abs=1e-9)
        torch.testing.assert_close(
            some - some.mean(), jackknife - jackknife.mean(), rtol=0, atol=rel * jackknife.std().item()
        )


def fixed_shares(real, fake, real_radius, fake_radius):
    between = torch.cdist(real, fake)
    in_real, in_fake = between <= real_radius[:, None], between <= fake_radius[None]
    return (
        in_real.any(0).double().mean(),
        in_fake.any(1).double().mean(),
        in_real.double().sum(0).mean() / 5,
        in_real.any(1).double().mean(),
    )


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_influence_of_a_point_is_what_leaving_it_out_takes_away(distance):
    real, fake = draws(400, d=4), draws(300, d=4, seed=1, mean=0.4, std=1.3)
    fake[:, 0] *= 2
    expected = left_out(lambda a, b: distance(a, b).value, real, fake, 30)
    assert_proportional(distance(real, fake), expected, rel=0.1)


def test_influence_on_coverage_is_what_leaving_a_point_out_takes_away_while_other_balls_stay():
    real, fake = draws(80, d=3), draws(60, d=3, seed=1, mean=0.7)
    radii = [nearest(points, points, 5, same=True)[0][:, -1] for points in (real, fake)]
    found = manifold(real, fake)
    for place, name in enumerate(SHARES):
        for side, points in (("fake", fake), ("real", real)):
            mean_over_side = (name in ("precision", "density")) == (side == "fake")
            if mean_over_side:  # the share of a point is its own, and the influence follows
                continue
            values = []
            for j in range(len(points)):
                sets = [real, fake, *radii]
                for part in (0, 2) if side == "real" else (1, 3):
                    sets[part] = without(sets[part], j)
                values.append((len(points) - 1) * (getattr(found, name).value - fixed_shares(*sets)[place]))
            jackknife = torch.stack(values)
            scale = len(points) / (len(points) - 1) if name == "density" else 1
            expected = scale * (jackknife - jackknife.mean())
            torch.testing.assert_close(getattr(getattr(found, name), side), expected, rtol=0, atol=1e-5)


def test_a_set_without_full_rank_has_finite_influences():
    real, fake = draws(300), draws(200, seed=1)
    real[:, 4], fake[:, 3] = 7, fake[:, 2]
    for found in (frechet_distance(real, fake), frechet_distance(fake, real)):
        assert found.real.isfinite().all()
        assert max(found.real.abs().max(), found.fake.abs().max()) < 1000


def test_the_variance_of_influences_is_that_over_independent_sets():
    """Never much too small; of shares close to 1, too large."""
    values, variances = [], []
    for i in range(60):
        found = all_comparisons(draws(250, seed=2 * i), draws(200, seed=2 * i + 1, mean=0.5, std=0.9))
        values.append([each.value for each in found])
        variances.append([each.real.var() / 250 + each.fake.var() / 200 for each in found])
    ratio = torch.tensor(variances).mean(0).sqrt() / torch.tensor(values).std(0)
    assert ratio.min() > 0.8, ratio
    assert ratio[:2].max() < 1.3, ratio
    assert ratio.max() < 2, ratio


def all_comparisons(real, fake):
    found = manifold(real, fake)
    shares = [getattr(found, name) for name in SHARES]
    return [frechet_distance(real, fake), kernel_distance(real, fake), *shares]


def test_reals_that_several_sets_are_compared_with_give_what_one_comparison_gives():
    real, fakes = draws(60), [draws(50, seed=1), draws(70, seed=2, mean=1.0)]
    together = Reals(real, covered=40)
    for fake in fakes:
        found, fresh = likeness(together, fake), likeness(Reals(real, covered=40), fake)
        apart = (frechet_distance(real, fake), kernel_distance(real, fake), manifold(spaced(real, 40), fake).coverage)
        for one, two, three in zip(
            (found.frechet, found.kernel, found.manifold.coverage),
            (fresh.frechet, fresh.kernel, fresh.manifold.coverage),
            apart,
            strict=True,
        ):
            assert one.value == two.value == three.value
            assert torch.equal(one.real, three.real)
            assert torch.equal(one.fake, three.fake)


def test_a_single_image_is_no_set():
    with pytest.raises(NotApplicable, match="single image"):
        frechet_distance(draws(1), draws(20))
