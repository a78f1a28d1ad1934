"""Samples from files, codes and rankings to files, model folders, the hub, and the commands that use them."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_wine

import zoo
from zoo.api import fit, load, save
from zoo.cli import main
from zoo.data.sources.own import folder
from zoo.errors import ZooError
from zoo.samples import Form
from zoo.use.card import card, push_to_hub
from zoo.use.ranking import outliers
from zoo.use.reading import read_samples

DIGITS, WINE = load_digits(), load_wine()


@pytest.fixture(scope="module")
def digits():
    return fit("pca", DIGITS.images, width=4, progress=False)


@pytest.fixture(scope="module")
def colours():
    x = np.random.default_rng(0).integers(0, 255, (30, 6, 8, 3)).astype(np.uint8)
    return fit("pca", x, width=4, progress=False)


@pytest.fixture(scope="module")
def wine():
    return fit("pca", WINE.data, width=4, progress=False)


@pytest.fixture
def said(capsys, tmp_path, monkeypatch):
    """`zoo ARGUMENTS` in a folder of its own: exit status and what it printed."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        return int(left.value.code or 0), "".join(capsys.readouterr())

    return run


def test_pictures_become_the_samples_of_a_model(digits, colours, tmp_path):
    for k, image in enumerate(DIGITS.images[:3]):
        Image.fromarray((image * 255 / 16).round().astype(np.uint8)).save(tmp_path / f"{k}.png")
    x, names = read_samples(tmp_path, digits.form)
    np.testing.assert_allclose(x, DIGITS.images[:3], atol=0.04)
    assert names == ["0.png", "1.png", "2.png"]
    whole = tmp_path / "colour.png"
    pixels = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(whole)
    np.testing.assert_allclose(read_samples(whole, colours.form)[0][0], pixels, atol=1e-3)
    Image.fromarray(np.full((50, 70), 40000, np.uint16)).save(whole)
    np.testing.assert_allclose(read_samples(whole, colours.form)[0], 156, atol=1)


@pytest.mark.parametrize(("separator", "head"), [(",", True), (";", True), ("\t", False)])
def test_tables(wine, separator, head, tmp_path):
    path = tmp_path / "table.csv"
    pd.DataFrame(WINE.data).to_csv(path, index=False, sep=separator, header=WINE.feature_names if head else False)
    np.testing.assert_allclose(read_samples(path, wine.form)[0], WINE.data)


@pytest.mark.parametrize("mode", ["L", "I;16", "P", "RGBA", "CMYK", "LA"])
def test_pictures_are_read_as_they_were_for_the_fit(digits, tmp_path, mode):
    """`data=folder` and `zoo encode` make the same pixels of a file."""
    pixels = np.random.default_rng(0).integers(0, 255, (12, 10, 3)).astype(np.uint8)
    sixteen = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    picture = sixteen if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    place = tmp_path / "pictures" / "a.tif"
    place.parent.mkdir()
    for name in "abcde":
        picture.save(place.with_name(f"{name}.tif"))
    source = folder(str(place.parent), size=8, colour=False)
    form = Form("image", (8, 8), scale=(255.0,))
    found, _ = read_samples(place, form)
    np.testing.assert_array_equal(found[0], source.train.stored(slice(0, 1))[0, 0].numpy())


def test_columns_are_taken_by_name(tmp_path):
    from dataclasses import replace

    from zoo.samples import form_of

    form = replace(form_of(WINE.data), features=tuple(WINE.feature_names))
    table = pd.DataFrame(WINE.data, columns=WINE.feature_names)[WINE.feature_names[::-1]]
    table.insert(0, "label", WINE.target)
    table.to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_allclose(read_samples(tmp_path / "t.csv", form)[0], WINE.data)
    table.drop(columns="hue").to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ZooError, match="no column hue"):
        read_samples(tmp_path / "t.csv", form)


