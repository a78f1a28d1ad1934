"""One run and a sweep through the real command line: the files they write, and the messages about mistakes."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.evaluation.evaluator import in_groups
from zoo.evaluation.registry import METRICS
from zoo.runs import single
from zoo.runs.identity import digest
from zoo.runs.job import Job
from zoo.runs.records import Record, read_record, write_record

FAST = ("variant=pca", "data=digits", "evaluation.groups=[reconstruction]")
RESULTS, MODELS = Path("outputs/records/digits"), Path("outputs/models/digits")


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.rglob(pattern)
    return path


def measured(record: Record) -> dict:
    """What does not depend on the clock."""
    return {name: entry for name, entry in record.metrics.items() if not entry["measured"]}


# A run


def test_leaves_a_record_and_a_model_and_names_them(command, left, tmp_path):
    outcome = command("variant=linear_ae", "budget.epochs=2", "width=5", "seed=4", "trainer.progress=false")
    assert outcome.status == 0, outcome.said
    record = read_record(only(tmp_path, "*.json"))
    files = [str(folder / "linear_ae" / f"{record.hash}-s4") for folder in (MODELS, RESULTS)]
    assert left() == [f"{files[0]}.png", f"{files[0]}.safetensors", f"{files[1]}.json"]
    for said in (*left(), "linear_ae budget.epochs=2 on digits, seed 4", *record.metrics):
        assert said in outcome.said
    assert (record.variant, record.data, record.width, record.seed) == ("linear_ae", "digits", 5, 4)
    assert record.hash == digest(record.config)
    assert record.fit["epochs"] == len(record.fit["history"]["train_total"]) == 2
    assert {"sse", "mse", "mae", "psnr", "ssim", "parameters"} <= record.metrics.keys()
    assert record.metrics["mse"]["n"] == 360
    assert record.images.keys() >= {"original", "reconstruction"}
    assert record.environment["versions"]["torch"]
    assert record.metrics["fit_peak_memory"]["value"] == record.fit["peak_memory"]
    assert str(tmp_path) not in json.dumps(record.config), "where files lie is no part of what determines a model"


def test_a_record_says_of_what_kind_its_samples_are(command, tmp_path):
    for data, kind in (("digits", "image"), ("wine", "vector")):
        assert command("variant=pca", f"data={data}", "evaluation.groups=[reconstruction]", "width=2").status == 0
        assert read_record(only(tmp_path / "outputs" / "records" / data, "*.json")).kind == kind


def test_shows_the_bar_only_where_it_is_wanted(command):
    shown = command("variant=linear_ae", "budget.epochs=2", "evaluation.groups=[reconstruction]").said
    assert "2/2" in shown
    assert "2/2" not in command("variant=linear_ae", "budget.epochs=2", "seed=1", "trainer.progress=false").said


def test_a_run_that_is_done_is_skipped_and_forced(command, tmp_path):
    assert "done before" not in command(*FAST).said
    path, model = only(tmp_path, "*.json"), only(tmp_path, "*.safetensors")
    first, stamps = read_record(path), (path.stat().st_mtime_ns, model.stat().st_mtime_ns)

    again = command(*FAST)
    assert again.status == 0
    assert "done before (force=true runs it again)" in again.said
    assert (path.stat().st_mtime_ns, model.stat().st_mtime_ns) == stamps

    forced = command(*FAST, "force=true")
    assert "done before" not in forced.said
    assert path.stat().st_mtime_ns != stamps[0]
    assert model.stat().st_mtime_ns != stamps[1]
    assert measured(read_record(path)) == measured(first)
    assert only(tmp_path, "*.json") == path


def test_a_model_that_falls_short_of_pca_is_told_now_and_later_without_its_data(command, tmp_path, monkeypatch):
    options = ("variant=deep_ae", "budget.epochs=1", "evaluation.groups=[cost]", "trainer.progress=false")
    told = "warning explains less of the test samples than"
    assert told in command(*options).said
    assert told.removeprefix("warning ") in read_record(only(tmp_path, "*.json")).fit["shortfall"]
    assert told not in command("variant=pca", "evaluation.groups=[cost]").said
    monkeypatch.setattr(single, "read", None)
    again = command(*options)
    assert "done before" in again.said
    assert told in again.said


def test_another_point_is_another_record(command, tmp_path):
    points = [(), ("seed=1",), ("width=3",), ("network=linear_tied", "fit=gradient", "budget.epochs=1")]
    for point in points:
        assert command(*FAST, *point, "trainer.progress=false").status == 0
    records = [read_record(path) for path in (tmp_path / RESULTS).rglob("*.json")]
    assert len({record.metrics["mse"]["value"] for record in records}) == 3
    assert len(records) == 4
    assert {record.name for record in records} == {"pca", "pca budget.epochs=1 fit=gradient network=linear_tied"}


def test_metrics_asked_for_later_are_added_without_another_fit(command, tmp_path):
    options = ("variant=linear_ae", "budget.epochs=2", "trainer.progress=false")
    command(*options, "evaluation.groups=[reconstruction]")
    path, model = only(tmp_path, "*.json"), only(tmp_path, "*.safetensors")
    before, stamp = read_record(path), model.stat().st_mtime_ns
    assert "parameters" not in before.metrics

    outcome = command(*options, "evaluation.groups=[reconstruction,cost]")
    assert outcome.status == 0, outcome.said
    after = read_record(path)
    assert "parameters" in after.metrics
    assert model.stat().st_mtime_ns == stamp
    assert after.fit == before.fit
    assert measured(before).items() <= measured(after).items()


# What determines a run


@pytest.mark.parametrize(
    ("variant", "changes", "same"),
    [
        ("vae", ["trainer.progress=true"], True),
        ("vae", ["trainer.replay=true"], True),
        ("vae", ["trainer.stacked=4"], True),
        ("vae", ["paths.data=elsewhere", "paths.results=there"], True),
        ("vae", ["evaluation.groups=[cost]"], True),
        ("vae", ["seed=5"], True),  # stands beside the hash
        ("vae", ["width=9"], False),
        ("vae", ["budget.epochs=16"], False),
        ("vae", ["optimizer.lr=0.1"], False),
        ("vae", ["objective.weights.kl=2"], False),
        ("vae", ["likelihood.std=0.3"], False),
        ("vae", ["data.split_seed=1"], False),
        ("vae", ["trainer.threads=2"], False),
        ("pca", ["budget.epochs=16"], True),
        ("pca", ["optimizer.lr=0.1"], True),
        ("pca", ["fit=svd"], False),
        ("pca", ["width=9"], False),
    ],
)
def test_the_hash_is_of_all_that_determines_the_model_and_no_more(compose_job, variant, changes, same):
    one, other = compose_job(f"variant={variant}"), compose_job(f"variant={variant}", *changes)
    assert (one.key == other.key) is same


def test_a_job_knows_what_its_record_lacks(compose_job, command, tmp_path):
    command(*FAST)
    record = read_record(only(tmp_path, "*.json"))
    job: Job = compose_job(
        "variant=pca", "evaluation.groups=[reconstruction,cost]", f"paths.results={tmp_path}/outputs"
    )
    assert job.record_path.exists()
    assert job.existing() == job.recorded() == record
    assert job.due(record) == in_groups(["cost"])
    forced = compose_job("variant=pca", "force=true", f"paths.results={tmp_path}/outputs")
    assert (forced.existing(), forced.recorded()) == (None, record)


# Mistakes


def truncated(folder):
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        path = folder / "data" / "MNIST" / "raw" / f"{name}-ubyte"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0\0\x08\x03\0\0\xea\x60\0\0")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("variant=pca width=0", r"width=0: a code needs a whole number of units, at least 1"),
        ("variant=vae width=-2", r"width=-2: a code needs"),
        ("variant=vae width=2.5", r"width=2\.5: must be a whole number"),
        ("variant=pca width=65", r"width=65: 1293 training samples of 64 numbers have at most 64 .*"),
        ("variant=svd width=65", r"width=65: .*; choose a smaller width"),
        (
            "variant=pca network=deep",
            r"fit=pca, svd, streaming_pca and ica need network=linear, .*; else choose fit=gradient",
        ),
        ("variant=vae network=dictionary", r"network=dictionary: .* 16 inputs and 8 outputs.*; choose network="),
        (
            "variant=linear_ae optimizer=sgd optimizer.lr=1e9",
            r"epoch 1: .*total.* not a finite number; lower optimizer",
        ),
        ("variant=linear_ae budget.epochs=0", r"epochs=0: must be a whole number, at least 1"),
        ("variant=linear_ae budget.batch_size=0", r"batch_size=0: must be a whole number"),
        (
            "variant=deep_ae optimizer.lr=-1 trainer.progress=true",
            r"optimizer\.lr=-1: must be greater than 0 and finite",
        ),
        ("variant=deep_ae hidden=[8,0]", r"network.hidden=\[8, 0\]: must be a list of whole numbers, at least 1 each"),
        ("variant=topk width=2000", r"bottleneck\.k=2000: more active units than the bottleneck\.units=1024"),
        ("variant=vae likelihood.std=0", r"likelihood\.std=0: .* greater than 0"),
        ("variant=conv_ae network.filters=[4,4,4,4]", r"network\.filters=\[4, 4, 4, 4\] halves a 8x8 image to nothing"),
        ("variant=vae +objective.weights.l1=1", r"objective: weights .* of \['l1'\], but .* penalties are \['kl'\]"),
        ("variant=pca data.validation_fraction=1.5", r"data\.validation_fraction=1\.5: must be between 0 and 1"),
        ("variant=pca evaluation.groups=[nope]", r"evaluation\.groups=\[nope\]: no such group"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_and_nothing_is_left(command, left, arguments, told):
    outcome = command("data=digits", "trainer.progress=false", *arguments.split())
    assert outcome.status == 2
    *_, last = outcome.said.strip().splitlines()
    assert re.fullmatch(rf"error: .*{told}.*", last), outcome.said
    assert "Traceback" not in outcome.said
    assert left() == []


def test_a_truncated_file(command, left, tmp_path):
    truncated(tmp_path)
    before = left()
    outcome = command("variant=pca", "data=mnist")
    assert outcome.status == 2
    assert re.search(r"train-images-idx3-ubyte: its 10 bytes .* delete the folder .*data/MNIST/raw", outcome.said)
    assert left() == before


def test_without_git_a_run_is_recorded_without_a_commit(command, tmp_path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    monkeypatch.setattr(single, "__file__", str(tmp_path / "zoo" / "runs" / "single.py"))
    (tmp_path / ".git").mkdir()  # the zoo's checkout
    assert command(*FAST).status == 0
    assert read_record(only(tmp_path, "*.json")).environment["git"] is None


def test_files_that_are_not_there_and_no_network(command, left, monkeypatch):
    def no_address(*arguments, **named):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    outcome = command("variant=pca", "data=mnist")
    assert outcome.status == 2
    assert re.search(
        r"data/MNIST/raw lacks train-images-idx3-ubyte, .* run again with a network connection, or put", outcome.said
    )
    assert left() == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("variant=ave", r"^error: variant=ave: no such variant; did you mean aae, mae, vae\?$"),
        ("variant=pca width=65", r"^error: width=65: .*; choose a smaller width$"),
    ],
)
def test_in_a_process_of_its_own(process, left, arguments, told):
    outcome = process(*arguments.split())
    assert outcome.status == 2
    assert re.search(told, outcome.said, flags=re.M), outcome.said
    assert "Traceback" not in outcome.said
    assert left() == []


# Nothing is lost


def test_a_record_whose_model_is_gone_is_neither_refitted_nor_replaced_unasked(command, tmp_path):
    command(*FAST)
    path = only(tmp_path, "*.json")
    before = read_record(path)
    only(tmp_path, "*.safetensors").unlink()
    outcome = command("variant=pca", "data=digits", "evaluation.groups=[code]")
    assert outcome.status == 2
    lacks = len(in_groups(["code"]))
    assert re.search(rf"error: .*safetensors: this model is not on this machine, so the {lacks} metrics", outcome.said)
    assert "refit=true fits it again" in outcome.said
    assert read_record(path) == before

    assert command("variant=pca", "data=digits", "evaluation.groups=[code]", "refit=true").status == 0
    after = read_record(path)
    assert after.metrics.keys() == before.metrics.keys() | set(in_groups(["code"]))
    assert measured(before).items() <= measured(after).items()
    assert only(tmp_path, "*.safetensors")


def test_a_run_that_is_forced_keeps_every_metric_that_it_had(command, tmp_path):
    command(*FAST[:2], "evaluation.groups=[reconstruction,code]")
    before = read_record(only(tmp_path, "*.json"))
    command(*FAST, "force=true")
    after = read_record(only(tmp_path, "*.json"))
    assert after.metrics.keys() == before.metrics.keys()
    assert after.environment["finished"] >= before.environment["finished"]


def test_a_forced_run_that_is_interrupted_keeps_every_metric_due(command, tmp_path, monkeypatch):
    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    command("variant=pca", "data=digits", "evaluation.groups=[reconstruction,code]")
    before = read_record(only(tmp_path, "*.json"))
    with monkeypatch.context() as patch:
        patch.setattr(single, "evaluate", interrupted)
        assert command(*FAST, "force=true").status == 130
    assert read_record(only(tmp_path, "*.json")).metrics == {}
    assert command(*FAST).status == 0
    after = read_record(only(tmp_path, "*.json"))
    assert after.metrics.keys() == before.metrics.keys()
    assert "due" not in after.environment


def test_what_is_asked_for_a_place_without_room_is_said_of_that_place(command, tmp_path, monkeypatch):
    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device", "record.json")

    monkeypatch.setattr(single, "write_record", full)
    outcome = command(*FAST)
    assert outcome.status == 2
    assert "record.json: cannot be written (No space left on device)" in outcome.said
    monkeypatch.setattr(single, "tempfile", SimpleNamespace(mkdtemp=full))
    assert "the fit is lost; make room" in command(*FAST, "seed=1").said


def test_a_command_whose_output_nobody_reads_on_ends_without_a_word(tmp_path, repository):
    for words in (("variants",), ("run", *FAST), ("run", "-m", *FAST, "seed=0,1", "processes=1")):
        one = subprocess.Popen(
            [sys.executable, "-m", "zoo.cli", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(repository), "ZOO_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert one.stdout is not None
        assert one.stderr is not None
        with one:
            one.stdout.close()
            said = one.stderr.read().decode()
        assert (one.returncode, "Traceback" in said) == (141, False), said


def test_a_part_is_chosen_by_the_name_of_its_option(command):
    for setting, told in (("fit.optimizer=sgd", "optimizer=muon"), ("fit.schedule=5", "schedule=")):
        outcome = command("variant=deep_ae", "data=digits", setting)
        assert outcome.status == 2
        assert "by the name of its option, as in " + told in outcome.said


def test_more_than_there_is_memory_for(command, left):
    outcome = command("variant=deep_ae", "data=digits", "hidden=[2000000000]")
    assert outcome.status == 2
    assert re.search(r"^error: there is not enough memory \(.*\); choose smaller sizes$", outcome.said, flags=re.M)
    assert left() == []


def test_a_metric_that_raises_costs_no_fit(command, tmp_path, monkeypatch):
    def broken(x, x_hat):
        raise ValueError("a fault of its own")

    monkeypatch.setitem(METRICS, "ssim", replace(METRICS["ssim"], function=broken))
    outcome = command("variant=linear_ae", "budget.epochs=1", "trainer.progress=false", "data=digits")
    assert outcome.status == 1
    assert "failed  ssim: ValueError: a fault of its own" in outcome.said
    record, model = read_record(only(tmp_path, "*.json")), only(tmp_path, "*.safetensors")
    assert record.metrics["ssim"]["failed"] is True
    assert record.metrics["mse"]["value"] > 0
    stamp = model.stat().st_mtime_ns

    monkeypatch.undo()
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    outcome = command("variant=linear_ae", "budget.epochs=1", "trainer.progress=false", "data=digits")
    assert outcome.status == 0, outcome.said
    assert read_record(only(tmp_path, "*.json")).metrics["ssim"]["value"] > 0
    assert model.stat().st_mtime_ns == stamp, "it was measured from the saved model"


def test_a_fit_is_recorded_before_it_is_measured(command, tmp_path, monkeypatch):
    """What is interrupted while measuring goes on from the saved model."""

    def interrupted(*arguments, **named):
        raise KeyboardInterrupt

    monkeypatch.setattr(single, "evaluate", interrupted)
    outcome = command(*FAST)
    assert outcome.status == 130
    assert outcome.said.splitlines()[-1] == "interrupted: finished runs are kept; the same command resumes"
    assert read_record(only(tmp_path, "*.json")).metrics == {}
    stamp = only(tmp_path, "*.safetensors").stat().st_mtime_ns
    monkeypatch.undo()
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert command(*FAST).status == 0
    assert read_record(only(tmp_path, "*.json")).metrics["mse"]["value"] > 0
    assert only(tmp_path, "*.safetensors").stat().st_mtime_ns == stamp


# Staleness


def test_a_record_of_other_code_is_stale_and_runs_again_if_asked(command, tmp_path):
    command(*FAST)
    path = only(tmp_path, "*.json")
    record = read_record(path)
    write_record(tmp_path / "outputs", replace(record, code="0123456789"))
    outcome = command(*FAST)
    assert outcome.status == 0
    assert "done before" in outcome.said
    assert "its code has changed since (stale=rerun runs it again)" in outcome.said
    assert read_record(path).code == "0123456789"
    assert "done before" not in command(*FAST, "stale=rerun").said
    assert read_record(path).code == record.code
    assert "done before" in command(*FAST, "stale=rerun").said


def test_what_a_record_calls_trusted_is_not_imported(command, zoo, tmp_path, monkeypatch):
    """A record from elsewhere may name any package."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "hostile.py").write_text("open('harm', 'w')")
    command(*FAST)
    write_record(tmp_path / "outputs", replace(read_record(only(tmp_path, "*.json")), trust=["hostile"]))
    assert "done before" in command(*FAST, "stale=rerun").said
    said = zoo("report", "data=digits").said
    assert "whether rows with parts of hostile are stale is only known with trust=hostile" in said
    assert zoo("evaluate", "run=outputs").status == 0
    assert not (tmp_path / "harm").exists()


