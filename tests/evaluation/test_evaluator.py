import json
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.evaluation import evaluator
from zoo.evaluation.evaluator import evaluate, interval, measure, summary
from zoo.evaluation.metrics import registry
from zoo.evaluation.metrics.registry import METRICS, Curve, Metric, NotApplicable, metric
from zoo.evaluation.subject import Subject

FIT = {"seconds": 1.5, "epochs": 3}
GROUPS = ["reconstruction", "code", "cost"]


def stable(records):
    return {
        name: {key: value for key, value in entry.items() if not (entry["measured"] and key == "value")}
        for name, entry in records.items()
    }


def as_metric(function, direction="lower"):
    return Metric(function.__name__, function, "test", "1", direction, "made for a test", False)


def test_what_a_record_says(small_model, digits):
    records = evaluate(small_model, digits, GROUPS, FIT)
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    sse = records["sse"]
    errors = (small_model.eval().reconstruct(digits.test[:]) - digits.test[:]).square().flatten(1).sum(1)
    assert sse["value"] == pytest.approx(errors.mean().item(), rel=1e-6)
    assert sse["n"] == len(digits.test) == 397
    assert (sse["group"], sse["direction"], sse["measured"]) == ("reconstruction", "lower", False)
    assert sse["unit"] == "squared error per image"
    assert sse["definition"] == "Sum over pixels of (x_hat - x)^2, x in [0, 1], x_hat not clipped."
    sevens = errors[digits.test.labels == 7].mean().item()
    assert list(sse["per_class"]) == list(digits.classes)
    assert sse["per_class"]["7"] == pytest.approx(sevens, rel=1e-6)
    assert records["fit_seconds"]["value"] == 1.5
    assert records["fit_seconds"]["measured"]
    assert records["fit_seconds"]["n"] is None


def test_names_of_the_table(small_model, digits):
    table = {"sse", "mse", "mae", "psnr", "ssim", "parameters", "macs", "code_width", "fit_seconds"}
    table |= {"encode_images_per_second", "decode_images_per_second", "active_units"}
    records = evaluate(small_model, digits, GROUPS, FIT)
    assert table <= {name for name, entry in records.items() if entry["value"] is not None}


def test_two_evaluations_are_identical_and_leave_the_model_alone(small_model, digits):
    small_model.train()
    small_model.encoder[1].eval()
    modes = {name: module.training for name, module in small_model.named_modules()}
    state = torch.get_rng_state()
    first, second = (evaluate(small_model, digits, GROUPS, FIT) for _ in range(2))
    assert stable(first) == stable(second)
    assert {name: module.training for name, module in small_model.named_modules()} == modes
    assert set(modes.values()) == {True, False}
    assert torch.equal(torch.get_rng_state(), state)


def test_all_groups_twice(pca, digits):
    """Every metric has a value or a reason, the same ones again, ready for JSON."""
    groups = list(dict.fromkeys(m.group for m in METRICS.values()))
    first, second = (evaluate(pca, digits, groups, FIT) for _ in range(2))
    assert list(first) == list(METRICS)
    assert stable(first) == stable(second)
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    for name, entry in first.items():
        assert (entry["value"] is None) == ("reason" in entry), name
        if entry["value"] is not None and entry["group"] != "cost":
            assert entry["n"] == len(digits.test), name
        for column in entry.get("curve", {}).values():
            assert len(column) == len(next(iter(entry["curve"].values()))), name


def test_the_mode_comes_back_after_an_error(small_model, digits):
    small_model.train()
    with pytest.raises(KeyError, match="seconds"):
        evaluate(small_model, digits, ["cost"], {})
    assert small_model.training


def test_unknown_group(small_model, digits):
    with pytest.raises(ZooError, match=r"\['recall'\] do not exist; the groups are \['reconstruction'"):
        evaluate(small_model, digits, ["cost", "recall"], FIT)


def test_progress_is_told_before_each_metric(small_model, digits):
    calls = []
    records = evaluate(small_model, digits, ["code"], FIT, lambda m, done, total: calls.append((m.name, done, total)))
    assert calls == [(name, i, len(records)) for i, name in enumerate(records)]


def test_heavy_results_are_computed_once(small_model, digits, monkeypatch):
    seen = []
    encode = small_model.encode
    monkeypatch.setattr(small_model, "encode", lambda x, *mask: seen.append(len(x)) or encode(x, *mask))
    evaluate(small_model, digits, ["reconstruction"], FIT)
    assert sum(seen) == len(digits.test)


