"""The benchmark of speed: its arithmetic by hand, and its arms, which have to do the same work."""

from __future__ import annotations

import json
from importlib import import_module

import pytest
import torch
from omegaconf import OmegaConf
from torch.utils.flop_counter import FlopCounterMode

from experiments.speed import fits, pools
from experiments.speed.__main__ import PARTS, measure_parts
from experiments.speed.arms import fit_bare, fit_pythae, fit_zoo, fresh, load, multiply, time_to
from experiments.speed.bench import Bench
from experiments.speed.measure import Findings, Goal, Row, Sample, exponent, interleaved, ratio, ratio_goal
from experiments.speed.report import margin, markdown, number
from zoo.evaluation.evaluator import in_groups

IMAGES, EPOCHS = 1200, 5  # of fewer, the zoo makes smaller batches, see `steps_batch`
# all images in one batch, so that their order makes no difference
WHOLE = ("hidden=[32]", f"budget.batch_size={IMAGES}", f"budget.epochs={EPOCHS}", "schedule=constant")


def row(arm: str, *seconds: float) -> Row:
    return Row("", arm, [Sample(s, 2 * s) for s in seconds])


def test_arms_run_in_turn():
    calls = []

    def arm(name: str):
        return lambda repeat: calls.append((name, repeat)) or Sample(repeat, 0.0)

    rows = interleaved("both", {"a": arm("a"), "b": arm("b")}, 3)
    assert calls == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]
    assert [sample.seconds for sample in rows["b"].samples] == [0, 1, 2]


def test_a_ratio_is_the_median_of_those_of_neighbouring_runs():
    assert ratio(row("a", 1.0, 30.0, 3.0), row("b", 1.0, 10.0, 4.0)) == 1.0  # of 1, 3 and 0.75
    assert ratio_goal("", row("a", 1.0), row("b", 4.0), 0.2).cpu == 0.25


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_exponent_of_a_power_law(power):
    assert exponent([10, 20, 80], [3 * n**power for n in (10, 20, 80)]) == pytest.approx(power, abs=1e-12)


@pytest.mark.parametrize(("value", "at_most", "holds"), [(1.0, True, True), (1.01, True, False), (0.99, False, False)])
def test_a_goal_holds_up_to_its_limit(value, at_most, holds):
    goal = Goal("", value, 1.0, at_most).as_json()
    assert goal["holds"] is holds
    assert (margin(goal) >= 1) is holds


def test_the_page_says_goals_and_marks_quick_numbers():
    found = Findings([row("zoo", 1.0, 3.0)], [Goal("zoo / other", 1.5, 1.1)], ["a note"]).as_json()
    about = {"machine": {"processor": "p", "cpu": "c"}, "versions": {"torch": "2"}}
    part = {"part": "loop", "quick": False, "environment": about, **found}
    page = markdown([part])
    assert "| ✗" in page
    assert "1.5 " in page
    assert "≤ 1.1" in page
    assert "1 to 3" in page
    assert "- a note" in page
    assert "Quick" not in page
    assert "Quick" in markdown([part | {"quick": True}])
    assert "\n\nloop: measured on p, c; torch 2.\n\n" in page
    elsewhere = {"part": "pca", "environment": about | {"machine": {"processor": "q", "cpu": "c"}}}
    assert "pca: measured on q, c; torch 2." in markdown([part, part | elsewhere])
    lent = {"part": "gpu", "environment": about | {"machine": {"gpu": "g", "processor": "q", "cpu": "c"}}}
    assert "gpu: measured on g, q, c; torch 2." in markdown([part | lent])
    assert [number(n) for n in (None, float("nan"), 0.12345, 12345.6)] == ["", "", "0.123", "12,346"]


