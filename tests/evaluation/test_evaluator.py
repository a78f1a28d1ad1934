import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.evaluation.conftest import autoencoder, measured
from zoo.data import sources
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.evaluation import registry
from zoo.evaluation.evaluator import evaluate, in_groups, measure, resampled_means, resamples, summary
from zoo.evaluation.registry import METRICS, Curve, Metric, NotApplicable, metric
from zoo.evaluation.subject import Subject, encoded
from zoo.options import content, names

FIT = {"seconds": 1.5, "epochs": 3}
GROUPS = ["reconstruction", "code", "cost"]


def stable(records):
    return {
        name: {key: value for key, value in entry.items() if not (entry["measured"] and key == "value")}
        for name, entry in records.items()
    }


def as_metric(function, direction="lower"):
    return Metric(function.__name__, function, "test", "1", direction, "made for a test")


def test_the_entries_of_a_record(small_model, digits):
    records = measured(small_model, digits, GROUPS, FIT)
    assert json.loads(json.dumps(records, allow_nan=False)) == records
    sse = records["sse"]
    errors = (small_model.eval().reconstruct(digits.test[:]) - digits.test[:]).square().flatten(1).sum(1)
    assert sse["value"] == pytest.approx(errors.mean().item(), rel=1e-6)
    assert sse["n"] == len(digits.test) == 397
    assert (sse["group"], sse["direction"], sse["measured"]) == ("reconstruction", "lower", False)
    assert sse["version"] == METRICS["sse"].version == 1
    assert not {"settings", "failed", "reason"} & sse.keys()
    assert sse["unit"] == "squared error per sample"
    assert sse["definition"] == "Sum over pixels of (x_hat - x)^2, x in [0, 1], x_hat not clipped."
    sevens = errors[digits.test.labels == 7].mean().item()
    assert list(sse["per_class"]) == list(digits.classes)
    assert sse["per_class"]["7"] == pytest.approx(sevens, rel=1e-6)
    assert records["fit_seconds"]["value"] == 1.5
    assert records["fit_seconds"]["measured"]
    assert records["fit_seconds"]["n"] is None


def test_seconds_of_a_fit_beside_other_work_are_no_measure_of_the_method(small_model, digits):
    quiet, busy = (measured(small_model, digits, ["cost"], {**FIT, "load": load}) for load in (1.2, 2.04))
    assert quiet["fit_seconds"]["value"] == 1.5
    assert busy["fit_seconds"]["value"] is None
    assert "other work during the fit: 2.0 processes per core" in busy["fit_seconds"]["reason"]


def test_names_of_the_table(small_model, digits):
    table = {"sse", "mse", "mae", "psnr", "ssim", "parameters", "macs", "code_width", "fit_seconds"}
    table |= {"encode_images_per_second", "decode_images_per_second", "active_units"}
    records = measured(small_model, digits, [*GROUPS, "throughput"], FIT)
    assert table <= {name for name, entry in records.items() if entry["value"] is not None}


def test_two_evaluations_are_identical_and_leave_the_model_alone(small_model, digits):
    small_model.train()
    small_model.encoder[1].eval()
    modes = {name: module.training for name, module in small_model.named_modules()}
    state = torch.get_rng_state()
    first, second = (measured(small_model, digits, GROUPS, FIT) for _ in range(2))
    assert stable(first) == stable(second)
    assert {name: module.training for name, module in small_model.named_modules()} == modes
    assert set(modes.values()) == {True, False}
    assert torch.equal(torch.get_rng_state(), state)


