"""The command `zoo`: its help pages, its lists, and that a mistake is one sentence with exit status 2."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
import sys
import time
from importlib import import_module

import pytest

import zoo
from zoo import cli
from zoo.cli import COMMANDS, completions, main


@pytest.fixture
def said(capsys, tmp_path, monkeypatch):
    """`zoo ARGUMENTS`: exit status and what it printed."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        return int(left.value.code or 0), "".join(capsys.readouterr())

    return run


def test_help_lists_every_command(said):
    for arguments in ((), ("--help",), ("-h",)):
        status, text = said(*arguments)
        assert status == 0
        for name, command in COMMANDS.items():
            first = re.escape(command.help.splitlines()[0][:30].rstrip("."))
            assert re.search(rf"^ +{name} +{first}", text, flags=re.M)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_page_with_examples_in_80_columns(said, name):
    status, text = said(name, "--help")
    assert status == 0
    assert f"zoo {name} " in text
    assert max(map(len, text.splitlines())) <= 80
    if name == "run":
        assert all(f"{axis}=" in text for axis in ("variant", "network", "bottleneck", "prior", "data", "study"))
        assert "vamp_vae" in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ran",), r"error: zoo ran: no such command; did you mean run\?"),
        (("variants", "spars"), r"error: zoo variants spars: no such family; did you mean sparse\?"),
        (("study", "digit"), r"error: study=digit: no such study; did you mean digits\?"),
        (("study", "seed=0"), r"error: zoo study seed=0: name the study first"),
        (("run", "variant=ave"), r"error: variant=ave: no such variant; did you mean aae, mae, vae\?"),
        (("run", "-m", "study=digits"), r"error: study=digits: a study is a grid of runs already; leave out -m"),
        (("run", "-m", "--cfg"), r"error: --cfg shows one configuration: leave out -m"),
        (("study", "digits", "study=mnist"), r"error: study=mnist: the study is digits; one command runs one study"),
        (("report", "data=array"), r"error: data=array: name it by data\.source\.path="),
        (("report", "--check", "data=mnist"), r"error: data=mnist: zoo report --check takes study=, or nothing"),
        (("evaluate", "run="), r"error: run= is missing: give a record's file, or a folder of records"),
        (("run", "--config-dir=/nowhere"), r"error: --config-dir=/nowhere: no such folder"),
    ],
)
def test_a_mistake(said, arguments, told):
    status, text = said(*arguments)
    assert status == 2
    assert re.search(rf"^{told}", text, flags=re.M)
    assert "Traceback" not in text


def test_a_check_ends_with_status_1_and_a_line_for_each_file_that_differs(said, repository, tmp_path, monkeypatch):
    status, text = said("report", "--check", "study=classic")
    assert (status, text) == (0, "")
    copied = ["README.md", "conf/config.yaml", "zoo/__init__.py", "docs", "results/classic", "results/records/mnist"]
    for place in copied:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).symlink_to(repository / place)
    (tmp_path / "results" / "classic").unlink()
    shutil.copytree(repository / "results" / "classic", tmp_path / "results" / "classic")
    monkeypatch.chdir(tmp_path)
    assert said("report", "--check") == (0, "")
    table = tmp_path / "results" / "classic" / "benchmark.csv"
    table.write_text(table.read_text().replace("0", "1", 1))
    status, text = said("report", "--check")
    command = "zoo report study=classic paths.results=results"
    assert (status, text) == (1, f"results/classic/benchmark.csv: differs from the records; written by: {command}\n")
    (tmp_path / "conf" / "config.yaml").unlink()
    status, text = said("report", "--check")
    assert status == 2
    assert "the current folder is no checkout of the zoo" in text


def test_studies_and_variants_are_listed(said, repository):
    _, text = said("study")
    for path in (repository / "conf" / "study").glob("*.yaml"):
        assert re.search(rf"^{path.stem} +\w", text, flags=re.M)
    _, text = said("variants")
    for path in (repository / "conf" / "variant").glob("*.yaml"):
        assert re.search(rf"^  {path.stem}\n      \w", text, flags=re.M)
    assert max(map(len, text.splitlines())) <= 80
    _, text = said("variants", "sparse")
    assert "  topk\n" in text
    assert "  vae\n" not in text
    assert [v.name for v in zoo.variants() if v.family == "linear"][:2] == ["factor_analysis", "ica"]


