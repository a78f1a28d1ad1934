"""Records of a copy of this repository, of which the code changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from experiments.unchanged import SAME
from zoo.runs.records import read_record

STUDY = """about: two methods
table:
  - [data=digits, "variant=pca,shallow_ae", budget.epochs=2, "seed=0,1", "evaluation.groups=[cost]"]
"""


class Copy:
    """The code in a git repository of its own, with the records of a small study."""

    def __init__(self, repository, place):
        for name in ("zoo", "conf", "experiments"):
            shutil.copytree(repository / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        self.place = place
        (place / "conf/study/two.yaml").write_text(STUDY)
        self.git("init", "-q")
        self.commit()
        self.python("-m", "zoo.cli", "study", "two", "paths.results=results", "processes=1")

    def git(self, *said):
        subprocess.run(["git", "-c", "user.name=me", "-c", "user.email=me@here", *said], cwd=self.place, check=True)

    def commit(self):
        self.git("add", "zoo", "conf", "experiments")
        self.git("commit", "-q", "-m", "some", "--allow-empty")

    def python(self, *said):
        environment = os.environ | {"PYTHONPATH": str(self.place), "ZOO_HOME": str(self.place / "home")}
        return subprocess.run([sys.executable, *said], cwd=self.place, env=environment, capture_output=True, text=True)

    def compare(self):
        return self.python("-m", "experiments.unchanged", "HEAD", "--study", "two")

    def change(self, file, old, new):
        text = (self.place / file).read_text()
        assert old in text
        (self.place / file).write_text(text.replace(old, new))

    def records(self):
        found = [read_record(path) for path in sorted((self.place / "results/records").glob("*/*/*.json"))]
        return {(record.variant, record.seed): record for record in found}


@pytest.mark.slow
def test_records_are_carried_over_changes_that_change_no_number_and_no_others(repository, tmp_path):
    copy = Copy(repository, tmp_path)
    first = copy.records()
    assert len(first) == 4
    copy.change("zoo/fitting/gradient.py", "LOG = ", "UNUSED = 1\nLOG = ")
    done = copy.compare()
    assert done.returncode == 0, done.stderr
    assert "2 fits at HEAD and now: 2 are equal bit for bit\n2 records carried over" in done.stdout
    second = copy.records()
    for key, record in second.items():
        if key[0] == "pca":
            assert record == first[key], "no part of it was changed"
        else:
            assert record.code != first[key].code
            assert record.environment[SAME] == {first[key].code: "HEAD"}
            assert record.metrics == first[key].metrics
    copy.commit()
    copy.change("zoo/fitting/gradient.py", "        initialise_from_data(module.model, data)\n", "")
    done = copy.compare()
    assert done.returncode == 1
    assert "2 fits at HEAD and now: 1 are equal bit for bit\ndifferent: shallow_ae" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: no record is changed")
    assert copy.records() == second