def test_all_groups_twice(pca, digits):
    """Every metric has a value or a reason, the same ones again, ready for JSON."""
    groups = list(dict.fromkeys(m.group for m in METRICS.values()))
    first, second = (measured(pca, digits, groups, FIT) for _ in range(2))
    assert set(first) == set(METRICS)
    assert stable(first) == stable(second)
    assert json.loads(json.dumps(first, allow_nan=False)) == first
    for name, entry in first.items():
        assert (entry["value"] is None) == ("reason" in entry), name
        assert "failed" not in entry, name
        if entry["value"] is not None and entry["group"] not in ("cost", "outliers"):
            assert entry["n"] == (16 if name == "atom_coherence" else len(digits.test)), name
        for column in entry.get("curve", {}).values():
            assert len(column) == len(next(iter(entry["curve"].values()))), name


def test_the_mode_comes_back_after_an_interruption(small_model, digits):
    def interrupted(*_):
        raise KeyboardInterrupt

    small_model.train()
    with pytest.raises(KeyboardInterrupt):
        evaluate(small_model, digits, in_groups(["cost"]), FIT, interrupted)
    assert small_model.training


@pytest.fixture
def failing(monkeypatch):
    """A metric that raises an error, registered before all others."""
    others = dict(METRICS)
    METRICS.clear()

    @metric("reconstruction", "1", "lower")
    def failing(x: Tensor) -> float:
        """Raises an error."""
        raise ValueError("shapes differ:\n3 and 4")

    METRICS.update(others)
    yield "failing"
    del METRICS["failing"]


def test_a_metric_that_fails_is_recorded_and_the_others_go_on(failing, small_model, digits):
    without = measured(small_model, digits, ["reconstruction"], FIT)
    assert next(iter(without)) == failing
    entry = without.pop(failing)
    assert {key: entry[key] for key in ("value", "n", "failed", "reason")} == {
        "value": None,
        "n": None,
        "failed": True,
        "reason": "ValueError: shapes differ: 3 and 4",
    }
    assert entry["version"] == 1
    assert without["sse"]["value"] > 0
    assert not [name for name, entry in without.items() if entry.get("failed")]


def test_what_a_metric_needs_may_fail_too(small_model, digits):
    """A fit that reports nothing, and a model whose decoder fails: metrics of the code are measured all the same."""
    entries = measured(small_model, digits, ["cost"], {})
    assert entries["fit_seconds"]["reason"] == "KeyError: 'seconds'"
    assert entries["parameters"]["value"] > 0
    small_model.decoder = nn.Linear(5, 5)
    entries = measured(small_model, digits, ["reconstruction", "code"])
    assert entries["sse"]["failed"]
    assert entries["sse"]["reason"].startswith("RuntimeError: mat1 and mat2 shapes")
    assert entries["effective_rank"]["value"] > 0


def test_an_interruption_within_a_metric_is_no_failure(small_model, digits):
    def interrupted(x: Tensor) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(as_metric(interrupted), Subject(small_model, digits, FIT))


def test_groups_name_their_metrics_in_the_order_of_the_groups():
    names = in_groups(["code", "reconstruction", "code"])
    assert len(names) == len(set(names))
    groups = [METRICS[name].group for name in names]
    assert groups == ["code"] * groups.count("code") + ["reconstruction"] * groups.count("reconstruction")
    assert set(names) == {name for name, each in METRICS.items() if each.group in ("code", "reconstruction")}


def test_unknown_group():
    with pytest.raises(ZooError, match=r"evaluation.groups=\[probe\]: no such group; did you mean probing\?"):
        in_groups(["cost", "probe"])
    with pytest.raises(ZooError, match=r"\[nope\]: no such group; choose one of bound, clustering, code, cost, "):
        in_groups(["nope"])


def test_unknown_metric(small_model, digits):
    with pytest.raises(ZooError, match=r"metric ssi: no such metric; did you mean .*ssim"):
        evaluate(small_model, digits, ["sse", "ssi"], FIT)


def test_metrics_are_chosen_one_by_one(small_model, digits):
    assert list(evaluate(small_model, digits, ["ssim", "sse"], FIT)) == ["ssim", "sse"]


