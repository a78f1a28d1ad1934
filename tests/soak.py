"""Pull the plug on studies, again and again: `python -m tests.soak`, a quarter of an hour on two cores (Linux).

A small study is killed, interrupted, run twice at once and run on a full disk, until it is complete; each time it must
end as it does when nothing happens. The figures of the last run stand in docs/reliability.md, which this command
writes. It ends with exit status 1 where anything was not as it should be.
"""

from __future__ import annotations

import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from tests.launched import REPOSITORY, Command, results
from zoo.errors import ZooError
from zoo.files import LOCK, PARTIAL
from zoo.model.io import read_model, weights_digest
from zoo.runs.records import Record, read_record
from zoo.runs.single import environment

PAGE = REPOSITORY / "docs" / "reliability.md"
STUDY = """
about: a study that survives
table:
  - - data=digits
    - hidden=[32]
    - width=4
    - budget.epochs=20
    - variant=pca,linear_ae,vae,topk
    - seed=0,1,2
"""
ARGUMENTS = (
    *("study", "soak", "--config-dir=conf", "processes=2", "trainer.checkpoint_seconds=0"),
    "evaluation.groups=[reconstruction,probing]",
)
RUNS = 12  # of the study
KILLS, DASK_KILLS, SIGNALS, PAIRS = 50, 4, 4, 2
DISK = "400k"
SAVED = ".safetensors"
SHARE = 0.4  # of the study's time, in which a random moment lies: a study that is resumed has less to do
STAGES = ("any", "any", "fitting", "measuring", "writing")  # in which a study is killed
LONGEST = 600  # seconds that the study may take on a busy machine
LOCK_OF_RUN = re.compile(r"\.[0-9a-f]{10}-s\d+\.lock")
STATUSES = {signal.SIGINT: (130, -signal.SIGINT), signal.SIGTERM: (143,)}  # exit statuses; the second within an import


