"""A sweep whose fits are stopped early where they fall behind on validation."""

from __future__ import annotations

import csv
import os
import signal
import time
from dataclasses import replace

import pytest

from zoo.errors import ZooError
from zoo.runs.compose import composed, composing, parsed_overrides
from zoo.runs.records import read_record
from zoo.runs.search import Asha, Exhaustive, distribution, search_of
from zoo.runs.study import run_group
from zoo.runs.trials import Pruned, opened

pytest.importorskip("optuna", reason="needs the extra search")
RUN = (
    *("variant=vae", "data=digits", "hidden=[8]", "width=2", "trainer.progress=false"),
    "evaluation.groups=[reconstruction]",
)
SHORT = "budget.epochs=6"
RATE = "optimizer.lr=0.02"
RATES = f"{RATE},1e-06"
SEARCH = Asha(first=1, factor=2)


@pytest.fixture
def jobs(tmp_path):
    """Overrides after those of a short sweep -> its runs, by a search that compares fits after one epoch."""

    def found(*overrides, rates=RATES, search=SEARCH):
        with composing():
            return search.jobs([*RUN, SHORT, rates, f"paths.home={tmp_path}", *overrides])

    return found


@pytest.fixture
def table(jobs, tmp_path):
    """Concludes the search of these runs -> its table."""

    def read(found):
        SEARCH.conclude(found)
        (path,) = tmp_path.rglob("trials.csv")
        with open(path) as file:
            return list(csv.DictReader(file))

    return read


def test_a_fit_that_falls_behind_is_stopped_and_the_other_is_an_ordinary_run(jobs, table, tmp_path):
    found = jobs()
    ((_, best),), ((_, behind),) = (run_group([job]) for job in found)
    assert isinstance(behind, Pruned)
    assert str(behind).startswith("after epoch 1 of 6, with a validation loss of ")
    ((_, expected),) = run_group(jobs(f"paths.home={tmp_path / 'plain'}", rates=RATE, search=Exhaustive()))
    assert (best.hash, best.name, best.weights) == (expected.hash, expected.name, expected.weights)
    assert best.fit["history"] == expected.fit["history"]
    assert not found[1].record_path.exists()
    assert not list(tmp_path.rglob("*.ckpt"))
    rows = table(found)
    assert [(row["trial"], row["state"], row["epochs"]) for row in rows] == [
        ("optimizer.lr=0.02", "complete", "6"),
        ("optimizer.lr=1e-06", "pruned", "1"),
    ]
    assert float(rows[0]["validation_total"]) == pytest.approx(min(opened_values(found[0])), rel=1e-5)
    assert rows[0]["record"] == str(found[0].record_path)


def opened_values(job):
    study = opened(job.trial.journal, 1, 2)
    return study.trials[job.trial.number].intermediate_values.values()


def test_the_same_search_goes_on_where_it_was(jobs):
    first = jobs()
    run_group([first[0]])
    ((_, pruned),) = run_group([first[1]])
    again = jobs()
    assert again == first
    assert len(opened(again[0].trial.journal, 1, 2).trials) == 2
    ((_, still),) = run_group([again[1]])
    assert isinstance(still, Pruned)
    assert str(still) == str(pruned)
    forced = jobs("force=true")
    assert [trial.state.name for trial in opened(forced[0].trial.journal, 1, 2).trials] == ["RUNNING", "RUNNING"]


def test_an_interrupted_fit_resumes_as_the_same_trial(jobs, monkeypatch):
    from zoo.fitting.gradient import GradientModule

    (job, _) = jobs("trainer.checkpoint_seconds=0")

    def interrupt(module):
        if module.current_epoch == 3:
            raise KeyError("interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(GradientModule, "on_train_epoch_start", interrupt)
        ((_, why),) = run_group([job])
    assert why == "KeyError: 'interrupted'"
    assert len(opened_values(job)) == 3
    ((_, record),) = run_group([job])
    assert list(opened_values(job)) == pytest.approx(record.fit["history"]["validation_total"], rel=1e-5)


def test_runs_that_are_recorded_compete(jobs, table, tmp_path):
    run_group(jobs(rates=RATE, search=Exhaustive()))
    found = jobs(rates="optimizer.lr=1e-06,0.02")
    ((_, behind),) = run_group([found[0]])
    assert isinstance(behind, Pruned)
    assert [row["state"] for row in table(found)] == ["complete", "pruned"]


def test_a_worker_that_does_not_share_the_folder_is_told(jobs, tmp_path):
    (job, _) = jobs()
    elsewhere = replace(job.trial, journal=tmp_path / "elsewhere" / "trials.journal")
    ((_, told),) = run_group([replace(job, trial=elsewhere)])
    assert told == f"{elsewhere.journal}: not the file of this search; its workers need paths.results in common"


def test_a_search_is_no_part_of_a_runs_identity(jobs):
    ((plain,), (said,)) = (
        jobs(*more, rates=RATE, search=Exhaustive()) for more in ((), ("search=asha", "search.first=4"))
    )
    found = jobs()
    assert found[0].key == plain.key == said.key
    assert found[0].name == plain.name == said.name


def test_points_are_drawn_from_intervals_choices_and_ranges():
    sweep = [
        "variant=vae",
        "optimizer.lr=tag(log,interval(0.001,0.1))",
        "width=range(2,9)",
        "fit.clip=interval(1,2)",
        "objective.beta=1,2",
        "bottleneck.units=int(interval(3,5))",
    ]
    with composing():
        points = Asha(trials=300).points(sweep)
        assert points == Asha(trials=300).points(sweep)
        assert points != Asha(trials=300, seed=1).points(sweep)
    drawn = [dict(override.split("=") for override in point) for point in points]
    rates = sorted(float(point["optimizer.lr"]) for point in drawn)
    assert 0.001 <= rates[0] < 0.0015
    assert 0.07 < rates[-1] <= 0.1
    assert 0.006 < rates[150] < 0.016, "the middle of the logarithms is 0.01"
    assert {point["width"] for point in drawn} == {str(width) for width in range(2, 9)}
    assert {point["objective.beta"] for point in drawn} == {"1", "2"}
    assert {point["bottleneck.units"] for point in drawn} == {"3", "4", "5"}
    assert all(1 <= float(point["fit.clip"]) <= 2 for point in drawn)
    assert {point["variant"] for point in drawn} == {"vae"}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["fit.clip=interval(0.1,1)"], r"^fit\.clip=interval\(0\.1,1\): say how many .*, search\.trials=20"),
        (["variant=pca"], r"^search=asha: pca .*cannot be stopped after some epochs"),
        (["variant=aae"], r"^search=asha: the losses of aae .*leave it out"),
        (["trainer=ddp"], r"^search=asha: vae .*only gradient fits by one process can"),
        (["likelihood=gaussian,bernoulli"], r"^search=asha: vae .* differ in likelihood, so their losses cannot be"),
    ],
)
def test_what_cannot_be_searched_is_told(jobs, overrides, told):
    with pytest.raises(ZooError, match=told):
        jobs(*overrides)


