import pytest
import torch
from torch import nn

from zoo.bottlenecks.dense import Dense
from zoo.errors import ZooError


@pytest.mark.parametrize(("activation", "f"), [(None, lambda h: h), (nn.Tanh, torch.tanh), (nn.ReLU, torch.relu)])
def test_code_is_the_activation_of_what_comes_in(activation, f):
    h = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    code = Dense(3, activation)(h)
    assert torch.equal(code.z, f(h))
    assert torch.equal(code.point, f(h))
    assert code.penalties == {}


def test_as_wide_as_it_is_told():
    assert (Dense(7).in_features, Dense(7).out_features) == (7, 7)


@pytest.mark.parametrize("width", [0, -3, 2.5, "8"])
def test_a_width_that_is_none(width):
    with pytest.raises(ZooError, match=rf"width={width}: a code needs a whole number of units, at least 1"):
        Dense(width)
