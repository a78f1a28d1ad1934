"""Commands in processes of their own, and what they leave that does not depend on the clock."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from threadpoolctl import threadpool_info

from zoo.arithmetic import arithmetic
from zoo.runs.records import read_record

REPOSITORY = Path(__file__).parents[1]
OF_THE_CLOCK = ("seconds", "peak_memory", "load")  # of a fit


@dataclass
class Command:
    """A command in a process of its own, and the processes that it starts, which are its session."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, home: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Command:
        """`zoo ARGUMENTS` in a session of its own, in the folder `home`, which is also the zoo's home."""
        process = subprocess.Popen(
            [sys.executable, "-m", "zoo.cli", *arguments],
            cwd=home,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "ZOO_HOME": str(home)} | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return cls(process)

    def end(self, within: float = 60) -> tuple[int, str]:
        """Wait for it: its exit status, and everything that was printed."""
        said, _ = self.process.communicate(timeout=within)
        return self.process.returncode, said

    def interrupt(self, number: int) -> None:
        """As a terminal does, all its processes at once (SIGINT), or as a system does, the first of them."""
        (os.killpg if number == signal.SIGINT else os.kill)(self.process.pid, number)

    def alive(self) -> list[int]:
        """Its processes that run."""
        found = []
        for place in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                state, _, _, session = place.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found.append(int(place.parent.name))
        return found

    def gone(self, within: float = 5) -> bool:
        """Whether all its processes end within some seconds."""
        end = time.monotonic() + within
        while (left := self.alive()) and time.monotonic() < end:
            time.sleep(0.1)
        return not left

    def holders(self, lock: re.Pattern[str]) -> list[int]:
        """The numbers of its processes that hold a lock file of such a name."""
        return [pid for pid in self.alive() if self._holds(pid, lock)]

    def holder(self, lock: re.Pattern[str], within: float = 60) -> int:
        """Wait for a process that holds a lock file of such a name: its number."""
        return next(pid for pid in self._looking(within) if self._holds(pid, lock))

    def waits_for(self, name: re.Pattern[str], folder: Path, within: float = 60) -> Path:
        """Wait for a file of such a name in `folder`, which a process of any machine makes: its path."""
        for _ in self._looking(within):
            for path in folder.rglob(".*"):
                if name.fullmatch(path.name):
                    return path
        raise AssertionError(self.end())

    def _looking(self, within: float) -> Iterator[int]:
        end = time.monotonic() + within
        while time.monotonic() < end:
            yield from self.alive()
            time.sleep(0.02)
        raise TimeoutError

    @staticmethod
    def _holds(pid: int, lock: re.Pattern[str]) -> bool:
        with suppress(OSError):
            return any(lock.fullmatch(Path(os.readlink(entry)).name) for entry in Path(f"/proc/{pid}/fd").iterdir())
        return False


def threads_of_a_run(threads: int) -> tuple[int, set[int]]:
    """The threads of torch, and of the libraries that it computes with, in a run with so many."""
    with arithmetic("highest", threads):
        torch.ones(300, 300) @ torch.ones(300, 300)
        pools = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}
        return torch.get_num_threads(), pools


def results(home: Path) -> dict[str, str]:
    """What does not depend on the clock: records, and digests of model files."""
    found = {}
    for path in (home / "outputs" / "records").rglob("*.json"):
        record = read_record(path)
        metrics = {name: entry for name, entry in record.metrics.items() if not entry["measured"]}
        fit = {key: value for key, value in record.fit.items() if key not in OF_THE_CLOCK}
        found[path.name] = json.dumps([record.name, record.config, record.code, fit, metrics, record.images])
    for path in (home / "outputs" / "models").rglob("*.safetensors"):
        found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found