def test_an_interval_is_of_a_search_alone(jobs):
    with pytest.raises(ZooError, match=r"^width=interval\(2,9\): values are drawn .* by search=asha search\.trials=20"):
        jobs("width=interval(2,9)", search=Exhaustive())


def test_an_interval_without_values_is_told():
    with composing():
        (override,) = parsed_overrides(["width=tag(log,interval(-1,2))"])
    with pytest.raises(ZooError, match=r"^width=tag\(log,interval\(-1,2\)\): "):
        distribution(override)


@pytest.mark.parametrize(
    "settings", [{"trials": 0}, {"first": 0}, {"factor": 1}, {"seed": -1}, {"trials": 1.5}, {"factor": True}]
)
def test_numbers_of_a_search_have_ranges(settings):
    ((name, value),) = settings.items()
    with pytest.raises(ZooError, match=rf"^search\.{name}={value}: must be a whole number"):
        Asha(**settings)


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setattr("zoo.runs.search.find_spec", lambda package: None)
    with composing(), pytest.raises(ZooError, match=r"^search=asha needs .*: pip install 'bottleneck-zoo\[search\]'$"):
        search_of(composed("config", ["search=asha"]))


def test_a_search_is_of_a_sweep_or_a_study(zoo):
    outcome = zoo("run", "variant=vae", "search=asha")
    assert outcome.status == 2
    told = "error: search=asha: a search is of a sweep or a study; give several values, and zoo run -m\n"
    assert outcome.said == told


STUDY = """
table:
  - [data=digits, variant=vae, width=2, "hidden=[8]", budget.epochs=6, "optimizer.lr=0.02,1e-06", "seed=0,1"]
  - [data=digits, variant=deep_ae, width=2, "hidden=[8]", budget.epochs=2]
  - [data=digits, variant=pca, width=2]
"""


def test_a_study_fits_other_seeds_of_rows_that_reach_the_end(zoo, tmp_path):
    """Rows that nothing is compared with, and closed forms, are fitted as ever."""
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "rates.yaml").write_text(STUDY)
    asked = ("study=rates", "evaluation.groups=[reconstruction]", "processes=1", "trainer.progress=false")
    outcome = zoo(
        "run", f"--config-dir={tmp_path / 'conf'}", *asked, "search=asha", "search.first=1", "search.factor=2"
    )
    assert outcome.status == 0, outcome.said
    found = [read_record(path) for path in (tmp_path / "outputs" / "records").rglob("*.json")]
    assert sorted((record.variant, record.seed) for record in found) == [
        ("deep_ae", 0),
        ("pca", 0),
        ("vae", 0),
        ("vae", 1),
    ]
    assert all("lr=0.02" in record.name for record in found if record.variant == "vae")
    assert "1e-06" in outcome.said
    assert "pruned" in outcome.said
    assert "2 runs of this study have no record yet" in outcome.said


@pytest.mark.slow
def test_a_search_that_is_killed_resumes(launch, tmp_path):
    arguments = ("run", "-m", *RUN, "optimizer.lr=0.02,0.01,1e-5,1e-06", "search=asha", "processes=2")
    command = launch(*arguments, "budget.epochs=200", "trainer.checkpoint_seconds=0")
    while not list(tmp_path.rglob("*.ckpt")):
        assert command.process.poll() is None
        time.sleep(0.01)
    os.kill(command.process.pid, signal.SIGKILL)
    assert command.gone()
    status, said = launch(*arguments, "budget.epochs=200", "trainer.checkpoint_seconds=0").end(180)
    assert status == 0, said
    assert "Traceback" not in said
    lines = [line.split() for line in said.splitlines() if " epochs " in line]
    assert [line[0].split("=")[0] for line in lines] == ["optimizer.lr"] * 4
    assert {line[1] for line in lines} == {"complete", "pruned"}
    assert len(list(tmp_path.rglob("records/**/*.json"))) == sum(line[1] == "complete" for line in lines)
    assert [path for path in tmp_path.rglob(".*") if path.suffix in (".lock", ".part")] == []
