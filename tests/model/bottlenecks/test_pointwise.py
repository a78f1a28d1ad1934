import pytest
import torch

from zoo.errors import ZooError
from zoo.model.bottlenecks.pointwise import Pointwise


@pytest.mark.parametrize(("activation", "f"), [("identity", lambda h: h), ("tanh", torch.tanh), ("relu", torch.relu)])
def test_the_code_is_the_activation_of_the_encoder_output(activation, f):
    h = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    code = Pointwise(3, activation)(h)
    assert torch.equal(code.z, f(h))
    assert torch.equal(code.point, f(h))
    assert code.penalties == {}
    assert torch.equal(Pointwise(3)(h).z, h), "the identity by default"


def test_widths():
    assert (Pointwise(7).in_features, Pointwise(7).out_features) == (7, 7)


@pytest.mark.parametrize("width", [0, -3, 2.5, "8"])
def test_an_invalid_width_is_refused(width):
    with pytest.raises(ZooError, match=rf"width={width}: a code needs a whole number of units, at least 1"):
        Pointwise(width)


def test_an_unknown_activation_is_refused_with_the_nearest_name():
    with pytest.raises(ZooError, match=r"activation=tan: no such activation; did you mean tanh\?"):
        Pointwise(3, "tan")
