"""Saved models scored again through the real command line."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.records import read_record, write_record

FIT = ("variant=pca", "data=digits", "evaluation.groups=[reconstruction]")


@pytest.fixture
def again(monkeypatch, tmp_path, capsys):
    """`python -m experiments.evaluate ARGUMENTS`: its exit status or message, and what it printed."""

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["experiments.evaluate", *arguments])
        left = None
        try:
            runpy.run_module("experiments.evaluate", run_name="__main__")
        except SystemExit as leave:
            left = leave.code
        return left, capsys.readouterr().out

    return run


@pytest.fixture
def records(command, tmp_path):
    for seed in (0, 1):
        assert command(*FIT, f"seed={seed}").status == 0
    return sorted(tmp_path.rglob("*.json"))


def test_a_folder_is_scored_and_other_groups_stay(records, again):
    before = [read_record(path) for path in records]
    left, said = again("run=results/records", "evaluation.groups=[code,knowledge]")
    assert left is None
    for path, old in zip(records, before, strict=True):
        new = read_record(path)
        assert f"{path.relative_to(Path.cwd())}: " in said
        assert new.metrics.keys() > old.metrics.keys()
        assert {"active_units", "linear_probe_accuracy"} <= new.metrics.keys()
        assert replace(new, metrics=old.metrics) == old


def test_scoring_again_changes_no_number(records, again):
    path = records[0]
    before = read_record(path)
    left, _ = again(f"run={path}", "evaluation.groups=[reconstruction]", "trainer.progress=false")
    assert left is None
    assert read_record(path) == before


def test_no_record_there(again):
    left, _ = again("run=nowhere")
    assert left.startswith("error: run=nowhere: no record is there")


def test_a_model_that_is_gone_is_told_and_the_others_are_scored(records, again, tmp_path):
    for model in tmp_path.rglob("*-s0.safetensors"):
        model.unlink()
    left, said = again("run=results", "evaluation.groups=[code]")
    assert left.startswith("error: 1 of 2 records could not be scored:\n  outputs/models/digits/pca/")
    assert "no such model; fit it by" in left
    assert "active_units" in read_record(records[1]).metrics
    assert "active_units" not in read_record(records[0]).metrics
    assert str(records[1].relative_to(tmp_path)) in said


def test_a_record_that_was_moved_is_refused(records, again, tmp_path):
    moved = tmp_path / "elsewhere" / "a" / "b" / "c.json"
    moved.parent.mkdir(parents=True)
    records[0].rename(moved)
    left, _ = again(f"run={moved}")
    assert "lies elsewhere than its content says" in left


def test_a_record_that_names_foreign_code_is_refused(records, again, tmp_path):
    record = read_record(records[0])
    source = {"source": {"_target_": "os.system", "command": "touch harm"}}
    write_record(tmp_path / "results", replace(record, config=record.config | {"data": source}))
    left, _ = again(f"run={records[0]}")
    assert "names os.system, which is no part of the zoo" in left
    assert not (tmp_path / "harm").exists()
