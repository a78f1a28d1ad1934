"""Metrics of saved models, measured through the real command line."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from zoo.evaluation import evaluator
from zoo.evaluation.evaluator import in_groups
from zoo.runs.records import read_record, write_record

FIT = ("variant=pca", "data=digits", "evaluation.groups=[reconstruction]")


@pytest.fixture
def again(zoo):
    """`zoo evaluate ARGUMENTS`."""
    return lambda *arguments: zoo("evaluate", *arguments)


@pytest.fixture
def records(command, tmp_path):
    for seed in (0, 1):
        assert command(*FIT, f"seed={seed}").status == 0
    return sorted(tmp_path.rglob("*-s*.json"))


def test_a_folder_is_measured_and_other_metrics_stay(records, again, tmp_path):
    before = [read_record(path) for path in records]
    outcome = again("run=outputs/records", "evaluation.groups=[code,probing]", "trainer.progress=false")
    assert outcome.status == 0, outcome.said
    for path, old in zip(records, before, strict=True):
        new = read_record(path)
        asked = set(in_groups(["code", "probing"]))
        assert f"{path.relative_to(tmp_path)}: pca, {len(asked)} metrics" in outcome.said
        assert new.metrics.keys() == old.metrics.keys() | asked
        assert replace(new, metrics=old.metrics) == old
        value = new.metrics["linear_probe_accuracy"]["value"]
        assert re.search(rf"linear_probe_accuracy +{value:.6g}", outcome.said), "it prints what it measured"


def test_what_is_there_is_measured_again_only_if_asked(records, again):
    path = records[0]
    before, stamp = read_record(path), path.stat().st_mtime_ns
    assert "nothing lacks" in again(f"run={path}", "evaluation.groups=[reconstruction]").said
    assert path.stat().st_mtime_ns == stamp
    outcome = again(f"run={path}", "evaluation.groups=[reconstruction]", "again=true", "trainer.progress=false")
    assert outcome.status == 0
    assert path.stat().st_mtime_ns != stamp
    assert read_record(path) == before


def test_an_older_version_of_a_metric_is_measured_again_alone(records, again):
    path = records[0]
    before = read_record(path)
    old = {**before.metrics, "mse": before.metrics["mse"] | {"version": 0, "value": 7.0}}
    write_record(path.parents[3], replace(before, metrics=old))
    outcome = again(f"run={path}", "evaluation.groups=[reconstruction]", "trainer.progress=false")
    assert f"{before.name}, 1 metrics" in outcome.said
    assert read_record(path) == before


def test_no_record_there(again):
    outcome = again("run=nowhere")
    assert outcome.status == 2
    assert "error: run=nowhere: no record there; give a record's file or a folder" in outcome.said
    assert "error: run= is missing: give a record's file, or a folder of records" in again().said


def test_a_model_that_is_gone_is_told_and_the_others_are_measured(records, again, tmp_path):
    for model in tmp_path.rglob("*-s0.safetensors"):
        model.unlink()
    outcome = again("run=outputs", "evaluation.groups=[code]", "trainer.progress=false")
    assert outcome.status == 1
    assert re.search(
        r"error: 1 of 2 records not measured:\n  .*outputs/models/digits/pca/.*: no such model", outcome.said
    )
    assert "active_units" in read_record(records[1]).metrics
    assert "active_units" not in read_record(records[0]).metrics


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("evaluation.groups=[nope]", "evaluation.groups=[nope]: no such group"),
        ("evaluation.groups=[]", "evaluation.groups=[]: nothing would be measured"),
        ("evaluation.outliers=nope", "evaluation.outliers=nope: no such data set"),
    ],
)
def test_what_is_asked_for_is_checked_once_and_first(records, again, asked, told):
    outcome = again("run=outputs/records", asked)
    assert outcome.status == 2
    assert outcome.said.count("error: ") == outcome.said.count(told) == 1


def test_records_that_cannot_be_written_are_told_before_models_are_measured(records, again, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *arguments: False)  # for root, every folder is writable
    outcome = again("run=outputs/records", "evaluation.groups=[code]")
    assert outcome.status == 2
    assert "nothing can be written to" in outcome.said


def test_a_model_that_is_fitted_again_meanwhile_gets_no_metrics_of_the_older_one(records, again, monkeypatch):
    path, measure = records[0], evaluator.evaluate

    def meanwhile(*arguments):
        write_record(path.parents[3], replace(read_record(path), weights="f" * 64, metrics={}))
        return measure(*arguments)

    monkeypatch.setattr(evaluator, "evaluate", meanwhile)
    outcome = again(f"run={path}", "evaluation.groups=[code]", "trainer.progress=false")
    assert outcome.status == 1
    assert "was fitted again meanwhile" in outcome.said
    assert read_record(path).metrics == {}


def test_a_record_that_was_moved_is_refused(records, again, tmp_path):
    moved = tmp_path / "elsewhere" / "a" / "b" / "c-s0.json"
    moved.parent.mkdir(parents=True)
    records[0].rename(moved)
    outcome = again(f"run={moved}")
    assert outcome.status == 1
    assert "not a record of schema 2 (it is of the run " in outcome.said


@pytest.mark.parametrize(
    "source",
    [
        {"_target_": "os.system", "command": "touch harm"},
        {"path": "${oc.create:{_target_: os.system, command: touch harm}}"},
        {"option": {"_target_": "os.system"}},
    ],
)
def test_a_record_that_names_code_runs_none(records, again, tmp_path, source):
    record = read_record(records[0])
    write_record(
        tmp_path / "outputs", replace(record, config=record.config | {"data": {"option": "digits", "source": source}})
    )
    outcome = again(f"run={records[0]}", "evaluation.groups=[code]")
    assert outcome.status == 1
    assert "Traceback" not in outcome.said
    assert not (tmp_path / "harm").exists()


def test_files_of_ones_own_are_found_and_must_be_the_same(command, again, tmp_path):
    images = np.random.default_rng(0).random((60, 8, 8), dtype=np.float32)
    np.save(tmp_path / "images.npy", images)
    command("variant=pca", "data=array", "data.source.path=images.npy", "width=2", "evaluation.groups=[reconstruction]")
    said = ("run=outputs/records", "evaluation.groups=[code]", "trainer.progress=false")
    shutil.move(tmp_path / "images.npy", tmp_path / "moved.npy")
    assert "its data was at images.npy, which does not exist; give the new path by path=<path>" in again(*said).said
    assert again(*said, "path=moved.npy").status == 0
    np.save(tmp_path / "images.npy", images + 1e-3)
    assert "images.npy has changed since the fit" in again(*said, "again=true").said
