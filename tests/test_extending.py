"""The examples of docs/extending.md, executed: a package outside the zoo, and the commands that use it."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

import zoo
from zoo import options
from zoo.cli import main
from zoo.errors import ZooError
from zoo.evaluation.registry import METRICS
from zoo.report.figures import FIGURES
from zoo.runs.records import read_record

pytestmark = pytest.mark.xdist_group("extending")  # the commands build on one another

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
BLOCKS = re.findall(r"^```(python|yaml|sh)\n(.*?)^```", PAGE.read_text(), flags=re.S | re.M)
FILES = {re.match(r"# (\S+)\n", text)[1]: text for kind, text in BLOCKS if kind != "sh"}
COMMANDS = [text.strip() for kind, text in BLOCKS if kind == "sh"]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package of the page, importable and in a home of its own."""
    folder = tmp_path_factory.mktemp("outside")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.split("\n", 1)[1] if name.endswith(".yaml") else text)
    patch = pytest.MonkeyPatch()
    patch.setenv("ZOO_HOME", str(folder))
    patch.chdir(folder)
    patch.syspath_prepend(folder)
    before = set(METRICS), set(FIGURES)
    yield folder
    for table, names in zip((METRICS, FIGURES), before, strict=True):
        for name in set(table) - names:
            del table[name]
    options.folders.cache_clear()
    options.content.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "mylib"]:
        del sys.modules[name]
    patch.undo()


def zoo_command(line, capsys):
    with pytest.raises(SystemExit) as left:
        main(shlex.split(line)[1:])
    return int(left.value.code or 0), "".join(capsys.readouterr())


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page(package, line, capsys):
    status, said = zoo_command(f"{line} trainer.progress=false", capsys)
    assert status == 0, said


def test_what_the_commands_left(package):
    records = [read_record(path) for path in (package / "outputs" / "records").rglob("*.json")]
    assert {record.data for record in records} == {"digits", "stripes"}
    assert all(record.trust == ["mylib"] for record in records)
    measured = {name for record in records for name in record.metrics}
    assert {"worst_pixel", "iwae_50", "frechet"} <= measured
    assert not [name for record in records for name, entry in record.metrics.items() if entry.get("failed")]
    (sampled,) = (r for r in records if "frechet" in r.metrics)
    assert "box" in sampled.metrics["frechet"]["curve"]["samples"]
    assert list((package / "outputs" / "data" / "digits").glob("error_bars.png"))
    runpy.run_path(str(package / "example.py"))


@pytest.mark.parametrize("part", ["bottleneck=halved", "likelihood=laplacian", "corruption=inverted"])
def test_without_trust_its_parts_are_refused(package, part, capsys):
    status, said = zoo_command(f"zoo run variant=deep_ae {part}", capsys)
    assert status == 2
    assert re.search(rf"error: {part}: no such {part.split('=')[0]}", said)


def test_without_trust_its_models_are_refused(package):
    model = next(
        path
        for path in (package / "outputs" / "models").rglob("deep_ae/*.safetensors")
        if b"halved" in path.read_bytes()[:4000]
    )
    assert zoo.load(model, trust=("mylib",)).module.bottleneck.scale == 0.25
    with pytest.raises(ZooError, match=r"bottleneck=halved: no such bottleneck.* trust=<package>"):
        zoo.load(model)
    with pytest.raises(ZooError, match=r"trust=mylibb: no package of this name can be imported"):
        zoo.load(model, trust=("mylibb",))
