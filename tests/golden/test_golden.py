"""Expected numbers of a short fit of every variant: `pytest tests/golden --update-golden` rewrites them.

A changed number is either a fault or a changed method, and the diff of tests/golden/*.json tells which.
"""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
# Other processors round differently, and hundreds of steps carry that on; another seed changes most by far more.
SQUARED_ERROR = 0.01  # relative
NATS = 0.3  # of an objective that may pass through zero
# Entries of a codebook that are all but dead are restarted or not by a hair: after some epochs another rounding (of
# another processor or version of torch) is as good as another seed, and up to 10 % apart. Their first epochs stay.
RESTARTING = ("vq_vae", "residual_vq")
FIRST = 3  # epochs


def numbers(run):
    """What must stay: the size of the model, its squared error on the test images, its objective on validation."""
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
    for name, value in expected.items():
        tolerance = {"sse": {"rel": SQUARED_ERROR}, "parameters": {"abs": 0}}.get(name, {"abs": NATS})
        assert found[name] == pytest.approx(value, **tolerance), name


def test_no_numbers_of_a_variant_that_is_gone(repository):
    variants = {path.stem for path in (repository / "conf" / "variant").glob("*.yaml")}
    assert {path.stem for path in FOLDER.glob("*.json")} <= variants
