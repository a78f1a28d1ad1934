import pytest
import torch
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from zoo.evaluation.measures.distances import frechet_distance, kernel_distance, manifold


def draws(n, d=5, seed=0, mean=0.0, std=1.0):
    return mean + std * torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def test_frechet_of_known_gaussians():
    """N(0, I) and N(m, s^2 I) in 5 dimensions: 5 m^2 + 5 (1 - s)^2."""
    distance = frechet_distance(draws(200_000), draws(200_000, seed=1, mean=2.0, std=3.0))
    assert distance == pytest.approx(5 * 4 + 5 * 4, rel=0.02)


def test_frechet_equals_torchmetrics():
    g = torch.Generator().manual_seed(0)
    a = draws(500) @ torch.randn(5, 5, generator=g)
    b = draws(400, seed=1) @ torch.randn(5, 5, generator=g) + 1
    moments = [(s.double().mean(0), s.double().T.cov()) for s in (a, b)]
    expected = _compute_fid(*moments[0], *moments[1])
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-6)


def test_frechet_of_a_set_with_itself_and_without_full_rank():
    a = draws(300)
    a[:, 3] = a[:, 2]
    a[:, 4] = 7
    assert frechet_distance(a, a.clone()) == pytest.approx(0, abs=1e-8)


def test_kernel_distance_equals_torchmetrics():
    a, b = draws(300), draws(300, seed=1, mean=0.5)
    expected = poly_mmd(a.double(), b.double(), degree=3, gamma=1 / 5, coef=1.0)
    assert kernel_distance(a, b, chunk=100) == pytest.approx(expected.item(), rel=1e-4)


def test_kernel_distance_is_unbiased():
    """Between sets of one distribution it is 0 on average, of either sign."""
    values = torch.tensor([kernel_distance(draws(200, seed=2 * i), draws(200, seed=2 * i + 1)) for i in range(60)])
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
        assert getattr(found, name) == pytest.approx(expected, abs=1e-6), name
    assert found.n == 250


def test_manifold_of_the_same_set_and_of_a_distant_one():
    real = draws(400)
    same = manifold(real, real.clone())
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert same.density >= 1
    far = manifold(real, real + 100)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


def test_one_repeated_sample_is_precise_but_recalls_nothing():
    real = draws(500)
    centre = draws(500, std=0.001)
    found = manifold(real, centre)
    assert found.precision == 1
    assert found.recall < 0.02
    assert found.coverage < 0.3