def test_a_forced_run_replaces_a_record_that_cannot_be_read(command, tmp_path):
    command(*FAST)
    path = only(tmp_path, "*.json")
    path.write_text(path.read_text()[:500])
    assert "not a record of schema 2" in command(*FAST).said
    assert command(*FAST, "force=true").status == 0
    assert read_record(path).variant == "pca"


# Files of one's own


def test_files_of_ones_own_count_by_their_content(command, tmp_path):
    generator = np.random.default_rng(0)
    first, second = (generator.random((60, 8, 8), dtype=np.float32) for _ in range(2))
    for name in ("images", "copy"):
        np.save(tmp_path / f"{name}.npy", first)

    def run(path):
        outcome = command("variant=pca", "data=array", f"data.source.path={path}", "width=2")
        assert outcome.status == 0, outcome.said
        return "done before" in outcome.said

    assert not run("images.npy")
    assert run("images.npy")
    assert run(f"{tmp_path}/images.npy"), "the same file spelled otherwise"
    assert run("copy.npy"), "the same content at another place"
    np.save(tmp_path / "images.npy", second)
    assert not run("images.npy"), "another content at the same place"
    records = [read_record(path) for path in (tmp_path / "outputs" / "records").rglob("*.json")]
    assert len(records) == 2
    assert {record.name for record in records} == {"pca"}
    assert len({record.data for record in records}) == len({record.hash for record in records}) == 2
    assert all("path" not in record.config["data"]["source"] for record in records)


