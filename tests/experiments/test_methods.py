import pytest

from experiments.methods import PAGE, page
from zoo.catalogue import variants


def test_the_page_of_methods_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it by `python -m experiments.methods`"


@pytest.mark.parametrize("method", variants(), ids=lambda method: method.name)
def test_a_method_states_its_equation_its_limitations_and_where_it_differs(method):
    assert method.equation
    assert method.limitations.endswith(".")
    assert method.differs.endswith(".")
    assert f"## {method.name}\n" in page()
