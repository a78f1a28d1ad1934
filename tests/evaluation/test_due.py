"""Which metrics have yet to be measured, given what a record holds."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from zoo.errors import ZooError
from zoo.evaluation.evaluator import due, in_groups
from zoo.evaluation.registry import METRICS

GROUPS = ["reconstruction", "code"]


@pytest.fixture
def entries():
    return {name: {"value": 1.0, "version": METRICS[name].version} for name in in_groups(GROUPS)}


def test_all_of_nothing(entries):
    assert due({}, GROUPS) == in_groups(GROUPS)
    assert due({}, []) == []
    assert due({"sse": {"version": 1}}, ["code"]) == in_groups(["code"])


def test_none_of_everything(entries):
    assert due(entries, GROUPS) == []
    assert due(entries, ["code"]) == []
    assert due(entries, [*GROUPS, "cost"]) == in_groups(["cost"])


def test_what_is_lacking(entries):
    del entries["sse"], entries["l0"]
    assert due(entries, GROUPS) == ["sse", "l0"]


def test_what_has_an_older_version(entries, monkeypatch):
    monkeypatch.setitem(METRICS, "psnr", replace(METRICS["psnr"], version=2))
    assert due(entries, GROUPS) == ["psnr"]
    entries["psnr"]["version"] = 2
    assert due(entries, GROUPS) == []
    entries["psnr"]["version"] = 3  # of a later zoo
    assert due(entries, GROUPS) == []
    del entries["psnr"]["version"]
    assert due(entries, GROUPS) == ["psnr"]


def test_what_failed_but_not_what_does_not_apply(entries):
    entries["ms_ssim"] |= {"value": None, "reason": "too small"}
    entries["ssim"] |= {"value": None, "reason": "ValueError: shapes differ", "failed": True}
    assert due(entries, GROUPS) == ["ssim"]


def test_an_unknown_group(entries):
    with pytest.raises(ZooError, match=r"evaluation.groups=\[codes\]: no such group; did you mean code, cost, words\?"):
        due(entries, ["codes"])


def test_nothing_heavy_is_imported_to_know_what_is_due():
    """A closed form is fitted and measured within seconds, of which imports may not take most."""
    code = (
        "import json, sys; from zoo.evaluation.evaluator import due, in_groups\n"
        "assert due({}, ['generation', 'learned_generation', 'rate', 'clustering'])\n"
        "due({name: {'version': 1} for name in in_groups(['generation'])}, ['generation'])\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(json.loads(printed))
    heavy = {"sklearn", "scipy", "PIL", "zuko", "lightning", "torchvision", "torchmetrics", "hydra", "omegaconf"}
    assert not {name for name in loaded if name.split(".")[0] in heavy}
    assert {name for name in loaded if name.startswith("zoo.density")} == set()
    assert not {name for name in loaded if name.startswith(("zoo.runs", "zoo.report"))}