# Sweeps


@pytest.mark.slow
def test_a_sweep_on_all_cores(process, left):
    outcome = process("-m", "variant=pca,svd", "seed=0,1", "evaluation.groups=[reconstruction]")
    assert outcome.status == 0, outcome.said
    names = [Path(path) for path in left()]
    for variant in ("pca", "svd"):
        records = [path.name for path in names if path.parent == RESULTS / variant]
        models = [path.name for path in names if path.parent == MODELS / variant]
        assert [name[10:] for name in records] == ["-s0.json", "-s1.json"]
        assert [name[10:] for name in models] == ["-s0.safetensors", "-s1.safetensors"]
    *lines, place = outcome.said.splitlines()
    assert place.startswith("records below")
    assert max(map(len, lines)) <= 80
    assert re.search(r"^ *svd +\d+\.\d+", outcome.said, flags=re.M), "its table"


def test_a_sweep_ends_with_every_failure_and_its_table(command, tmp_path):
    sizes = "65,66,4"
    outcome = command("-m", "variant=pca,svd", f"width={sizes}", "evaluation.groups=[reconstruction]")
    assert outcome.status == 1
    assert "error: 4 of 6 runs failed:" in outcome.said
    for width in (65, 66):
        for variant in ("pca", "svd"):
            assert re.search(
                rf"^  {variant} width {width} seed 0: width={width}: 1293 training samples", outcome.said, flags=re.M
            )
    assert re.search(r"^ *pca +\d+\.\d+", outcome.said, flags=re.M)
    records = [read_record(path) for path in (tmp_path / RESULTS).rglob("*.json")]
    assert sorted((record.variant, record.width) for record in records) == [("pca", 4), ("svd", 4)]


def test_several_values_without_m_are_refused(command, left):
    outcome = command("variant=pca", "seed=0,1")
    assert outcome.status == 2
    assert "error: seed=0,1: several values are a sweep; add -m to run them all" in outcome.said
    assert left() == []
