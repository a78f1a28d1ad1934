import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import ZooError
from zoo.model.bottlenecks.topk import TopK


def test_by_hand():
    h = torch.tensor([[3.0, -1.0, 2.0, 5.0, 0.5], [-4.0, -2.0, -3.0, 1.0, -5.0]])
    code = TopK(5, k=2)(h)
    assert torch.equal(code.z, torch.tensor([[3.0, 0, 0, 5.0, 0], [0, 0, 0, 1.0, 0]]))
    assert torch.equal(code.point, code.z)
    assert code.penalties == {}


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_equals_sorting(units, k, seed):
    k = min(k, units)
    h = torch.randn(7, units, generator=torch.Generator().manual_seed(seed))
    threshold = h.sort(dim=1, descending=True).values[:, k - 1 : k]
    expected = torch.where(h >= threshold, h, 0.0).clamp(min=0)
    z = TopK(units, k)(h).z
    assert torch.equal(z, expected)
    assert ((z != 0).sum(1) <= k).all()


def test_with_all_units_it_is_a_relu():
    h = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(TopK(6, 6)(h).z, h.relu())


def test_active_units_only_have_a_gradient():
    h = torch.tensor([[3.0, -1.0, 2.0, 5.0]], requires_grad=True)
    (TopK(4, 2)(h).z * torch.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert torch.equal(h.grad, torch.tensor([[1.0, 0.0, 0.0, 1000.0]]))


def test_widths():
    assert (TopK(9, 2).in_features, TopK(9, 2).out_features, TopK(9, 2).k) == (9, 9, 2)


@pytest.mark.parametrize(
    ("units", "k", "message"),
    [
        (0, 1, "bottleneck.units=0: a code needs"),
        (8, 0, "bottleneck.k=0: must be a whole number, at least 1"),
        (8, 9, "bottleneck.k=9: more active units than the bottleneck.units=8 of the code"),
    ],
)
def test_invalid_numbers_are_refused(units, k, message):
    with pytest.raises(ZooError, match=message):
        TopK(units, k)