def test_progress_is_reported_before_each_metric(small_model, digits):
    calls = []
    names = in_groups(["code"])
    records = evaluate(small_model, digits, names, FIT, lambda m, done, total: calls.append((m.name, done, total)))
    assert calls == [(name, i, len(records)) for i, name in enumerate(records)]


def test_heavy_results_are_computed_once(small_model, digits, monkeypatch):
    seen = []
    encode = small_model.encode
    monkeypatch.setattr(small_model, "encode", lambda x, *mask: seen.append(len(x)) or encode(x, *mask))
    measured(small_model, digits, ["reconstruction"], FIT)
    assert sum(seen) == len(digits.test)


WATCHED = """
import sys

import torch
from threadpoolctl import threadpool_info

from zoo.data import sources
from zoo.data.splits import Splits
from zoo.evaluation.evaluator import evaluate, in_groups
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.corruptions import NoCorruption
from zoo.model.likelihoods import GaussianLikelihood

torch.set_num_threads(1)
assert "sklearn" not in sys.modules
seen = set()
data = Splits(sources.sprites(16, 2, 4, 5), 0.1)
encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 4))
decoder = torch.nn.Sequential(torch.nn.Linear(4, 256), torch.nn.Unflatten(1, (1, 16, 16)))
model = Autoencoder(encoder, Pointwise(4), decoder, GaussianLikelihood(), NoCorruption())
evaluate(
    model, data, in_groups(["probing", "clustering"]), {},
    lambda *_: seen.update((pool["user_api"], pool["num_threads"]) for pool in threadpool_info()),
)
assert "sklearn" in sys.modules
print(sorted(seen))
"""


def test_libraries_have_as_many_threads_as_torch():
    """Those too that are loaded with the first metric, in a process of their own."""
    two = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", WATCHED], env=two, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[('blas', 1), ('openmp', 1)]", done.stderr


def test_not_applicable_has_a_reason_and_no_value(small_model, digits):
    def impossible(x: Tensor) -> float:
        raise NotApplicable("these images are too small")

    entry = measure(as_metric(impossible), Subject(small_model, digits, FIT))
    assert entry == {"value": None, "n": None, "reason": "these images are too small"}
    records = measured(small_model, digits, ["reconstruction"], FIT)
    assert records["ms_ssim"]["value"] is None
    assert records["ms_ssim"]["reason"].endswith("at least 176 pixels a side, not 8")


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_model_gives_no_numbers(digits, small_model, bad):
    nn.init.constant_(small_model.decoder[0].weight, bad)
    records = measured(small_model, digits, ["reconstruction"], FIT)
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
    low, high = resampled_means(values).quantile(values.new_tensor([0.025, 0.975])).tolist()
    half_width = 1.96 * values.std().item() / 2000**0.5
    assert low == pytest.approx(values.mean().item() - half_width, abs=0.1 * half_width)
    assert high == pytest.approx(values.mean().item() + half_width, abs=0.1 * half_width)


def test_the_bootstrap_draws_values_with_replacement():
    values, generator = torch.rand(300).double(), torch.Generator().manual_seed(0)
    means = [values[torch.randint(300, (300,), generator=generator)].mean() for _ in range(1000)]
    torch.testing.assert_close(resampled_means(values), torch.stack(means))


def test_a_data_set_without_labels(small_model, digits):
    unlabelled = replace(digits, classes=())
    assert "per_class" not in measured(small_model, unlabelled, ["reconstruction"], FIT)["sse"]


def test_registration(monkeypatch):
    monkeypatch.setattr(registry, "METRICS", dict(METRICS))

    def fresh(x: Tensor, power: int = 2) -> float:
        """First line,
        second line.

        More.
        """
        return 0.0

    metric("test", "1", "higher", version=3)(fresh)
    assert registry.METRICS["fresh"].definition == "First line, second line."
    assert registry.METRICS["fresh"].version == 3
    assert not registry.METRICS["fresh"].measured
    assert registry.METRICS["fresh"].needs == ("x",)
    with pytest.raises(ValueError, match="two metrics are named 'fresh'"):
        metric("test", "1", "higher")(fresh)

    def silent(x: Tensor) -> float:
        return 0.0

    with pytest.raises(ValueError, match="no docstring"):
        metric("test", "1", "higher")(silent)


