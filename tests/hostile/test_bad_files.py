"""Bad files through the command line: one sentence, exit status 2, no code run, nothing left behind."""

from __future__ import annotations

import io
import os
import shutil
import time
import zipfile

import numpy as np
import psutil
import pytest

from tests.hostile.corpus import ARRAYS, IMAGES, PICTURES, TABLES, labelled, npz, pictures, with_pipes
from zoo.runs.records import read_record

pytestmark = pytest.mark.slow

FAST = ("variant=pca", "width=1", "trainer.progress=false", "evaluation.groups=[reconstruction,probing]")


def refused(outcome, told, folder):
    assert outcome.status == 2, outcome.said
    assert told in outcome.said
    assert outcome.said.count("\n") <= 2, "more than one sentence"
    assert not (folder / "trap").exists(), "code ran"
    assert not [path for path in (folder / "outputs" / "records").rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(command, tmp_path, name):
    content, told = ARRAYS[name]
    (tmp_path / name).write_bytes(content)
    refused(command(*FAST, "data=array", f"data.source.path={name}"), told, tmp_path)


@pytest.mark.parametrize("name", TABLES)
def test_tables(command, tmp_path, name):
    content, told = TABLES[name]
    (tmp_path / name).write_bytes(content)
    refused(command(*FAST, "data=table", f"data.source.path={name}"), told, tmp_path)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(command, tmp_path, name):
    content, told = PICTURES[name]
    (pictures(tmp_path / "folder") / name).write_bytes(content)
    refused(command(*FAST, "data=folder", "data.source.path=folder"), told, tmp_path)


@pytest.mark.parametrize("data", ["array", "table", "folder", "texts", "words"])
@pytest.mark.parametrize("place", ["nowhere", "pipe", "folder", "link"])
def test_what_is_no_file_is_refused_at_once(command, tmp_path, data, place):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    start = time.monotonic()
    refused(command(*FAST, f"data={data}", f"data.source.path={place}"), place, tmp_path)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("data", ["array", "table"])
def test_a_folder_in_place_of_a_file_is_refused_before_it_is_read(command, tmp_path, data):
    (tmp_path / "folder").mkdir()
    with (tmp_path / "folder" / "large").open("wb") as file:
        file.truncate(100 << 30)  # zeros that take no room, but a minute and more to read
    start = time.monotonic()
    refused(command(*FAST, f"data={data}", "data.source.path=folder"), "folder: ", tmp_path)
    assert time.monotonic() - start < 5


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file whose reading fails, as Linux has it")
def test_a_file_that_the_system_cannot_read_is_one_sentence(command, tmp_path):
    refused(command(*FAST, "data=array", "data.source.path=/proc/self/mem"), "Input/output error", tmp_path)


@pytest.mark.parametrize("data", ["texts", "words"])
def test_a_pipe_among_texts_is_refused_at_once(command, tmp_path, data):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_text("one two three\n" * 9)
    os.mkfifo(tmp_path / "folder" / "b.txt")
    refused(command(*FAST, f"data={data}", "data.source.path=folder"), "b.txt: a pipe, and not a file", tmp_path)


@pytest.mark.parametrize("member", ["X.npy", "y.npy", "test.npy"])
@pytest.mark.parametrize("data", ["array", "table"])
def test_a_member_of_an_archive_that_is_no_array(command, tmp_path, member, data):
    images = np.random.default_rng(0).random((20, 8, 8) if data == "array" else (20, 8))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name in {"X.npy", member}:
            content = io.BytesIO()
            np.save(content, images)
            archive.writestr(name, b"hello" if name == member else content.getvalue())
    refused(command(*FAST, f"data={data}", "data.source.path=x.npz"), f"member {member} is no array", tmp_path)


def test_names_of_files_that_are_no_utf_8(command, zoo, tmp_path):
    place = os.fsencode(pictures(tmp_path / "folder")) + b"/\xff.png"
    shutil.copy(next((tmp_path / "folder").glob("*.png")), place)
    outcome = command(*FAST, "data=folder", "data.source.path=folder", "data.source.size=8")
    assert outcome.status == 0, outcome.said
    (model,) = (tmp_path / "outputs" / "models").rglob("*.safetensors")
    coded = zoo("encode", str(model), "folder", "--out", "codes.csv")
    assert coded.status == 0, coded.said
    assert b"\xff.png" in (tmp_path / "codes.csv").read_bytes()


@pytest.mark.filterwarnings("default:.*cannot be kept there")
def test_decoded_pictures_that_cannot_be_kept_cost_no_run(command, tmp_path):
    pictures(tmp_path / "folder")
    (tmp_path / "decoded").write_text("a file stands there")
    places = ("data.source.path=folder", "paths.decoded=decoded")
    outcome = command(*FAST, "data=folder", "data.source.size=8", *places)
    assert outcome.status == 0, outcome.said
    assert "decoded pictures cannot be kept there" in outcome.said


def test_pipes_and_sockets_in_a_folder_are_no_pictures(command, tmp_path):
    with_pipes(tmp_path / "folder")
    outcome = command(*FAST, "data=folder", "data.source.path=folder", "data.source.size=8")
    assert outcome.status == 0, outcome.said


@pytest.mark.parametrize(
    "overrides",
    [
        ("data=folder", "data.source.path=folder", "data.source.size=100000"),
        ("data=planted", "data.source.size=100000"),
        ("data=planted", "data.source.n_train=10000000000"),
        ("data=documents", "data.source.n_train=10000000000"),
        ("data=patches", "data.source.n_test=10000000000"),
    ],
)
def test_memory_is_bounded_before_it_is_taken(command, tmp_path, overrides):
    pictures(tmp_path / "folder")
    refused(command(*FAST, *overrides), "of memory, and", tmp_path)


def test_an_archive_that_takes_more_memory_than_is_free(command, tmp_path, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Free", (), {"available": 1000}))
    (tmp_path / "large.npz").write_bytes(npz(X=IMAGES))
    refused(command(*FAST, "data=array", "data.source.path=large.npz"), "store the samples as .npy", tmp_path)


@pytest.mark.parametrize("size", ["1.5", "abc", "-1", "0", "[8]", "[8,8,8]", "true", "nan", "null"])
def test_sizes_of_pictures(command, tmp_path, size):
    pictures(tmp_path / "folder")
    refused(command(*FAST, "data=folder", "data.source.path=folder", f"data.source.size={size}"), "size=", tmp_path)


LABELS = {
    "one class": (np.zeros(30, int), False),
    "whole floats": (np.arange(30) % 3 * 1.0, True),
    "truth values": (np.arange(30) % 2 == 0, True),
    "large": (np.array([2**63 - 1, -(2**63)] * 15), True),
    "unsigned": (np.array([2**64 - 1, 0] * 15, np.uint64), True),
    "bytes": (np.array(["ü".encode(), b"a"] * 15), True),
    "a column": (np.arange(30)[:, None] % 3, True),
    "one each": (np.arange(30), True),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_serve(command, tmp_path, name):
    labels, probed = LABELS[name]
    (tmp_path / "labels.npz").write_bytes(labelled(labels))
    outcome = command(*FAST, "data=array", "data.source.path=labels.npz")
    assert outcome.status == 0, outcome.said
    (path,) = tmp_path.rglob("*-s0.json")
    assert (read_record(path).metrics["linear_probe_accuracy"]["value"] is not None) is probed


@pytest.mark.parametrize(
    "name", ["a=b.npy", "a,b.npy", "#1.npy", "~x.npy", "mit Leerzeichen.npy", "größe.npy", '"q".npy']
)
def test_paths_with_special_characters(command, tmp_path, name):
    """As they are, or quoted as the message says."""
    np.save(tmp_path / name, IMAGES)
    outcome = command(*FAST, "data=array", f"data.source.path={name}")
    if outcome.status != 0:
        refused(outcome, '="', tmp_path)
        quoted = name.replace('"', '\\"')
        outcome = command(*FAST, "data=array", f'data.source.path="{quoted}"')
    assert outcome.status == 0, outcome.said


def test_a_home_that_no_shell_fills_in(command, tmp_path):
    refused(command(*FAST, "data=array", "data.source.path=~/x.npy"), "write data.source.path=$HOME/x.npy", tmp_path)
