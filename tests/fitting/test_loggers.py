"""The history of a fit in other programs: what they hold equals what the record holds."""

from __future__ import annotations

import csv
import time
import warnings

import pytest

from zoo.errors import ZooError
from zoo.fitting import loggers
from zoo.runs.single import fit_one, fit_together, read

pytestmark = pytest.mark.slow

SHORT = ("variant=vae", "hidden=[8]", "budget.epochs=3")
TERMS = ("train_total", "validation_total", "train_kl")


@pytest.fixture
def fitted(compose_job, tmp_path, capsys):
    """A short run with a logger -> the history of its fit, and what was printed."""

    def one(*overrides):
        job = compose_job(*SHORT, f"paths.home={tmp_path}", *overrides)
        report = fit_one(job, read(job)).report
        return job, report.history, capsys.readouterr().out

    return one


def test_csv(fitted, tmp_path):
    job, history, said = fitted("logger=csv")
    path = tmp_path / "outputs" / "logs" / "digits" / "vae" / f"{job.key}-s0" / "metrics.csv"
    assert said == f"log     {path}\n"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3]
    for term in TERMS:
        assert [float(row[term]) for row in rows] == pytest.approx(history[term])
    _, again, _ = fitted("logger=csv")
    assert again == history
    assert len(list(csv.DictReader(path.read_text().splitlines()))) == 3, "a run that is fitted again replaces its log"


def test_epochs_without_validation_are_logged_too(fitted, tmp_path):
    fitted("logger=csv", "fit.validate_every=2")
    (path,) = tmp_path.rglob("metrics.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [bool(row["validation_total"]) for row in rows] == [False, True, False]
    assert all(row["train_total"] for row in rows)


def test_tensorboard(fitted, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TensorBoard's own dependencies
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        job, history, said = fitted("logger=tensorboard")
        folder = tmp_path / "outputs" / "logs" / "digits" / "vae" / f"{job.key}-s0"
        assert said == f"log     {folder}\n"
        events = EventAccumulator(str(folder)).Reload()
    for term in TERMS:
        assert [event.value for event in events.Scalars(term)] == pytest.approx(history[term])
    assert [event.step for event in events.Scalars("train_total")] == [1, 2, 3]


def test_where_a_run_of_mlflow_is_kept(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    given, other = (f"sqlite:///{tmp_path}/{name}.db" for name in ("given", "other"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
    assert loggers.MLflow().open(tmp_path, "digits/vae", "0-s0")[1] == given
    assert loggers.MLflow(other).open(tmp_path, "digits/vae", "0-s0")[1] == other


def test_an_address_where_mlflow_cannot_log_is_one_sentence(tmp_path):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    told = r"^logger\.uri=nonsense://x: MLflow cannot log there \("
    with pytest.raises(ZooError, match=told):
        loggers.MLflow("nonsense://x").open(tmp_path, "digits/vae", "1")
    start = time.monotonic()
    with pytest.raises(ZooError, match=r"^logger\.uri=http://127\.0\.0\.1:1: MLflow cannot log there \("):
        loggers.MLflow("http://127.0.0.1:1").open(tmp_path, "digits/vae", "1")
    assert time.monotonic() - start < 60, "where nothing answers, MLflow itself tries for four minutes"


def test_mlflow(fitted, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    uri = f"sqlite:///{tmp_path}/outputs/logs/mlflow.db"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own dependencies
        from mlflow import MlflowClient

        job, history, said = fitted("logger=mlflow")
        client = MlflowClient(uri)
        (experiment,) = client.search_experiments(filter_string="name = 'bottleneck-zoo'")
        (run,) = client.search_runs([experiment.experiment_id])
        found = {term: client.get_metric_history(run.info.run_id, term) for term in TERMS}
    assert said.endswith(f"log     {uri}\n")
    assert run.info.run_name == f"digits/vae {job.key}-s0"
    assert run.info.status == "FINISHED"
    assert run.data.params["bottleneck/option"] == "gaussian_posterior"
    for term in TERMS:
        assert [entry.value for entry in found[term]] == pytest.approx(history[term])


@pytest.fixture
def resumed(compose_job, tmp_path, monkeypatch):
    """The name of a logger -> the report of a fit that was interrupted and resumed."""
    from zoo.fitting.gradient import GradientModule

    def interrupt(module):
        if module.current_epoch == 2:
            raise KeyError("interrupted")

    def one(logger):
        job = compose_job(*SHORT, f"paths.home={tmp_path}", f"logger={logger}", "trainer.checkpoint_seconds=0")
        with monkeypatch.context() as patched:
            patched.setattr(GradientModule, "on_train_epoch_start", interrupt)
            with pytest.raises(KeyError):
                fit_one(job, read(job))
        return fit_one(job, read(job)).report

    return one


def test_a_resumed_fit_has_a_whole_log(resumed, tmp_path):
    report = resumed("csv")
    (path,) = tmp_path.rglob("metrics.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [float(row["train_total"]) for row in rows] == pytest.approx(report.history["train_total"])


def test_a_resumed_fit_replaces_its_events_of_tensorboard(resumed, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    resumed("tensorboard")
    assert len(list(tmp_path.rglob("events.out.tfevents.*"))) == 1


def test_a_run_of_mlflow_that_was_killed_ends_when_the_fit_resumes(tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    runs = [loggers.MLflow().open(tmp_path, "digits/vae", version)[0] for version in ("1-s0", "2-s0", "1-s0")]
    status = [run.experiment.get_run(run.run_id).info.status for run in runs]
    assert status == ["KILLED", "RUNNING", "RUNNING"]


def test_processes_that_begin_together_share_the_database_of_mlflow(launch, monkeypatch):
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # which MLflow itself sets
    arguments = ("run", "-m", "data=digits", "variant=linear_ae", "budget.epochs=1", "evaluation.groups=[cost]")
    command = launch(*arguments, "seed=0,1,2", "logger=mlflow", "processes=3")
    status, said = command.end(180)
    assert status == 0, said


def test_a_logger_changes_neither_result_nor_identity(fitted, compose_job):
    plain, history, said = fitted()
    logged, same, _ = fitted("logger=csv")
    assert said == ""
    assert same == history
    assert (logged.key, logged.name, logged.record_path) == (plain.key, plain.name, plain.record_path)


def test_models_whose_history_is_logged_are_fitted_one_by_one(compose_job, tmp_path):
    settings = ("variant=linear_ae", "hidden=[8]", "budget.epochs=1", f"paths.home={tmp_path}")
    for logger, together in (("none", 2), ("csv", 0)):
        jobs = [compose_job(*settings, f"logger={logger}", f"seed={seed}") for seed in (0, 1)]
        assert len(fit_together(jobs)) == together


def test_closed_forms_have_no_history_to_log(fitted, tmp_path):
    fitted("variant=pca", "logger=csv")
    assert not list(tmp_path.rglob("logs"))


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_missing_package_is_named_before_data_are_read(compose_job, monkeypatch, name):
    monkeypatch.setattr(loggers, "find_spec", lambda package: None)
    with pytest.raises(ZooError, match=rf"^logger={name} needs .*: pip install 'bottleneck-zoo\[{name}\]'"):
        compose_job("variant=vae", f"logger={name}").make_logger()