def test_not_applicable_has_a_reason_and_no_value(small_model, digits):
    def impossible(x: Tensor) -> float:
        raise NotApplicable("these images are too small")

    entry = measure(as_metric(impossible), Subject(small_model, digits, FIT))
    assert entry == {"value": None, "n": None, "reason": "these images are too small"}
    records = evaluate(small_model, digits, ["reconstruction"], FIT)
    assert records["ms_ssim"]["value"] is None
    assert records["ms_ssim"]["reason"].endswith("at least 176 pixels a side, not 8")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_model_gives_no_numbers(digits, small_model, bad):
    nn.init.constant_(small_model.decoder[0].weight, bad)
    records = evaluate(small_model, digits, ["reconstruction"], FIT)
    assert {entry["value"] for entry in records.values()} == {None}
    assert all("not finite" in entry["reason"] for name, entry in records.items() if name != "ms_ssim")


def test_a_curve_is_kept_whole(small_model, digits):
    table = {"std": [0.1, 0.2], "mse": [1.0, 3.0]}
    entry = summary(Curve(2.0, table), "lower", Subject(small_model, digits, FIT))
    assert entry == {"value": 2.0, "curve": table}
    without = summary(Curve(None, table, 7, "no overlap"), "lower", Subject(small_model, digits, FIT))
    assert without == {"value": None, "curve": table, "n": 7, "reason": "no overlap"}


def test_the_worst_are_the_largest_or_the_smallest(small_model, digits):
    values = torch.arange(397.0)  # the worst 1 % of 397 images are 4
    subject = Subject(small_model, digits, FIT)
    assert summary(values, "lower", subject)["worst"] == pytest.approx(394.5)
    assert summary(values, "higher", subject)["worst"] == pytest.approx(1.5)
    assert "worst" not in summary(values > 3, "higher", subject)
    assert "worst" not in summary(values, "none", subject)


def test_the_bootstrap_interval_is_that_of_a_mean():
    values = torch.randn(2000, generator=torch.Generator().manual_seed(1)).double()
    low, high = interval(values)
    half_width = 1.96 * values.std().item() / 2000**0.5
    assert low == pytest.approx(values.mean().item() - half_width, abs=0.1 * half_width)
    assert high == pytest.approx(values.mean().item() + half_width, abs=0.1 * half_width)


def test_the_bootstrap_draws_values_with_replacement():
    values, generator = torch.rand(300).double(), torch.Generator().manual_seed(0)
    means = [values[torch.randint(300, (300,), generator=generator)].mean() for _ in range(1000)]
    assert interval(values) == pytest.approx(torch.stack(means).quantile(values.new_tensor([0.025, 0.975])).tolist())


def test_a_data_set_without_labels(small_model, digits):
    unlabelled = replace(digits, classes=())
    assert "per_class" not in evaluate(small_model, unlabelled, ["reconstruction"], FIT)["sse"]


def test_registration(monkeypatch):
    monkeypatch.setattr(registry, "METRICS", dict(METRICS))

    def fresh(x: Tensor, power: int = 2) -> float:
        """First line,
        second line.

        More.
        """
        return 0.0

    metric("test", "1", "higher")(fresh)
    assert registry.METRICS["fresh"].definition == "First line, second line."
    assert registry.METRICS["fresh"].needs == ("x",)
    with pytest.raises(ValueError, match="two metrics are named 'fresh'"):
        metric("test", "1", "higher")(fresh)

    def silent(x: Tensor) -> float:
        return 0.0

    with pytest.raises(ValueError, match="no docstring"):
        metric("test", "1", "higher")(silent)


@pytest.mark.parametrize("registered", METRICS.values(), ids=METRICS)
def test_every_metric_asks_for_what_a_subject_has(registered, small_model, digits):
    offered = {name for name in dir(Subject) if not name.startswith("_")}
    offered |= vars(Subject(small_model, digits, FIT)).keys()
    assert set(registered.needs) <= offered
    assert registered.unit
    assert registered.definition.endswith(".")


def test_every_group_is_switched_on_by_some_configuration():
    from pathlib import Path

    import yaml

    folder = Path(evaluator.__file__).parents[2] / "conf" / "evaluation"
    switched = {g for path in folder.glob("*.yaml") for g in yaml.safe_load(path.read_text())["groups"]}
    assert switched == {m.group for m in METRICS.values()}
