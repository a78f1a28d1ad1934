"""One run and a sweep through the real command line: what is left behind, and what a mistake is told."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from experiments.job import Job
from zoo.records import Record, digest, read_record

FAST = ("variant=pca", "data=digits", "evaluation.groups=[reconstruction]")
RESULTS, MODELS = Path("results/records/digits"), Path("outputs/models/digits")


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
    assert left() == [f"{files[0]}.safetensors", f"{files[1]}.json"]
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


def test_shows_the_bar_only_where_it_is_wanted(command):
    shown = command("variant=linear_ae", "budget.epochs=2", "evaluation.groups=[reconstruction]").said
    assert "2/2" in shown
    assert "2/2" not in command("variant=linear_ae", "budget.epochs=2", "seed=1", "trainer.progress=false").said


def test_a_run_that_is_done_is_skipped_and_forced(command, tmp_path):
    assert "done before" not in command(*FAST).said
    path, model = only(tmp_path, "*.json"), only(tmp_path, "*.safetensors")
    first, stamps = read_record(path), (path.stat().st_ino, model.stat().st_mtime_ns)

    again = command(*FAST)
    assert again.status == 0
    assert "done before (force=true runs it again)" in again.said
    assert (path.stat().st_ino, model.stat().st_mtime_ns) == stamps

    forced = command(*FAST, "force=true")
    assert "done before" not in forced.said
    assert path.stat().st_ino != stamps[0]
    assert model.stat().st_mtime_ns != stamps[1]
    assert measured(read_record(path)) == measured(first)
    assert only(tmp_path, "*.json") == path


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
    changes = [("+" if "weights" in change else "") + change for change in changes]
    one, other = compose_job(f"variant={variant}"), compose_job(f"variant={variant}", *changes)
    assert (one.key == other.key) is same


def test_a_job_knows_what_its_record_lacks(compose_job, command, tmp_path):
    command(*FAST)
    record = read_record(only(tmp_path, "*.json"))
    job: Job = compose_job(
        "variant=pca", "evaluation.groups=[reconstruction,cost]", f"paths.results={tmp_path}/results"
    )
    assert job.record_path.exists()
    assert job.existing() == job.recorded() == record
    assert job.missing(record) == ["cost"]
    forced = compose_job("variant=pca", "force=true", f"paths.results={tmp_path}/results")
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
        ("variant=vae width=2.5", r"width=2\.5: a code needs"),
        ("variant=pca width=65", r"width=65: 1293 images of 64 pixels have at most 64 .*; choose a smaller width"),
        ("variant=svd width=65", r"width=65: .*; choose a smaller width"),
        ("variant=pca network=deep", r"fit=svd solves network=linear .*; give another model fit=gradient"),
        ("variant=vae network=dictionary", r"network=dictionary: .* 16 units into 8 .*; choose network="),
        (
            "variant=linear_ae optimizer=sgd optimizer.lr=1e9",
            r"epoch 1: .*total.* not a finite number; lower optimizer",
        ),
        ("variant=linear_ae budget.epochs=0", r"epochs=0: a gradient fit needs a whole number, at least 1"),
        ("variant=linear_ae budget.batch_size=0", r"batch_size=0: a gradient fit needs a whole number"),
        ("variant=topk width=2000", r"bottleneck\.k=2000: more active units than the bottleneck\.units=1024"),
        ("variant=vae likelihood.std=0", r"likelihood\.std=0: .* greater than 0"),
        ("variant=conv_ae network.filters=[4,4,4,4]", r"network\.filters=\[4, 4, 4, 4\] halves a 8x8 image to nothing"),
        ("variant=vae +objective.weights.l1=1", r"objective\.weights names \['l1'\], but .* penalties are \['kl'\]"),
        ("variant=pca data.validation_fraction=1.5", r"validation_fraction is 1\.5; it must lie between 0 and 1"),
        ("variant=pca evaluation.groups=[nope]", r"evaluation groups \['nope'\] do not exist; the groups are"),
    ],
)
def test_a_mistake_is_told_in_a_sentence_and_nothing_is_left(command, left, arguments, told):
    outcome = command("data=digits", "trainer.progress=false", *arguments.split())
    assert outcome.status == 1
    *_, last = outcome.said.strip().splitlines()
    assert re.fullmatch(rf"error: .*{told}.*", last), outcome.said
    assert "Traceback" not in outcome.said
    assert left() == []


def test_a_truncated_file(command, left, tmp_path):
    truncated(tmp_path)
    before = left()
    outcome = command("variant=pca", "data=mnist")
    assert outcome.status == 1
    assert re.search(r"train-images-idx3-ubyte: its 10 bytes .* delete the folder data/MNIST/raw and run", outcome.said)
    assert left() == before


def test_files_that_are_not_there_and_no_network(command, left, monkeypatch):
    def no_address(*arguments, **named):
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_address)
    outcome = command("variant=pca", "data=mnist")
    assert outcome.status == 1
    assert re.search(r"data/MNIST/raw lacks train-images-idx3-ubyte, .* run again with a network, or put", outcome.said)
    assert left() == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("variant=nope", r"'variant/nope'(.|\n)*deep_ae(.|\n)*vae"),
        ("variant=pca width=65", r"^error: width=65: .*; choose a smaller width$"),
    ],
)
def test_in_a_process_of_its_own(process, left, arguments, told):
    outcome = process(*arguments.split())
    assert outcome.status == 1
    assert re.search(told, outcome.said, flags=re.M), outcome.said
    assert "Traceback" not in outcome.said
    assert left() == []


# Sweeps


def test_a_sweep_on_all_cores(process, left):
    outcome = process("-m", "variant=pca,svd", "seed=0,1", "evaluation.groups=[reconstruction]")
    assert outcome.status == 0, outcome.said
    names = [Path(path) for path in left()]
    for variant in ("pca", "svd"):
        records = [path.name for path in names if path.parent == RESULTS / variant]
        models = [path.name for path in names if path.parent == MODELS / variant]
        assert [name[10:] for name in records] == ["-s0.json", "-s1.json"]
        assert [name[10:] for name in models] == ["-s0.safetensors", "-s1.safetensors"]


def test_a_sweep_one_by_one_goes_on_after_a_failure(command, tmp_path):
    outcome = command(
        "-m", "hydra/launcher=basic", "variant=pca,svd", "width=65,4", "evaluation.groups=[reconstruction]"
    )
    assert outcome.status == 1
    assert "width=65: 1293 images of 64 pixels have at most 64 principal components" in outcome.said
    records = [read_record(path) for path in (tmp_path / RESULTS).rglob("*.json")]
    assert sorted((record.variant, record.width) for record in records) == [("pca", 4), ("svd", 4)]
