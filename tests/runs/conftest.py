"""The real command line, in this process or in one of its own, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from zoo.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status, and everything that it printed."""

    status: int
    said: str


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Data, results and models of these tests lie in a folder of their own, which is also the current one."""
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def zoo(capsys: pytest.CaptureFixture) -> Callable[..., Outcome]:
    """`zoo ARGUMENTS` without the start of another interpreter."""

    def run(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        captured = capsys.readouterr()
        return Outcome(int(left.value.code or 0), captured.out + captured.err)

    return run


@pytest.fixture
def command(zoo: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """`zoo run ARGUMENTS`."""
    return lambda *arguments: zoo("run", *arguments)


@pytest.fixture
def process(tmp_path: Path, repository: Path) -> Callable[..., Outcome]:
    """`python -m experiments.run ARGUMENTS`, in full."""

    def run(*arguments: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "experiments.run", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(repository)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Outcome(done.returncode, done.stdout)

    return run


@pytest.fixture
def left(tmp_path: Path) -> Callable[[], list[str]]:
    """Paths of the files that lie below the home."""
    return lambda: sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