def test_the_whole_configuration(said):
    status, text = said("run", "variant=vae", "width=3", "--cfg")
    assert status == 0
    assert "width: 3\n" in text
    assert "hydra:" not in text


def test_completions_are_axes_and_options():
    assert {"variant=", "network=", "seed="} <= set(completions("v"))
    assert {"variant=vae", "variant=pca"} <= set(completions("variant=v"))
    assert completions("seed=") == []
    assert {"digits", "budget.epochs=", "seed="} <= set(completions("d", command="study"))
    assert {"run=", "again=", "evaluation="} <= set(completions("", command="evaluate"))
    assert "seed=" not in completions("", command="evaluate")
    assert "sparse" in completions("s", command="variants")


@pytest.mark.parametrize("module", ["run", "evaluate", "report"])
def test_the_commands_of_the_repository_are_the_same(repository, module):
    done = subprocess.run(
        [sys.executable, "-m", f"experiments.{module}", "--help"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert COMMANDS[module].help.splitlines()[0] in done.stdout


def test_a_closed_form_imports_no_training_library(repository, tmp_path):
    """What a first run waits for: Lightning, torchvision and torchmetrics take seconds to import."""
    code = (
        "import sys; from zoo.cli import main\n"
        "try: main(['run', 'variant=pca', 'data=digits'])\n"
        "except SystemExit as left: assert not left.code\n"
        "found = {'lightning', 'torchvision', 'torchmetrics', 'matplotlib', 'zuko'} & set(sys.modules)\n"
        "assert not found, found"
    )
    environment = {"ZOO_HOME": str(tmp_path), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("always")
def test_a_warning_is_one_line_without_code(said, tmp_path):
    from PIL import Image

    for place in ("a/1.png", "a/2.png", "b/1.png", "b/2.png", "3.png"):
        (tmp_path / "photos" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / "photos" / place)
    settings = (f"data.source.path={tmp_path}/photos", "data.source.size=8", "width=2")
    status, text = said("run", "data=folder", "variant=pca", *settings)
    assert status == 0
    assert re.search(r"^warning: .*1 of 5 pictures lie beside the subfolders", text, flags=re.M)
    assert ".py" not in text


def test_a_run_shows_intervals(said):
    status, text = said("run", "variant=pca", "data=digits", "evaluation=fast")
    assert status == 0
    assert re.search(r"^  mse +0\.0\d+  \(0\.0\d+ to 0\.0\d+\)  ", text, flags=re.M)
    assert max(map(len, text.split("record ")[0].splitlines())) <= 80
    record, picture = re.findall(r"^record +(\S+)|^picture (\S+) \(above", text, flags=re.M)
    assert record[0].endswith(".json")
    assert picture[1].endswith(".png")


def test_a_sweep_draws_no_bar_for_each_run(said):
    status, text = said("run", "-m", "variant=linear_ae,shallow_ae", "data=digits", "budget.epochs=1", "width=2")
    assert status == 0
    assert "epoch 1/1" not in text
    assert re.search("^warning explains less of the test samples than", text, flags=re.M)


def test_a_disk_that_is_full_within_a_library_is_one_sentence(said, monkeypatch):
    def full(parser, given):
        raise OSError(errno.EFBIG, "File too large")  # without the name of a file

    monkeypatch.setattr(cli, "dispatch", full)
    assert said("variants") == (2, "error: File too large; make room\n")


def test_an_interrupt_is_noticed_although_a_module_swallows_it_in_its_import(tmp_path, monkeypatch, capsys):
    (tmp_path / "swallows.py").write_text(
        "import os, signal, time\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(0.1)\nexcept BaseException:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def dispatch(*_):
        import_module("swallows")
        time.sleep(30)
        return 0

    monkeypatch.setattr(cli, "dispatch", dispatch)
    with pytest.raises(SystemExit) as left:
        main(["study", "digits"])
    assert left.value.code == 130
    assert capsys.readouterr().err == "\ninterrupted: finished runs are kept; the same command resumes\n"