def test_what_was_measured_is_kept_and_quick_numbers_lie_apart(tmp_path, monkeypatch, capsys):
    counted = []
    monkeypatch.setattr(fits, "loop", lambda bench: counted.append(bench.sizes) or Findings(goals=[Goal("g", 1, 2)]))
    cfg = {"parts": ["loop"], "quick": False, "force": False, "full": 1, "quick_sizes": 2, "networks": {}}
    cfg = OmegaConf.create(cfg | {"paths": {"data": "", "results": str(tmp_path), "cache": str(tmp_path)}})
    measure_parts(cfg, tmp_path)
    measure_parts(cfg, tmp_path)
    cfg.force = cfg.quick = True
    measure_parts(cfg, tmp_path)
    assert counted == [1, 2]
    assert json.loads((tmp_path / "loop.json").read_text())["quick"] is True
    assert (tmp_path / "benchmark.png").is_file()
    assert "measured before" in capsys.readouterr().out


def test_without_a_gpu_what_one_measured_stays(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    about = {"machine": {"gpu": "g", "processor": "q", "cpu": "c"}, "versions": {}}
    found = Findings([row("zoo", 1.0)], [Goal("zoo / other", 1.0, 1.1)]).as_json()
    before = json.dumps({"part": "gpu", "quick": False, "environment": about, **found})
    (tmp_path / "gpu.json").write_text(before)
    cfg = {"parts": ["gpu"], "quick": False, "force": True, "full": 1, "networks": {}}
    measure_parts(
        OmegaConf.create(cfg | {"paths": {"data": "", "results": str(tmp_path), "cache": str(tmp_path)}}), tmp_path
    )
    assert (tmp_path / "gpu.json").read_text() == before
    assert "gpu: there is none here" in capsys.readouterr().out
    assert "measured on g, q, c" in (tmp_path / "README.md").read_text()


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Sizes of the part precision -> what it is given; its pool works in this process."""
    monkeypatch.setattr(pools, "pooled", lambda function, calls: [function(*call) for call in calls])

    def made(**sizes):
        said = {"paths": {"data": "", "cache": str(tmp_path)}, "quick": False, "force": False, "networks": {}}
        return Bench.of(OmegaConf.create(said | {"full": {"precision": sizes}}))

    return made


def test_precision_compares_fits_of_a_seed_and_keeps_them(bench, monkeypatch):
    sizes = {"variants": ["linear_ae", "pca"], "seeds": 2, "overrides": ["budget.epochs=2"]}
    with bench(**sizes) as given:
        found = pools.precision(given)
    assert [(row.comparison, row.arm) for row in found.rows] == [("linear_ae", "fp32"), ("linear_ae", "bf16")]
    plain, half = found.rows
    assert half.fact("change") == pytest.approx(half.fact("sse") / plain.fact("sse") - 1)
    assert 0 < abs(half.fact("change")) == found.goals[0].value < 0.01
    assert plain.samples[0].facts != plain.samples[1].facts, "seeds must differ"
    monkeypatch.setattr(pools, "fit_zoo", None)
    with bench(**sizes) as given:
        assert [row.as_json() for row in pools.precision(given).rows] == [row.as_json() for row in found.rows]


def test_precision_holds_nothing_against_a_variant_that_has_bf16_off(bench):
    with bench(variants=["overcomplete_ae", "pca"], seeds=1, overrides=["budget.epochs=2"]) as given:
        found = pools.precision(given)
    assert len(found.rows) == 2
    assert found.goals == []
    assert found.notes[1:] == ["bf16 is off, in their yaml, for overcomplete_ae"]


def test_the_change_of_a_mean_and_its_standard_error():
    errors = {"fp32": [9.0, 11.0], "bf16": [9.0, 12.0]}
    plain, half = (Row("v", arm, [Sample(1, 1, {"sse": x}) for x in values]) for arm, values in errors.items())
    facts = pools.compared(plain, half).samples[0].facts
    assert facts["change"] == pytest.approx(0.05)
    assert facts["standard_error"] == pytest.approx(0.05)


def test_every_part_exists(repository):
    assert all(callable(getattr(import_module(module), part)) for part, module in PARTS.items())
    said = OmegaConf.load(repository / "experiments" / "speed" / "sizes.yaml")
    assert {*said.parts, "recipe", "quality", "growth", "precision"} == set(PARTS)
    assert said.full.keys() == said.quick_sizes.keys()
    assert in_groups(said.full.evaluation)


def test_images_beyond_the_set_are_its_own_again(compose_job):
    data = load(compose_job("variant=deep_ae"), 3000).source
    n = load(compose_job("variant=deep_ae"), 10).source
    assert len(data.train) == 3000
    assert data.train.pixels[1437].equal(n.train.pixels[0])  # the digits have 1,437 training images
    assert torch.equal(data.test[:10], n.test[:])
    assert (len(data.test), len(n.test)) == (360, 10)


@pytest.mark.parametrize("network", ["deep", "conv"])
def test_the_bare_loop_does_what_the_zoo_does(compose_job, network):
    job = compose_job("variant=deep_ae", f"network={network}", *WHOLE)
    zoo, bare = fit_zoo(job, IMAGES, 0), fit_bare(job, IMAGES, 0)
    assert bare.facts["sse"] == pytest.approx(zoo.facts["sse"], rel=1e-4)
    longer = fit_bare(compose_job("variant=deep_ae", f"network={network}", *WHOLE, "budget.epochs=1"), IMAGES, 0)
    assert longer.facts["sse"] > 1.01 * bare.facts["sse"]


def test_the_bare_loop_fits_the_variational_objective(compose_job):
    job = compose_job("variant=vae", "objective=elbo", "likelihood.std=1", *WHOLE, "budget.epochs=40")
    assert fit_bare(job, IMAGES, 0).facts["sse"] == pytest.approx(fit_zoo(job, IMAGES, 0).facts["sse"], rel=0.1)


@pytest.mark.parametrize("variant", ["deep_ae", "vae", "conv_ae"])
def test_the_products_alone_are_all_products_of_the_fit(compose_job, variant):
    alone = []
    for epochs in (1, 3):
        job = compose_job(f"variant={variant}", "hidden=[32]", "budget.batch_size=64", f"budget.epochs={epochs}")
        with FlopCounterMode(display=False) as counter:
            multiply(job, IMAGES, 0)
        alone.append(counter.get_total_flops())
    data = load(job, IMAGES)
    model = fresh(job, data, 0)
    with FlopCounterMode(display=False) as fitted:
        for _ in range(2):
            for x in data.train.batches(64):
                model(x).raw.sum().backward()
    assert alone[1] - alone[0] == fitted.get_total_flops() > 0


@pytest.mark.parametrize("network", ["deep", "conv"])
def test_pythae_does_what_the_zoo_does(compose_job, network):
    pytest.importorskip("pythae")
    job = compose_job("variant=deep_ae", f"network={network}", *WHOLE)
    settings = {"optimizer_cls": "AdamW", "learning_rate": 4e-3, "optimizer_params": {"weight_decay": 1e-2}}
    theirs = fit_pythae(job, IMAGES, 0, settings)
    assert theirs.facts["sse"] == pytest.approx(fit_zoo(job, IMAGES, 0).facts["sse"], rel=1e-3)


@pytest.mark.parametrize(("target", "epochs", "reached"), [(1e9, 1, 1), (0.0, EPOCHS, 0)])
def test_a_fit_stops_at_its_target(compose_job, target, epochs, reached):
    sample = time_to(compose_job("variant=deep_ae", *WHOLE), IMAGES, 0, target)
    assert (sample.facts["epochs"], sample.facts["reached"]) == (epochs, reached)


@pytest.mark.parametrize(("target", "reached"), [(1e9, 1), (0.0, 0)])
def test_pythae_stops_at_its_target_or_its_cap(compose_job, target, reached):
    pytest.importorskip("pythae")
    sample = fit_pythae(compose_job("variant=deep_ae", *WHOLE), IMAGES, 0, target=target, cap=0.0)
    assert sample.facts["reached"] == reached
    assert sample.seconds > 0
