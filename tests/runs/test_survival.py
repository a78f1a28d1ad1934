"""Studies whose processes are killed or interrupted, and studies beside one another."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from zoo.runs.records import read_record

pytestmark = pytest.mark.slow
SWEEP = ("run", "-m", "data=digits", "evaluation.groups=[reconstruction]")
LONG = ("variant=vae", "budget.epochs=5000", "trainer.progress=false")
SHORT = ("variant=linear_ae", "budget.epochs=2", "trainer.progress=false")
TOLD = {  # exit statuses and the last line
    signal.SIGINT: (130, "interrupted: finished runs are kept; the same command resumes"),
    signal.SIGTERM: (143, "terminated: finished runs are kept; the same command resumes"),
}


def lock(seed):
    """Name of the lock of a run, as far as it is known here."""
    return re.compile(rf"\..*-s{seed}\.lock")


def seeds(folder: Path):
    return sorted(read_record(path).seed for path in (folder / "outputs" / "records").rglob("*.json"))


def hidden(folder: Path):
    return [path for path in folder.rglob(".*") if "cache" not in path.name]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_study_that_is_ended_leaves_no_process(launch, number):
    command = launch(*SWEEP, *LONG, "seed=0,1", "processes=2")
    command.holder(lock(0))
    command.holder(lock(1))
    command.interrupt(number)
    assert command.gone()
    status, said = command.end()
    if number != signal.SIGKILL:
        assert status == TOLD[number][0]
        assert said.splitlines()[1:] == ["", TOLD[number][1]], "below the number of runs"


@pytest.mark.parametrize("number", TOLD)
def test_a_fit_that_is_ended_says_so_in_one_line(launch, number):
    command = launch("run", *LONG, "data=digits")
    command.holder(lock(0))
    time.sleep(2)  # the fit has begun
    os.kill(command.process.pid, number)
    status, said = command.end()
    assert status == TOLD[number][0]
    assert said.splitlines()[1:] == ["", TOLD[number][1]], "below the name of the run"


def test_a_fit_by_several_processes_of_which_one_is_killed_says_so_in_one_line(launch):
    command = launch("run", *LONG, "data=digits", "trainer=ddp")
    command.holder(lock(0))
    while len(command.alive()) < 3:  # itself and two
        time.sleep(0.1)
    time.sleep(5)  # they fit
    os.kill(max(command.alive()), signal.SIGKILL)
    status, said = command.end()
    assert status == 2
    assert re.search(r"^error: process \d .*did it run out of memory\? the same command resumes the fit$", said, re.M)
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_fit_by_several_processes_that_is_ended_leaves_none(launch, number):
    command = launch("run", *LONG, "data=digits", "trainer=ddp")
    command.holder(lock(0))
    while len(command.alive()) < 3:  # itself and two
        time.sleep(0.1)
    time.sleep(5)  # they fit
    os.kill(command.process.pid, number)
    status, said = command.end()
    assert command.gone()
    if number == signal.SIGTERM:
        assert status == TOLD[number][0]
        assert said.splitlines()[-1] == TOLD[number][1]


@pytest.mark.parametrize("number", TOLD)
@pytest.mark.parametrize("after", [0.4, 1.2, 2.0])
def test_a_study_that_is_ended_while_importing_says_so_in_one_line(launch, after, number):
    command = launch(*SWEEP, *LONG, "seed=0,1", "processes=2")
    time.sleep(after)
    os.killpg(command.process.pid, number)
    status, said = command.end()
    assert status == TOLD[number][0]
    assert [line for line in said.splitlines() if line and " to run" not in line] == [TOLD[number][1]]


def test_workers_cannot_be_interrupted_while_they_start(launch):
    command = launch(*SWEEP, *LONG, "seed=0,1", "processes=2")
    found = {}
    while len(found) < 2:
        for pid in command.alive():
            if b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.setdefault(pid, Path(f"/proc/{pid}/status").read_text())
    for status in found.values():
        blocked, ignored = (int(re.search(rf"{name}:\s*(\w+)", status)[1], 16) for name in ("SigBlk", "SigIgn"))
        assert (blocked | ignored) & 1 << (signal.SIGINT - 1)


def test_a_run_whose_worker_is_killed_is_tried_once_more_after_the_others(launch, tmp_path):
    command = launch(*SWEEP, *SHORT, "seed=0,1", "processes=2")
    os.kill(command.holder(lock(1)), signal.SIGKILL)
    status, said = command.end(120)
    assert status == 0, said
    assert seeds(tmp_path) == [0, 1]
    assert "Traceback" not in said
    assert hidden(tmp_path) == []


def test_a_run_whose_worker_is_killed_twice_has_failed_and_the_study_goes_on(launch, tmp_path):
    command = launch(*SWEEP, *SHORT, "seed=0,1,2", "processes=2")
    first = command.holder(lock(1))
    os.kill(first, signal.SIGKILL)
    while (second := command.holder(lock(1))) == first:
        pass
    os.kill(second, signal.SIGKILL)
    status, said = command.end(120)
    assert status == 1, said
    assert seeds(tmp_path) == [0, 2]
    assert re.search(r"^  linear_ae .* seed 1: the process that computed it was killed, twice; did it run", said, re.M)
    assert "Traceback" not in said
    assert hidden(tmp_path) == []


def test_three_studies_at_once_fit_every_run_once(launch, tmp_path):
    arguments = (*SWEEP, *SHORT, "seed=0,1,2,3,4,5")
    every = [launch(*arguments, "processes=1") for _ in range(3)]
    models, made = tmp_path / "outputs" / "models", {}
    while any(command.process.poll() is None for command in every):
        for path in models.rglob("*.safetensors"):
            if not path.parent.name.startswith("."):
                made.setdefault(path, set()).add(path.stat().st_ino)
        time.sleep(0.01)
    for command in every:
        status, said = command.end()
        assert status == 0, said
    assert len(made) == 6
    assert all(len(files) == 1 for files in made.values()), "a second fit replaces the file"
    assert hidden(tmp_path) == []


def test_a_run_waits_for_another_process_that_computes_it(launch, tmp_path):
    first = launch("run", *SHORT, "data=digits", "evaluation.groups=[reconstruction]")
    first.holder(lock(0))
    second = launch("run", *SHORT, "data=digits", "evaluation.groups=[reconstruction]")
    (status, _), (other, said) = first.end(), second.end()
    assert status == other == 0
    assert "another process computes this run: waiting for it" in said
    assert seeds(tmp_path) == [0]
    assert hidden(tmp_path) == []


AT_WORK = {  # words of a command -> a file that it writes, and the number of these when it works, long before its end
    "evaluate": (("evaluate", "run=outputs", "evaluation.groups=[generation,learned_generation]"), "features-*", 1),
    "report": (("report", "study=digits", "paths.results=results"), "*.png", 1),
    "claims that fit": (("claims", "linear", "data=digits"), "*-s0.safetensors", 1),
    "claims that measure": (("claims", "linear", "data=digits"), "*-s0.safetensors", 5),
}
ADVISE = ("advise", "data=digits", "minutes=2")


@pytest.fixture
def prepared(tmp_path, repository, command):
    """A folder with what the commands need: a fitted model, records to report, and what makes it a checkout."""
    assert command(*SHORT, "data=digits", "evaluation.groups=[reconstruction]").status == 0
    for path in tmp_path.rglob("*.png"):  # of the run
        path.unlink()
    shutil.copytree(repository / "results" / "records" / "digits", tmp_path / "results" / "records" / "digits")
    for name in ("zoo", "conf"):
        (tmp_path / name).symlink_to(repository / name)
    return tmp_path


def files(folder, pattern, before=()):
    """Whole files of such a name."""
    found = {path for path in folder.rglob(pattern) if not any(part.startswith(".") for part in path.parts)}
    return found - set(before)


def says(command, pattern, within=60):
    """Wait for a line of a command; what is read here is missing in what `end` returns."""
    said, end = "", time.monotonic() + within
    while not re.search(pattern, said, re.M):
        assert time.monotonic() < end, said
        read = os.read(command.process.stdout.fileno(), 1 << 16)  # nothing is left behind in a buffer
        assert read, said
        said += read.decode()


def ended_in_one_line(command, number):
    status, said = command.end()
    last = said.splitlines()[-1]
    assert status == TOLD[number][0], said
    assert last.startswith(TOLD[number][1].split(":")[0]), said
    assert "Traceback" not in said
    assert command.gone()


@pytest.mark.parametrize("number", TOLD)
@pytest.mark.parametrize("name", AT_WORK)
def test_a_command_that_is_ended_at_work_says_so_in_one_line(prepared, launch, name, number):
    words, pattern, count = AT_WORK[name]
    before = files(prepared, pattern)
    command = launch(*words)
    while len(files(prepared, pattern, before)) < count:
        assert command.process.poll() is None, command.end()
        time.sleep(0.02)
    command.interrupt(number)
    ended_in_one_line(command, number)


def test_advice_that_is_terminated_says_so_in_one_line(launch):
    command = launch(*ADVISE)
    says(command, "^.*width.*\n")  # a fit
    command.interrupt(signal.SIGTERM)
    ended_in_one_line(command, signal.SIGTERM)


def test_advice_that_is_interrupted_is_of_the_finished_fits(launch, tmp_path):
    command = launch(*ADVISE)
    says(command, "^.*width.*\n")
    command.interrupt(signal.SIGINT)
    status, said = command.end()
    assert status == 0, said
    assert any(line.startswith("interrupted") for line in said.splitlines()), said
    assert "Traceback" not in said
    assert files(tmp_path, "README.md")
    assert command.gone()


def test_advice_that_is_interrupted_twice_says_so_in_one_line(launch):
    command = launch(*ADVISE)
    says(command, "^.*width.*\n")
    command.interrupt(signal.SIGINT)
    says(command, "^interrupted.*\n")
    command.interrupt(signal.SIGINT)
    ended_in_one_line(command, signal.SIGINT)