@dataclass
class Trial:
    """What was done to a study, and what was found.

    Attributes:
        what: was done.
        home: of the study.
        seconds: that the study takes when nothing happens.
        times: that it was done.
        completed: studies that were completed, and compared with the one that nothing happened to.
        found: how often each fault was found; empty if all is well.
        resumed: fits that went on from a checkpoint.
        notes: sentences for the page.
        known: the records that were there after the last command.
    """

    what: str
    home: Path
    seconds: float = 0.0
    times: int = 0
    completed: int = 0
    found: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    notes: list[str] = field(default_factory=list)
    known: dict[str, Record] = field(default_factory=dict)

    @property
    def temporary(self) -> Path:
        """The folder of temporary files."""
        return self.home.with_name(f"{self.home.name}-temporary")

    def start(self, *more: str) -> Command:
        """Start, or resume, the study."""
        place = self.home / "conf" / "study"
        for folder in (place, self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        (place / "soak.yaml").write_text(STUDY)
        return Command.start(self.home, *ARGUMENTS, *more, environment={"TMPDIR": str(self.temporary)})

    def fault(self, kind: str, about: object) -> None:
        """Count a fault, and print it."""
        self.found[kind] += 1
        print(f"  FAULT {kind}: {about}", flush=True)

    def end(self, command: Command) -> tuple[int, str]:
        """Wait for a command, and look at what it printed and left: its exit status, and what it printed."""
        try:
            command.process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            self.fault("endless", command.process.args)
            kill(command.alive())
        if not command.gone():
            self.fault("orphan", command.alive())
            kill(command.alive())
        status, said = command.end()
        self.resumed += said.count("resumed after epoch")
        if "Traceback" in said:
            self.fault("traceback", said[-3000:])
        self.inspect()
        return status, said

    def inspect(self) -> None:
        """Look for what must never be there when no command runs."""
        for path in hidden(self.home):
            if path.name.endswith(LOCK) and is_held(path):
                self.fault("stale lock", path)
        for path in visible(self.home):
            if (problem := broken(path)) is not None:
                self.fault("half-written file", f"{path}: {problem}")
        now = recorded(self.home)
        for name, record in self.known.items():
            if name not in now or not holds(now[name], record):
                self.fault("lost", name)
        self.known = now

    def complete(self, expected: dict[str, bytes | str], *more: str) -> None:
        """Run the study to its end, and compare it with the one that nothing happened to."""
        for _ in range(3):  # a run whose worker was killed twice has failed, and is run by the next command
            status, said = self.end(self.start(*more))
            if status == 0:
                break
        else:
            self.fault("failed", said[-3000:])
        self.compare(expected)

    def compare(self, expected: dict[str, bytes | str]) -> None:
        """Compare a complete study with the one that nothing happened to, and begin a new one."""
        found = outcome(self.home)
        for name in sorted(expected.keys() | found.keys()):
            if found.get(name) != expected.get(name):
                self.fault("other result", name)
        for path in (*hidden(self.home), *self.home.rglob("*.ckpt")):
            self.fault("left behind", path)
        self.completed += 1
        self.known = {}
        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def holds(record: Record, earlier: Record) -> bool:
    """Whether a record is of the same fit as an earlier one, and has its metrics."""
    same = all(record.metrics.get(name) == entry for name, entry in earlier.metrics.items())
    return same and record.weights == earlier.weights


def below(home: Path) -> Iterator[Path]:
    """Files and folders, some of which may be gone when they are looked at."""
    for place, folders, names in os.walk(home):
        yield from (Path(place) / name for name in (*folders, *names))


def visible(home: Path) -> Iterator[Path]:
    """Files that are not in hidden folders, nor hidden themselves."""
    for path in below(home / "outputs"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(home).parts):
            yield path


def hidden(home: Path) -> list[Path]:
    """What killed processes left: locks and what they were writing."""
    return [path for path in below(home) if path.name.startswith(".") and path.name.endswith((LOCK, PARTIAL))]


def broken(path: Path) -> str | None:
    """Why a file is not whole; None if it is."""
    try:
        match path.suffix:
            case ".json" if "records" in path.parts:
                record = read_record(path)
                models = path.parents[3] / "models"
                if record.weights != weights_digest(models / path.relative_to(path.parents[2]).with_suffix(SAVED)):
                    return "its model file is another one"
            case suffix if suffix == SAVED:
                read_model(path)
            case ".ckpt":
                torch.load(path, weights_only=True)
            case ".csv" | ".md":
                return None if path.read_bytes().endswith(b"\n") else "its last line has no end"
            case ".png":
                return None if path.read_bytes().endswith(b"IEND\xaeB`\x82") else "the picture has no end"
    except (ZooError, OSError, RuntimeError) as error:
        return str(error)
    return None


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock file, which stays as it is."""
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def recorded(home: Path) -> dict[str, Record]:
    """The records of a study, by their files' names."""
    found = {}
    for path in visible(home):
        if path.suffix == ".json" and "records" in path.parts:
            with suppress(ZooError):  # which `broken` tells
                found[path.name] = read_record(path)
    return found


def outcome(home: Path) -> dict[str, bytes | str]:
    """What a study ends with: records and models, as far as they do not depend on the clock, and its table."""
    tables = {path.name: path.read_bytes() for path in (home / "outputs" / "soak").glob("benchmark.*")}
    return {**results(home), **tables}


def stage(home: Path) -> str:
    """What a study is doing."""
    if hidden_parts(home):
        return "writing"
    records = recorded(home)
    if any(not record.metrics for record in records.values()):
        return "measuring"
    if len(records) == RUNS:
        return "reporting"
    return "fitting" if any(LOCK in path.name for path in hidden(home)) else "starting"


def hidden_parts(home: Path) -> list[Path]:
    """Folders of what is being written."""
    return [path for path in hidden(home) if path.name.endswith(PARTIAL)]


def await_stage(command: Command, trial: Trial, wanted: str, chance: random.Random) -> bool:
    """Wait until a study does something, and a random while longer; False if it ends before."""
    if wanted == "any":
        return sleep(command, chance.uniform(0, SHARE * trial.seconds))
    while command.process.poll() is None:
        if stage(trial.home) == wanted:
            return sleep(command, chance.uniform(0, 0.01 if wanted == "writing" else 0.5))
    return False


def sleep(command: Command, seconds: float) -> bool:
    """Wait; False if the command ends before."""
    with suppress(subprocess.TimeoutExpired):
        command.process.wait(seconds)
        return False
    return True


def kill(pids: list[int]) -> None:
    """End processes at once."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def killed(trial: Trial, expected: dict[str, bytes | str], chance: random.Random) -> None:
    """kill -9 of the study's first process, of one that computes a run, or of all, at a random moment."""
    victims = {
        "first": lambda command: [command.process.pid],
        "all": lambda command: command.alive(),
        "worker": lambda command: command.holders(LOCK_OF_RUN)[:1],
    }
    moments: Counter[str] = Counter()
    while trial.times < KILLS:
        command = trial.start()
        victim, alive = "worker", True
        while victim == "worker" and alive:
            victim = chance.choice(list(victims))
            alive = await_stage(command, trial, chance.choice(STAGES), chance)
            if alive and (pids := victims[victim](command)):
                doing = stage(trial.home)
                kill(pids)
                trial.times += 1
                moments[doing] += 1
                print(f"  kill {trial.times}: {victim}, {doing}", flush=True)
        if trial.end(command)[0] == 0:
            trial.compare(expected)
    trial.complete(expected)
    told = ", ".join(f"{count} while {doing}" for doing, count in moments.most_common())
    trial.notes.append(f"The {trial.times} kills of the first row: {told}.")


def killed_on_dask(trial: Trial, expected: dict[str, bytes | str], chance: random.Random) -> None:
    """kill -9 of a worker of a Dask cluster that computes a run, at a random moment."""
    while trial.times < DASK_KILLS:
        command = trial.start("engine=dask")
        for _ in range(2):
            with suppress(TimeoutError):
                command.holder(LOCK_OF_RUN, 30)
                if sleep(command, chance.uniform(0, 3)) and (pids := command.holders(LOCK_OF_RUN)):
                    kill(pids[:1])
                    trial.times += 1
        status, said = trial.end(command)
        if status not in (0, 1):
            trial.fault("failed", said[-3000:])
        if status == 0:
            trial.compare(expected)
    trial.complete(expected, "engine=dask")


def interrupted(number: signal.Signals) -> Callable[[Trial, dict[str, bytes | str], random.Random], None]:
    """A signal at a random moment: Ctrl-C to all processes, as a terminal does, or SIGTERM to the first."""

    def trying(trial: Trial, expected: dict[str, bytes | str], chance: random.Random) -> None:
        for _ in range(SIGNALS):
            command = trial.start()
            if not sleep(command, chance.uniform(0, SHARE * trial.seconds)):
                trial.end(command)
                trial.compare(expected)
                continue
            if number == signal.SIGINT:
                os.killpg(command.process.pid, number)
            else:
                os.kill(command.process.pid, number)
            trial.times += 1
            if (status := trial.end(command)[0]) == 0:  # it had ended when the signal came, so it is complete
                trial.compare(expected)
            elif status not in STATUSES[number]:
                trial.fault("exit status", status)
        trial.complete(expected)

    return trying


def two_at_once(trial: Trial, expected: dict[str, bytes | str], chance: random.Random) -> None:
    """The same study twice at once; in the end kill -9 of the first process of one of them."""
    for pair in range(PAIRS):
        both = [trial.start(), trial.start()]
        if pair:
            sleep(both[1], chance.uniform(0, trial.seconds))
            kill([both[1].process.pid])
        trial.times += 1
        for command in both:
            command.process.wait(LONGEST)
            command.gone()
        status, said = trial.end(both[0])
        if status:
            trial.fault("failed", said[-3000:])
        trial.end(both[1])
        trial.complete(expected)


def full_disk(trial: Trial, expected: dict[str, bytes | str], chance: random.Random) -> None:
    """A file system that is full before the study ends; then it gets room, and kept fits are copied as was told."""
    with mounted(trial.home):
        trial.times += 1
        command = trial.start()
        status, said = trial.end(command)
        told = re.findall(r"^  .* seed \d: .*: cannot be written \(.*No space left on device.*\); ", said, re.M)
        if status != 1 or not told:
            trial.fault("full disk not told", f"exit status {status}: {said[-3000:]}")
        subprocess.run(["mount", "-o", "remount,size=64m", str(trial.home)], check=True)
        kept = sorted(trial.temporary.glob("zoo-*"))
        for refuge in kept:
            shutil.copytree(refuge / "records", trial.home / "outputs" / "records", dirs_exist_ok=True)
            shutil.copytree(refuge / "models", trial.home / "outputs" / "models", dirs_exist_ok=True)
        trial.notes.append(
            f"The full disk: {len(kept)} fits were kept in the folder that the message names, and copied back."
        )
        trial.inspect()
        trial.complete(expected)


@contextmanager
def mounted(home: Path) -> Iterator[None]:
    """A small file system of its own at `home`."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(home)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


TRIALS: dict[str, Callable[[Trial, dict[str, bytes | str], random.Random], None]] = {
    "`kill -9` of the study, of one of its workers, or of all its processes": killed,
    "`kill -9` of a Dask worker (`engine=dask`)": killed_on_dask,
    "Ctrl-C (SIGINT)": interrupted(signal.SIGINT),
    "SIGTERM": interrupted(signal.SIGTERM),
    "the same study twice at once, in one of two trials with one of them killed": two_at_once,
    f"a full disk (a tmpfs of {DISK})": full_disk,
}
FAULTS = {
    "lost": "lost",
    "orphan": "orphan processes",
    "stale lock": "stale locks",
    "half-written file": "half-written files",
    "left behind": "left behind",
    "other result": "other results",
}


def main() -> int:
    """All trials; then the page."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="soak-") as place:
        plain = Trial("nothing", Path(place) / "plain")
        plain.home.mkdir()
        began = time.perf_counter()
        status, said = plain.start().end(LONGEST)
        seconds = time.perf_counter() - began
        if status:
            print(said)
            return 1
        expected = outcome(plain.home)
        trials = []
        for number, (what, trying) in enumerate(TRIALS.items()):
            trial = Trial(what, Path(place) / str(number), seconds)
            trial.home.mkdir()
            print(what, flush=True)
            if trying is full_disk and os.geteuid() != 0:
                print("  left out: only root may mount a file system")
                continue
            trying(trial, expected, random.Random(number))
            trials.append(trial)
    PAGE.write_text(page(trials, seconds, time.perf_counter() - start))
    print(PAGE)
    return int(any(trial.found for trial in trials))


def page(trials: list[Trial], plain: float, seconds: float) -> str:
    """The page of a run."""
    about = environment()
    columns = ["what was done", "times", "studies completed", "fits resumed", *FAULTS.values(), "other faults"]
    lines = []
    for trial in trials:
        others = sum(count for kind, count in trial.found.items() if kind not in FAULTS)
        done = [trial.what, trial.times, trial.completed, trial.resumed]
        cells = [*done, *(trial.found[kind] for kind in FAULTS), others]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return TEXT.format(
        runs=RUNS,
        plain=plain,
        minutes=seconds / 60,
        head="| " + " | ".join(columns) + " |",
        rule="|:---|" + "---:|" * (len(columns) - 1),
        lines="\n".join(lines),
        notes="\n".join(f"- {note}" for trial in trials for note in trial.notes),
        versions=versions,
        processor=about["machine"]["processor"],
    )


TEXT = """# Reliability

Written by `python -m tests.soak`, which kills a small study at random moments: {runs} runs on the digits, two at
a time, {plain:.0f} s when nothing happens. The study is started again until it is complete. The whole test took
{minutes:.0f} minutes.

{head}
{rule}
{lines}

- times: how often it was done, at random moments.
- studies completed: each was compared with the study that nothing happened to: records, weights and table, bit for bit
  (seconds and memory apart). *Other results* counts what differed.
- lost: records or metrics that were missing or changed afterwards.
- orphan processes: still there 5 seconds after their study had ended.
- stale locks: still held after their process had ended.
- half-written files: records, models, checkpoints, tables and figures that are not whole, after every command.
- left behind: locks, partial files and checkpoints that are still there when the study is complete.
- other faults: tracebacks, wrong exit statuses, a study that could not be completed.
{notes}

Measured on {processor}; {versions}.
What is promised, and how it is done: [clusters.md](clusters.md#when-something-is-killed).
"""

if __name__ == "__main__":
    sys.exit(main())
