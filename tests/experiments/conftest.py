"""The real command line, in this process or in one of its own, in an empty folder."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status, and all that it said."""

    status: int
    said: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> Callable[..., Outcome]:
    """`python -m experiments.run ARGUMENTS` without the start of another interpreter."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["experiments.run", *arguments])
        status, message = 0, ""
        try:
            runpy.run_module("experiments.run", run_name="__main__")
        except SystemExit as leave:
            if isinstance(leave.code, str):  # the interpreter says it and leaves with 1
                status, message = 1, leave.code
            else:
                status = leave.code or 0
        captured = capsys.readouterr()
        return Outcome(status, captured.out + captured.err + message)

    return run


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
    """Paths of the files that lie below the folder a command ran in."""
    return lambda: sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