@pytest.mark.parametrize("registered", METRICS.values(), ids=METRICS)
def test_every_metric_needs_what_a_subject_has(registered, small_model, digits):
    offered = {name for name in dir(Subject) if not name.startswith("_")}
    offered |= vars(Subject(small_model, digits, FIT)).keys()
    assert set(registered.needs) <= offered
    assert registered.unit
    assert registered.definition.endswith(".")


def test_every_group_is_in_some_option_file():
    listed = {group for name in names("evaluation") for group in content("evaluation", name)["groups"]}
    assert listed == {m.group for m in METRICS.values()}


def test_of_many_test_images_evenly_spaced_ones_are_measured(monkeypatch):
    data = Splits(sources.digits)
    identity = autoencoder(nn.Flatten(), nn.Unflatten(1, (1, 8, 8)), 64)
    whole = evaluate(identity, data, ["sse", "linear_probe_accuracy_of_pixels"], {})
    monkeypatch.setattr("zoo.data.images.HELD", 2 * 4 * 64 * 120)
    found = evaluate(identity, data, ["sse", "linear_probe_accuracy_of_pixels"], {})
    assert whole["linear_probe_accuracy_of_pixels"]["n"] == len(data.test) == 360
    assert found["sse"]["n"] == 120
    assert data.bounded().form == data.form
    assert torch.equal(data.bounded().test[:], data.test[:][::3])


def test_narrow_samples_are_bounded_in_number(monkeypatch):
    data = Splits(sources.digits)
    monkeypatch.setattr("zoo.data.splits.MOST_TESTED", 120)
    identity = autoencoder(nn.Flatten(), nn.Unflatten(1, (1, 8, 8)), 64)
    assert evaluate(identity, data, ["sse"], {})["sse"]["n"] == len(data.bounded().test) == 120


def test_large_images_are_forgotten_after_the_last_metric_that_names_them(small_model, digits, monkeypatch):
    subject = Subject(small_model.eval(), digits, FIT)
    expected = subject.x_hat
    subject.release(["x_hat"])
    assert subject.x_hat is expected, "few images are kept"
    monkeypatch.setattr(encoded, "LARGE", 0)
    subject.release(["x"])
    assert subject.x_hat is expected
    subject.release(["x_hat"])
    assert "x_hat" not in vars(subject)
    assert torch.equal(subject.x_hat, expected)


def test_resamples_are_counted_without_a_copy(allocated):
    assert allocated(lambda: resamples(20_000, 0)) < 1.1 * 1000 * 20_000


def test_without_labels_no_training_image_is_encoded_for_a_probe(small_model, digits):
    subject = Subject(small_model.eval(), replace(digits, classes=()), FIT)
    found = measure(METRICS["linear_probe_accuracy"], subject)
    assert found["value"] is None
    assert "label" in found["reason"]
    assert "train_codes" not in vars(subject)


@torch.no_grad()
def test_of_many_training_images_evenly_spaced_ones_are_encoded(small_model, digits, monkeypatch):
    codes = Subject(small_model.eval(), digits, FIT).train_codes
    monkeypatch.setattr(encoded, "MOST_CODES", 100)
    few = Subject(small_model.eval(), digits, FIT)
    step = math.ceil(len(digits.train) / 100)
    assert step > 1
    torch.testing.assert_close(few.train_codes, codes[::step])
    assert torch.equal(few.train_labels, digits.train.labels[::step])
    assert len(few.validation_codes) == len(few.validation_labels) <= 100
    assert measure(METRICS["knn_accuracy"], few)["value"] > 0.5
