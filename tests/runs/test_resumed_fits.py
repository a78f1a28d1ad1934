"""A run that is killed in the middle of its fit resumes there, and leaves the files that it would have left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from zoo.fitting.gradient import Gradient
from zoo.runs.records import read_record

RUN = (
    *("variant=vae", "data=digits", "hidden=[16]", "budget.epochs=40", "evaluation.groups=[reconstruction]"),
    *("trainer.progress=false", "trainer.checkpoint_seconds=0"),
)
TWO = ("-m", "variant=deep_ae", "optimizer=adamw", "seed=0,1", "trainer.stacked=2", "budget.epochs=400", "processes=1")


def one(folder, pattern):
    (found,) = folder.rglob(pattern)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("more", [("trainer=cpu",), ("trainer=ddp",), TWO], ids=["cpu", "ddp", "two seeds at once"])
def test_a_killed_run_resumes_and_ends_with_the_same_weights(process, repository, home, more):
    killed, whole = home / "killed", home / "whole"
    settings = (*RUN, *more)
    arguments = [sys.executable, "-m", "experiments.run", *settings, f"paths.home={killed}"]
    first = subprocess.Popen(arguments, env=os.environ | {"PYTHONPATH": str(repository)})
    while all(path.parent.name.startswith(".") for path in killed.rglob("*.ckpt")):  # as long as it is written
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    assert not list(killed.rglob("records/**/*.json"))

    outcome = process(*settings, f"paths.home={killed}")
    assert outcome.status == 0, outcome.said
    assert "resumed after epoch" in outcome.said
    assert process(*settings, f"paths.home={whole}").status == 0
    pairs = {kind: [sorted(folder.rglob(kind)) for folder in (killed, whole)] for kind in ("*.safetensors", "*.json")}
    for resumed, expected in zip(*pairs["*.safetensors"], strict=True):
        assert resumed.read_bytes() == expected.read_bytes()
    for resumed, expected in zip(*(map(read_record, paths) for paths in pairs["*.json"]), strict=True):
        assert resumed.fit["history"] == expected.fit["history"]
        assert resumed.fit.get("stacked") == expected.fit.get("stacked") == (2 if more is TWO else None)
        assert resumed.metrics["mse"]["value"] == expected.metrics["mse"]["value"]
    assert not list(killed.rglob("*.ckpt"))


@pytest.mark.parametrize("asked", [("run",), ("run", "-m")])
def test_a_checkpoint_that_a_killed_process_left_beside_a_finished_run_is_removed(zoo, tmp_path, asked):
    """It is removed after the record is written, and a kill may come between."""
    assert zoo("run", *RUN, "budget.epochs=2").status == 0
    left = one(tmp_path, "*.safetensors").with_suffix(".ckpt")
    left.write_bytes(b"")
    assert zoo(*asked, *RUN, "budget.epochs=2").status == 0
    assert not left.exists()


@pytest.mark.parametrize(("said", "kept"), [((), 60), (("trainer.checkpoint_seconds=null",), None)])
def test_a_run_keeps_checkpoints_beside_its_model(compose_job, monkeypatch, said, kept):
    from zoo.runs.single import fit_one, read

    seen = []
    monkeypatch.setattr(Gradient, "__call__", lambda fit, *_: seen.append(fit.checkpoints))
    job = compose_job("variant=vae", "hidden=[16]", *said)
    fit_one(job, read(job))
    (checkpoints,) = seen
    if kept is None:
        assert checkpoints is None
    else:
        assert (checkpoints.every, checkpoints.path) == (kept, job.model_path.with_suffix(".ckpt"))
        assert checkpoints.run["hash"] == job.key
        assert checkpoints.run["code"] == job.code


def test_how_often_a_fit_is_kept_is_no_part_of_its_identity(compose_job):
    plain, often = compose_job("variant=vae"), compose_job("variant=vae", "trainer.checkpoint_seconds=0")
    assert (plain.key, plain.name) == (often.key, often.name)


@pytest.mark.parametrize("seconds", ["-1", "nan", "inf", "true", "abc"])
def test_seconds_between_checkpoints_are_a_number_from_0(command, seconds):
    outcome = command("variant=vae", f"trainer.checkpoint_seconds={seconds}")
    assert outcome.status == 2
    assert "trainer.checkpoint_seconds=" in outcome.said