def test_samples_of_another_form(digits, wine, tmp_path):
    np.save(tmp_path / "x.npy", DIGITS.images)
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    (tmp_path / "y.csv").write_text(",".join("abcdefghijklm") + "\n" + ",".join("x" * 13) + "\n")
    (tmp_path / "x.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    for model, name, told in (
        (wine, "x.npy", r"x\.npy: samples of shape \(1797, 8, 8\): this model takes \(N, 13\)"),
        (wine, "x.csv", "2 columns, and this model takes 13"),
        (wine, "y.csv", "other values than numbers"),
        (wine, "x.png", r"pictures, and this model takes \(N, 13\)"),
        (digits, "x.png", "no picture that Pillow can read"),
        (digits, "x.csv", r"a table, and this model takes images \(N, 8, 8\)"),
        (digits, "empty", "no pictures"),
        (digits, "none.npy", "no such file or folder"),
    ):
        with pytest.raises(ZooError, match=told):
            read_samples(tmp_path / name, model.form)
    (tmp_path / "x.doc").write_text("")
    with pytest.raises(ZooError, match=r"give \.npy"):
        read_samples(tmp_path / "x.doc", digits.form)


def test_an_outlier_is_the_most_unusual(wine):
    x = np.concatenate([WINE.data[:50], WINE.data[:1] * [1, 1, 1, 9, *[1] * 9]])
    ranked = outliers(wine, x)
    assert ranked[0][0] == "50"
    assert [score for _, score in ranked] == sorted(score for _, score in ranked)
    assert dict(ranked)["7"] == pytest.approx(wine.score_samples(x)[7])


def test_encode_and_outliers_write_files(said, wine, tmp_path):
    model = str(save(wine, tmp_path / "m.safetensors"))
    np.save(tmp_path / "x.npy", WINE.data)
    assert said("encode", model, "x.npy", "--out", "c.npy") == (0, "c.npy: 178 codes of 4 units\n")
    np.testing.assert_array_equal(np.load("c.npy"), wine.encode(WINE.data))
    assert said("encode", model, "x.npy", "--out", "c.csv")[0] == 0
    np.testing.assert_allclose(pd.read_csv("c.csv").iloc[:, 1:], wine.encode(WINE.data), rtol=1e-6)
    status, text = said("outliers", model, "x.npy", "--top", "2", "--out", "s.csv")
    assert status == 0
    assert len(text.splitlines()) == 3
    rows = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert len(rows) == 178
    assert rows[0]["sample"] == text.split()[2]


def test_a_run_draws_itself_and_is_shown_encoded_and_shared(said, tmp_path):
    _, text = said("run", "variant=pca", "data=digits", "evaluation=fast", "width=3")
    (model,) = tmp_path.rglob("*.safetensors")
    assert f"picture {model.with_suffix('.png')}" in text
    with Image.open(model.with_suffix(".png")) as picture:
        assert picture.width > 600
    (record,) = tmp_path.rglob("*-s0.json")
    for words in ((str(model),), (f"run={record}",)):
        status, text = said("show", *words, "--out", "pictures")
        assert status == 0
        assert len(list((tmp_path / "pictures").glob("*.png"))) == 7
    assert said("show", str(model), "data=digits")[0] == 0
    assert (model.with_suffix("") / "atoms.png").exists(), "beside the model by default"
    assert said("encode", f"run={record}")[1] == "codes.csv: 360 codes of 3 units\n"
    assert said("card", str(model), "shared")[0] == 0
    text = (tmp_path / "shared" / "README.md").read_text()
    assert "# pca" in text
    assert " to " in next(line for line in text.splitlines() if line.startswith("| mse |")), "with its interval"
    assert "## Limitations\n\n- " in text
    assert said("encode", "shared", "data=digits")[1] == "codes.csv: 360 codes of 3 units\n"
    shutil.move(record, tmp_path / "away.json")
    assert said("card", str(model), "again")[0] == 0, "measured, as there is no record"
    assert "| mse |" in (tmp_path / "again" / "README.md").read_text()


