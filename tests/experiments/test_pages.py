"""Generated pages of the documentation are up to date, and say what they promise of every method and metric."""

import pytest

from experiments.pages import DOCS, MISLEADS, methods, metrics, paragraphs
from zoo.catalogue import variants
from zoo.evaluation.registry import METRICS


@pytest.mark.parametrize(("name", "made"), [("methods", methods), ("metrics", metrics)])
def test_a_generated_page_is_up_to_date(name, made):
    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == made(), "write it by `python -m experiments.pages`"


@pytest.mark.parametrize("method", variants(), ids=lambda method: method.name)
def test_a_method_states_its_equation_its_limitations_and_where_it_differs(method):
    assert method.equation
    assert method.limitations.endswith(".")
    assert method.differs.endswith(".")
    assert f"## {method.name}\n" in methods()


OWN = [metric for metric in METRICS.values() if metric.function.__module__.startswith("zoo.")]


@pytest.mark.parametrize("metric", OWN, ids=lambda metric: metric.name)
def test_a_metric_is_defined_and_says_when_it_misleads(metric):
    definition, *_, misleads = paragraphs(metric)
    assert definition == metric.definition
    assert misleads.startswith(MISLEADS)
    assert misleads.endswith(".")
