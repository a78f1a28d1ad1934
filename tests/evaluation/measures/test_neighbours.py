import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from zoo.evaluation.measures.neighbours import nearest


@pytest.mark.parametrize(("n", "k"), [(1000, 10), (33, 5), (20, 20), (64, 40), (1, 1)])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_equal_to_brute_force(n, k, offset):
    g = torch.Generator().manual_seed(n)
    points, queries = offset + torch.randn(n, 7, generator=g), offset + torch.randn(70, 7, generator=g)
    distance, index = nearest(queries, points, k, chunk=32)
    exact = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points.double().numpy())
    expected, neighbours = exact.kneighbors(queries.double().numpy())
    torch.testing.assert_close(distance.double(), torch.from_numpy(expected), rtol=1e-4, atol=1e-4)
    if offset == 0:
        assert torch.equal(index, torch.from_numpy(neighbours))


def test_no_point_is_its_own_neighbour():
    g = torch.Generator().manual_seed(0)
    points = torch.randn(300, 3, generator=g)
    points[10] = points[200]  # of two equal points each is the other's neighbour
    distance, index = nearest(points, points, 4, same=True, chunk=64)
    assert (index != torch.arange(300)[:, None]).all()
    assert (index[10, 0], index[200, 0]) == (200, 10)
    with_itself, _ = nearest(points, points, 5)
    torch.testing.assert_close(distance, with_itself[:, 1:], rtol=1e-3, atol=1e-3)
