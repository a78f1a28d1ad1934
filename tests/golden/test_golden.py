"""Expected numbers of a short fit of every variant: `pytest tests/golden --update-golden` rewrites them.

A different number is either an error or a changed method; the diff of tests/golden/*.json shows which.
"""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
# Processors round differently, and hundreds of steps amplify it; another seed changes most numbers by much more.
SQUARED_ERROR = 0.01  # relative
NATS = 0.3  # of an objective that may pass through zero
# Whether a codebook entry near the threshold of use is restarted depends on rounding, so that after some epochs another
# processor or version of torch differs as much as another seed, by up to 10 %. The first epochs are compared.
RESTARTING = ("vq_vae", "residual_vq")
FIRST = 3  # epochs
# Which category or map is the largest depends on rounding, too: these differ between Zen 3 and Zen 4 by up to 1.7 % and
# 0.5 nats, and the other methods by up to 0.4 % and 0.25 nats.
CHOOSING = ("gumbel_ae", "winner_take_all")
MORE = 3  # times the tolerances


def numbers(run):
    """The numbers to compare: parameters, squared error on the test images, objective on validation."""
    found = {"parameters": sum(parameter.numel() for parameter in run.model.parameters())}
    totals = [float(f"{total:.4g}") for total in run.report.history.get("validation_total", [])]
    if run.job.variant in RESTARTING:
        return found | {"first_validation_totals": totals[:FIRST]}
    found["sse"] = float(f"{run.metrics['sse']['value']:.4g}")
    return found | ({"validation_total": min(totals)} if totals else {})


def test_numbers_are_the_expected_ones(fitted, variant, request):
    path = FOLDER / f"{variant}.json"
    found = numbers(fitted)
    if request.config.getoption("update_golden"):
        path.write_text(json.dumps(found, indent=1) + "\n")
    assert path.exists(), f"no expected numbers for {variant}: write them by `python -m pytest --update-golden`"
    expected = json.loads(path.read_text())
    assert found.keys() == expected.keys()
    times = MORE if fitted.job.variant in CHOOSING else 1
    for name, value in expected.items():
        tolerance = {"sse": {"rel": times * SQUARED_ERROR}, "parameters": {"abs": 0}}.get(name, {"abs": times * NATS})
        assert found[name] == pytest.approx(value, **tolerance), name


def test_all_numbers_belong_to_a_variant(repository):
    variants = {path.stem for path in (repository / "conf" / "variant").glob("*.yaml")}
    assert {path.stem for path in FOLDER.glob("*.json")} <= variants
