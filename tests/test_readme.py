"""README and the pages of docs/: the commands and the Python of the README run, and links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
INSTALL = "python -m venv .venv && . .venv/bin/activate && pip install -e "


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.S | re.M)


def test_it_is_short():
    assert len(README.split()) <= 900


def test_it_counts_the_methods_and_names_each():
    methods = {path.stem for path in (ROOT / "conf/variant").glob("*.yaml")}
    assert f"a benchmark of {len(methods)} methods" in README
    table = README.partition("| family | methods |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == methods


def test_its_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    fewer = Bunch(images=load_digits().images[:40])
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: fewer)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["codes"].shape == (40, 16)
    assert names["x_hat"].shape == names["X"].shape
    assert (tmp_path / "model.safetensors").is_file()


def test_its_example_of_a_method_is_that_which_the_page_on_extending_runs():
    (example,) = blocks("yaml")
    page = (ROOT / "docs" / "extending.md").read_text()
    (run,) = re.findall(r"^# mylib/conf/variant/noisy_conv_vae.yaml\n(.*?)^```", page, flags=re.S | re.M)
    ours, theirs = yaml.safe_load(example), yaml.safe_load(run)
    assert ours["defaults"] == theirs["defaults"]
    assert ours["about"].keys() == theirs["about"].keys()
    assert "`conf/variant/noisy_conv_vae.yaml`, then `zoo run variant=noisy_conv_vae`" in README


def test_its_commands_install_what_is_here_and_run_a_study_and_the_tests(study_jobs):
    run, test, advise = (command.strip() for command in blocks("sh"))
    assert run.removeprefix(INSTALL).split(" && ") == [".", "zoo study digits"]
    table, _ = study_jobs("digits")
    assert len({job.variant for job in table}) == 11, "as the README says"
    assert test.removeprefix(INSTALL).split(" && ") == ['".[dev]"', "python -m pytest -n auto"]
    assert (ROOT / ".ci" / "run").read_text().endswith("python -m pytest -n auto\n"), "the same tests"
    assert advise.startswith("zoo advise ")


@pytest.mark.slow
def test_its_commands_run(tmp_path):
    """In a copy of what is committed, with its own environment: installs, fits, and advises on photographs."""
    run, _, advise = (command.strip() for command in blocks("sh"))
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
    photos = copy / "photos"
    photos.mkdir()
    draw = "from PIL import Image; import numpy as np; r = np.random.default_rng(0)\n"
    draw += "for k in range(40): Image.fromarray(r.integers(0, 255, (16, 16, 3), 'uint8')).save(f'photos/{k}.png')"
    subprocess.run([sys.executable, "-c", draw], cwd=copy, check=True)
    commands, short = [run], advise.replace("minutes=10", "minutes=0.5")
    assert short != advise
    one = re.search(r"`(zoo run data=folder [^`]*)`", README)[1]
    own = re.search(r"`conf/variant/(\w+)\.yaml`, then `(zoo run [^`]*)`", README)
    (copy / "conf" / "variant" / f"{own[1]}.yaml").write_text(blocks("yaml")[0])
    for said in (short, f"{one} budget.epochs=1", f"{own[2]} budget.epochs=1"):
        commands.append(f". .venv/bin/activate && {said}")
    for command in commands:
        done = subprocess.run(["bash", "-c", command], cwd=copy, capture_output=True, text=True, check=False)
        assert done.returncode == 0, shlex.join([command, done.stdout, done.stderr])
    assert (copy / "outputs" / "digits" / "benchmark.md").is_file()


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_links_lead_somewhere(file):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", file.read_text(), flags=re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    places = {link.partition("#")[0] for link in links if not re.match(r"\w+:", link)} - {""}
    assert [place for place in places if not (file.parent / place).exists()] == []


def test_every_page_of_the_documentation_is_in_its_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    listed = {
        line.split("<")[-1].rstrip(">")
        for part in re.findall(r"```\{toctree\}(.*?)```", index, flags=re.S)
        for line in part.splitlines()
    }
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"} <= listed
    assert {f"../results/{page.parent.name}/benchmark" for page in (ROOT / "results").glob("*/benchmark.md")} <= listed
