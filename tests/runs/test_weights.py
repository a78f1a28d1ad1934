"""A record is tied to the weights that its numbers are of, and to its own content."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.cli import main
from zoo.model.io import weights_digest
from zoo.runs.records import read_record, read_records, write_record

FIT = ("data=digits", "width=4", "evaluation.groups=[reconstruction]", "budget.epochs=1", "trainer.progress=false")
MORE = ("evaluation.groups=[code]", "trainer.progress=false")


RUNS = {"pca": "variant=pca seed=0", "linear_ae": "variant=linear_ae seed=0", "other": "variant=linear_ae seed=1"}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What three runs leave."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_HOME", str(folder))
        for overrides in RUNS.values():
            with pytest.raises(SystemExit, match="0"):
                main(["run", *overrides.split(), *FIT])
    return folder / "outputs"


@pytest.fixture
def fits(outputs, tmp_path):
    """Copies of the files of three runs: {name: (record, model)}."""
    shutil.copytree(outputs, tmp_path / "outputs")
    found = {}
    for name, overrides in RUNS.items():
        variant, seed = (word.partition("=")[2] for word in overrides.split())
        (record,) = (tmp_path / "outputs/records/digits" / variant).glob(f"*-s{seed}.json")
        (model,) = (tmp_path / "outputs/models/digits" / variant).glob(f"*-s{seed}.safetensors")
        found[name] = (record, model)
    return found


def test_a_record_holds_the_digest_of_its_model(fits):
    for path, model in fits.values():
        assert read_record(path).weights == weights_digest(model)


@pytest.mark.parametrize("other", ["pca", "other"])
@pytest.mark.parametrize("older", [False, True], ids=["digest", "record without a digest"])
def test_the_file_of_another_run_is_refused_by_every_command(zoo, command, fits, other, older):
    path, model = fits["linear_ae"]
    if older:
        write_record(path.parents[3], replace(read_record(path), weights=None))
    before = path.read_bytes()
    shutil.copy(fits[other][1], model)
    refused = f"{model.name}: not the model that the record of linear_ae"
    outcomes = {
        1: [zoo("evaluate", f"run={path}", *MORE)],
        2: [
            command("variant=linear_ae", *FIT, *MORE),
            zoo("show", f"run={path}"),
            zoo("card", f"run={path}", "card"),
            zoo("encode", f"run={path}"),
        ],
    }
    for status, found in outcomes.items():
        for outcome in found:
            assert refused in outcome.said
            assert outcome.status == status
    assert path.read_bytes() == before


def test_another_fit_of_the_same_run_is_refused_and_fitted_again_by_force(command, fits):
    path, model = fits["linear_ae"]
    changed = bytearray(model.read_bytes())
    changed[-1] ^= 1
    model.write_bytes(changed)
    outcome = command("variant=linear_ae", *FIT, *MORE)
    assert outcome.status == 2
    assert "put that file back, or fit again by force=true" in outcome.said
    assert command("variant=linear_ae", *FIT, *MORE, "force=true").status == 0
    assert read_record(path).weights == weights_digest(model)


def test_a_model_in_the_place_of_another_is_not_called_by_its_name(zoo, fits):
    shutil.copy(fits["pca"][1], fits["linear_ae"][1])
    outcome = zoo("card", str(fits["linear_ae"][1]), "card")
    assert outcome.status == 0, outcome.said
    assert "linear_ae" not in Path("card/README.md").read_text()


CHANGES = {
    "seed": lambda content: content | {"seed": 5},
    "name": lambda content: content | {"name": "vae"},
    "variant": lambda content: content | {"variant": "vae"},
    "width": lambda content: content | {"width": 7},
    "configuration": lambda content: content | {"config": content["config"] | {"objective": {"option": "none"}}},
    "a metric": lambda content: content["metrics"]["mse"].update(value=0.0) or content,
    "wrong kind": lambda content: content | {"width": "4"},
    "deleted key": lambda content: {key: value for key, value in content.items() if key != "environment"},
}
BYTES = {"not UTF-8": b"\xff\xfe{", "nested": b"[" * 100_000, "empty": b""}


@pytest.mark.parametrize("change", [*CHANGES, *BYTES])
def test_a_record_changed_by_hand_is_named_and_the_others_serve(zoo, fits, change):
    path, _ = fits["linear_ae"]
    content = json.loads(path.read_text())
    path.write_bytes(BYTES[change] if change in BYTES else json.dumps(CHANGES[change](content)).encode())
    outcome = zoo("evaluate", "run=outputs/records", *MORE)
    assert outcome.status == 1
    assert "error: 1 of 3 records not measured" in outcome.said
    assert f"{path.name}: not a record of schema 2" in outcome.said
    assert "active_units" in read_record(fits["pca"][0]).metrics
    with pytest.warns(UserWarning, match=f"left out: .*{path.name}: not a record of schema 2"):
        assert len(read_records(Path("outputs"), "digits")) == 2
    assert zoo("show", f"run={path}").status == 2


def test_a_renamed_record_is_refused(zoo, fits):
    path, _ = fits["linear_ae"]
    moved = path.rename(path.with_name(path.name.replace("-s0", "-s7")))
    outcome = zoo("show", f"run={moved}")
    assert outcome.status == 2
    assert "it is of the run" in outcome.said
