"""Records of a copy of this repository, of which the code changes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from experiments.unchanged import SAME, main, outcome, same
from zoo.errors import ZooError
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
    commit = re.search(r"\n2 fits at (\w{10}) and now: 2 are equal bit for bit\n2 records carried over", done.stdout)[1]
    second = copy.records()
    for key, record in second.items():
        if key[0] == "pca":
            assert record == first[key], "no part of it was changed"
        else:
            assert record.code != first[key].code
            assert record.environment[SAME] == {first[key].code: commit}
            assert record.metrics == first[key].metrics
    copy.commit()
    copy.change("zoo/fitting/gradient.py", "        initialise_from_data(module.model, data)\n", "")
    done = copy.compare()
    assert done.returncode == 1
    assert "now: 1 are equal bit for bit\nnot equal: shallow_ae" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("error: no record is changed")
    assert copy.records() == second


def test_equal_failures_are_not_equal_fits(compose_job):
    assert same("1f", "1f")
    assert not same("1f", "2e")
    failed = outcome(compose_job("variant=deep_ae", "optimizer.lr=1e9", "optimizer=sgd"))
    assert failed.startswith("failed: ")
    assert not same(failed, failed)


def test_what_cannot_be_compared_is_told():
    with pytest.raises(ZooError, match=r"^--study digts: no such study; did you mean digits\?"):
        main(["HEAD", "--study", "digts"])
    with pytest.raises(ZooError, match=r"^nonsense: no such commit of "):
        main(["nonsense", "--study", "digits"])