def test_a_model_of_arrays_is_shown_without_data(said, digits, tmp_path):
    model = str(save(digits, tmp_path / "m.safetensors"))
    status, text = said("show", model, "--out", "p")
    assert status == 0
    assert text.splitlines()[0].startswith("no reconstructions: ")
    assert "without data (data=array reads a file of your own" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show",), "0 models: give one"),
        (("show", "nothing"), "nothing: no such model"),
        (("show", "m.safetensors", "width=3"), "width=3: not a setting of a saved model"),
        (("show", "m.safetensors", "data=wine"), "this model takes (N, 8, 8)"),
        (("show", "m.safetensors", "--out", "m.safetensors"), "no folder can be made there"),
        (("show", "run=none.json"), "run=none.json: no such record"),
        (("encode", "m.safetensors", "x.npy"), "x.npy: no such file or folder"),
        (("encode", "m.safetensors"), "no samples: give a file"),
        (
            ("encode", "m.safetensors", "data=digits", "--out", "c.txt"),
            "--out=c.txt: codes are written as .npy or .csv",
        ),
        (("outliers", "m.safetensors", "data=digits", "--out", "m.safetensors/s.csv"), "cannot be written"),
        (("export", "m.safetensors"), "zoo export: give a model and a folder"),
        (("export", "m.safetensors", "f", "--format", "onx"), "--format=onx: no such format; did you mean onnx?"),
        (("card", "m.safetensors", "m.safetensors/f"), "no folder can be made there"),
        (("card", "m.safetensors", "f", "--push", "name"), "name: a model of the hub is called user/name"),
    ],
)
def test_a_mistake_is_one_sentence(said, digits, words, told, tmp_path):
    save(digits, tmp_path / "m.safetensors")
    status, text = said(*words)
    assert status == 2
    (line,) = [line for line in text.splitlines() if line.startswith("error: ")]
    assert told in line


def test_a_card_without_metrics(digits, tmp_path):
    card(digits, tmp_path / "f", name="digits", data="scans", limitations=["Grey only."])
    assert np.array_equal(load(tmp_path / "f").encode(DIGITS.images), digits.encode(DIGITS.images))
    text = (tmp_path / "f" / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: bottleneck-zoo\n")
    assert "Fitted on scans. Values x are scaled to x / 16, inside the model." in text
    assert "- Grey only." in text
    assert json.loads((tmp_path / "f" / "config.json").read_text())["form"]["shape"] == [8, 8]
    with pytest.raises(ZooError, match="no such model"):
        load(tmp_path)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that is a folder."""

    def upload(repo_id, folder_path, allow_patterns):
        shutil.copytree(folder_path, tmp_path / "hub" / repo_id)

    def snapshot(repo_id, revision, allow_patterns):
        if not (tmp_path / "hub" / repo_id).is_dir():
            raise FileNotFoundError("404 Client Error.\nlong story")
        return str(tmp_path / "hub" / repo_id)

    made = []
    fake = SimpleNamespace(
        create_repo=lambda name, **more: made.append((name, more)), upload_folder=upload, snapshot_download=snapshot
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return made


def test_a_model_goes_to_the_hub_and_back(hub, digits, tmp_path):
    assert push_to_hub(digits, "user/name", private=True, data="scans") == "hf://user/name"
    assert hub == [("user/name", {"private": True, "exist_ok": True})]
    assert np.array_equal(zoo.load("hf://user/name").encode(DIGITS.images), digits.encode(DIGITS.images))
    assert 'zoo.load("hf://user/name")' in (tmp_path / "hub/user/name/README.md").read_text()
    with pytest.raises(ZooError, match=r"hf://user/other: cannot be loaded from the hub \(404 Client Error\)"):
        zoo.load("hf://user/other")


def test_without_the_extra_the_hub_is_one_sentence(digits, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for action in (lambda: zoo.load("hf://user/name"), lambda: push_to_hub(digits, "user/name")):
        with pytest.raises(ZooError, match=r"needs another package: pip install 'bottleneck-zoo\[hub\]'"):
            action()


def test_a_record_and_a_model_are_found_below_the_home_folder(said, tmp_path, monkeypatch):
    assert said("run", "variant=pca", "data=digits", "width=3")[0] == 0
    (record,) = (tmp_path / "outputs" / "records").rglob("*.json")
    model = record.relative_to(tmp_path / "outputs" / "records").with_suffix(".safetensors")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for place in (f"run={record.relative_to(tmp_path)}", f"outputs/models/{model}"):
        status, text = said("encode", place)
        assert (status, text) == (0, "codes.csv: 360 codes of 3 units\n")
    assert said("evaluate", f"run={record.relative_to(tmp_path)}")[0] == 0


def test_a_push_that_fails_writes_no_folder(said, digits, tmp_path, monkeypatch):
    save(digits, tmp_path / "model.safetensors")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    status, text = said("card", "model.safetensors", "folder", "--push", "user/name")
    assert status == 2
    assert "pip install 'bottleneck-zoo[hub]'" in text
    assert not (tmp_path / "folder").exists()
