"""Models of several seeds find one another through the real command line."""

from __future__ import annotations

import os
import shutil

import pytest

from zoo.runs.records import read_record
from zoo.runs.siblings import siblings_of

FIT = ("variant=pca", "data=digits", "evaluation=stability", "trainer.progress=false")
NAMES = ("cka_across_seeds", "matched_units_across_seeds")


def values(tmp_path):
    """{seed: (the seeds that its record was compared with, and how alike they are)}."""
    found = {}
    for path in sorted(tmp_path.rglob("pca/*-s*.json")):
        record = read_record(path)
        entries = [record.metrics[name] for name in NAMES]
        seeds = {tuple(entry.get("settings", {}).get("seeds", {})) for entry in entries}
        found[record.seed] = (*seeds, [entry["value"] for entry in entries])
    return found


def test_seeds_are_compared_as_they_appear(zoo, command, tmp_path):
    said = command(*FIT, "seed=0").said
    assert "there is no saved model of another seed" in next(
        read_record(path).metrics[NAMES[0]]["reason"] for path in tmp_path.rglob("pca/*-s0.json")
    )
    assert "cka_across_seeds" in said
    command(*FIT, "seed=1")
    assert values(tmp_path) == {0: ((), [None, None]), 1: (("0",), pytest.approx([1, 1]))}
    ask = ("evaluate", "run=outputs/records", "evaluation=stability", "trainer.progress=false")
    assert zoo(*ask).status == 0
    assert values(tmp_path) == {0: (("1",), pytest.approx([1, 1])), 1: (("0",), pytest.approx([1, 1]))}
    said = zoo(*ask).said
    assert said.count("nothing lacks") == 2
    command(*FIT, "seed=11")
    command(*FIT, "seed=0")  # which is done, but for the seed that is new
    found = values(tmp_path)
    assert {seed: set(each[0]) for seed, each in found.items()} == {0: {"1", "11"}, 1: {"0"}, 11: {"0", "1"}}


def test_siblings_are_the_models_that_differ_in_their_seed_and_say_so(command, tmp_path):
    """A name alone makes no sibling: neither a copy, nor another model, nor a file of another kind."""
    for seed in (0, 1, 11):
        command(*FIT[:2], "evaluation.groups=[cost]", f"seed={seed}")
    command(*FIT[:2], "evaluation.groups=[cost]", "seed=2", "width=3")
    records = map(read_record, tmp_path.rglob("pca/*-s*.json"))
    keys = {record.width: record.hash for record in records}
    other = keys.pop(3)
    (key,) = keys.values()
    (folder,) = tmp_path.rglob("models/digits/pca")
    model = folder / f"{key}-s1.safetensors"
    shutil.copy(folder / f"{key}-s0.safetensors", folder / f"{key}-s7.safetensors")
    shutil.copy(folder / f"{other}-s2.safetensors", folder / f"{key}-s2.safetensors")
    for name in (f"{key}-s3.png", f"{key}-sx.safetensors", f"{key}-s4.safetensors"):
        (folder / name).touch()
    os.mkfifo(folder / f"{key}-s5.safetensors")
    assert siblings_of(model) == {seed: folder / f"{key}-s{seed}.safetensors" for seed in (0, 11)}
    assert siblings_of(tmp_path / "nowhere" / model.name) == {}
