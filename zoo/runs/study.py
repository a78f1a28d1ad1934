"""Many runs, on the workers of an engine."""

from __future__ import annotations

import os
import socket
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, nullcontext
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from zoo.errors import ZooError
from zoo.files import abandoned, locked, sweep
from zoo.runs.bars import Terminal
from zoo.runs.engines import ALONE, Engine, Workers, without_interrupts
from zoo.runs.job import Job
from zoo.runs.records import Record, write_record
from zoo.runs.trials import Pruned
from zoo.runs.versions import check_worker, needed

if TYPE_CHECKING:
    from zoo.runs.single import Fitted

NAME = 34  # characters of a row's name in a line of progress
TRIES = 2  # of runs whose worker is killed
KILLED = "the process that computed it was killed, twice; did it run out of memory?"
OTHER_CODE = "they need bottleneck-zoo in the same version as here"
UNBEGUN = "processes were killed three times before a run began; is there enough memory to start them?"
Outcome = Record | Pruned | str  # a record, or why there is none


def run_jobs(jobs: Sequence[Job], engine: Engine, meanwhile: Callable[[], object] = lambda: None) -> list[str]:
    """Run what is still to do of jobs, on single-threaded processes, showing progress.

    Args:
        jobs: the runs.
        engine: where they are computed.
        meanwhile: called while the processes start, which takes seconds.

    Returns:
        A message for each run that failed.
    """
    for job in jobs[:1]:
        job.due(None)  # reports an unknown group of metrics before anything runs
    todo = [job for job in jobs if (record := job.existing()) is None or job.due(record)]
    console = Terminal(highlight=False, soft_wrap=True)
    console.print(f"{len(jobs)} runs, {len(jobs) - len(todo)} of them done before, {len(todo)} to run")
    sweep_leftovers(jobs)
    if not todo:
        return []
    todo[0].check_places()
    groups, failures = together(todo), []
    on_gpu = any(job.axes["fit"].get("accelerator") == "gpu" for job in todo)
    times = (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("left"))
    columns = (TextColumn("runs"), BarColumn(bar_width=20), MofNCompleteColumn(), *times)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar, ExitStack() as stack:
        task = bar.add_task("runs", total=len(todo))
        workers = stack.enter_context(engine.workers(len(groups), max(job.threads for job in todo), on_gpu))
        for job, outcome in outcomes(groups, workers, meanwhile):
            if isinstance(outcome, Record) and lacks(job.recorded(), outcome):  # the worker has folders of its own
                write_record(job.results, outcome)
            if isinstance(outcome, Pruned):
                console.print(f"pruned {job.name} width {job.width} seed {job.seed}: {outcome}")
            elif message := failure(outcome):
                failures.append(f"{job.name} width {job.width} seed {job.seed}: {message}")
                console.print(f"[red]failed[/red] {failures[-1]}")
            else:
                console.print(line(job, outcome))
            bar.advance(task)
    sweep_leftovers(jobs)
    return failures


def lacks(known: Record | None, found: Record) -> bool:
    """Whether a record that is here lacks what a worker found: the fit, or metrics of it."""
    return (
        known is None
        or known.weights != found.weights
        or any(known.metrics.get(name) != entry for name, entry in found.metrics.items())
    )


def sweep_leftovers(jobs: Sequence[Job]) -> None:
    """Remove what processes left that were killed while they computed one of these runs."""
    for folder in {path.parent for job in jobs for path in (job.record_path, job.model_path)}:
        sweep(folder)
    for job in jobs:
        if job.checkpoint_path.exists() and job.existing() is not None:
            with locked(job.lock, wait=False) as held:
                if held:
                    job.checkpoint_path.unlink(missing_ok=True)


def outcomes(
    groups: Sequence[Sequence[Job]], workers: Workers, meanwhile: Callable[[], object]
) -> Iterator[tuple[Job, Outcome]]:
    """The outcome of every run, as they come.

    Runs that another study computes come last, after it. Where a worker is killed, the runs that were being computed
    are tried once more after all others, one at a time; one that loses its worker again has failed. Where workers are
    killed three times in a row and no run had begun, all that is left has failed.

    Args:
        groups: of runs, each for one worker.
        workers: that compute them.
        meanwhile: called once, while the processes start.
    """
    left = dict(enumerate(groups))
    elsewhere: set[int] = set()  # another study computes them
    suspects: set[int] = set()  # they were being computed when a worker was killed
    crashes = 0  # in a row, with no run begun
    while left:
        calm = [index for index in left if index not in suspects]
        free = [index for index in calm if index not in elsewhere]
        chosen = free or calm or [*left][:1]
        calls = [(index, left[index], needed(left[index][0].trust), os.getcwd(), not free) for index in chosen]
        try:
            for index, found in computed(calls, workers, workers.at_once if calm else ALONE, meanwhile):
                if found is None:
                    elsewhere.add(index)
                else:
                    del left[index]
                    crashes = 0
                    yield from found
        except workers.lost:
            begun = {index for index, group in left.items() if any(abandoned(job.lock) for job in group)} - suspects
            crashes = 0 if begun or not calm else crashes + 1
            if not calm or crashes > TRIES:
                for index in chosen:
                    yield from ((job, UNBEGUN if calm else KILLED) for job in left.pop(index, ()))
            suspects |= begun
        except ZooError:
            raise
        except Exception as error:
            gone = isinstance(error, (OSError, CancelledError))  # a connection ended
            advice = "did the scheduler end? the same command resumes" if gone else OTHER_CODE
            raise ZooError(f"the workers cannot compute runs ({type(error).__name__}: {error}); {advice}") from error
        meanwhile = bool  # once is enough


def computed(
    calls: Sequence[tuple[Any, ...]], workers: Workers, at_once: int, meanwhile: Callable[[], object]
) -> Iterator[tuple[int, list[tuple[Job, Outcome]] | None]]:
    """What `attempt` returns for these arguments, as it comes."""
    shield = without_interrupts() if workers.start_late else nullcontext()
    found: Generator[Any] = (_ for _ in ())
    try:
        with joblib.parallel_config(**workers.backend), shield:
            # a cluster gets all at once, as it may grow; processes of this machine get what they need next
            ahead: str | int = "2*n_jobs" if workers.start_late else "all"
            if at_once < ALONE and not workers.start_late:
                at_once, ahead = ALONE, 1
            pool = joblib.Parallel(at_once, return_as="generator_unordered", batch_size=1, pre_dispatch=ahead)
            found = pool(joblib.delayed(attempt)(*arguments) for arguments in calls)
        meanwhile()
        for one in found:  # noqa: UP028 (`yield from` would close it without the filter below)
            yield one
    finally:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".* tasks which were still being processed")
            found.close()


def failure(outcome: Record | str) -> str:
    """Why a run failed, altogether or in some metrics; empty where it did not."""
    if isinstance(outcome, str):
        return outcome
    failed = [f"{name}: {entry['reason']}" for name, entry in outcome.metrics.items() if entry.get("failed")]
    return f"{len(failed)} metrics could not be measured ({'; '.join(failed)})" if failed else ""


def line(job: Job, record: object) -> str:
    """A finished run in one line of at most 80 characters."""
    assert isinstance(record, Record)
    mse = record.metrics.get("mse", {}).get("value")
    error = f"  mse {mse:.5f}" if mse is not None else ""
    name = job.name if len(job.name) <= NAME else job.name[: NAME - 3] + "..."
    return f"{name:<{NAME}} width {job.width:<4} seed {job.seed}{error}  fit {record.fit['seconds']:.1f} s"


def together(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs in groups, up to `stacked` of those that are yet to be fitted and differ in nothing but their seed."""
    groups: dict[tuple[Path, int], list[Job]] = {}
    seen: Counter[Path] = Counter()
    for job in jobs:
        if job.existing() is not None:
            groups[job.record_path, 0] = [job]
        else:
            alike = job.record_path.with_name(job.key)
            groups.setdefault((alike, seen[alike] // job.stacked), []).append(job)
            seen[alike] += 1
    return list(groups.values())


def attempt(
    index: int, jobs: Sequence[Job], expected: Mapping[str, str | None], folder: str, wait: bool
) -> tuple[int, list[tuple[Job, Outcome]] | None]:
    """Run a group of jobs in a worker, their paths relative to `folder`; a failure comes back as its message.

    Args:
        index: of the group, which comes back.
        jobs: the group.
        expected: what a worker needs, see `zoo.runs.versions.needed`.
        folder: from which relative paths count.
        wait: for another process that computes one of the runs; without, None comes back for the group.

    Raises:
        ZooError: this worker has other versions.
    """
    check_worker(expected, jobs[0].trust)
    try:
        os.chdir(folder if Path(folder).is_dir() else own_folder())  # it may stand elsewhere after an earlier study
        with ExitStack() as stack:
            locks = sorted({job.lock for job in jobs})
            if not all(stack.enter_context(locked(lock, wait)) for lock in locks):
                return index, None
            return index, run_group(jobs)
    except OSError as error:
        return index, [(job, f"{socket.gethostname()}: {error}") for job in jobs]


@cache
def own_folder() -> str:
    """A new folder of this process, for a worker that does not share the folder of the study."""
    return tempfile.mkdtemp(prefix="zoo-")


def run_group(jobs: Sequence[Job]) -> list[tuple[Job, Outcome]]:
    """The outcomes of runs that differ in their seeds, fitted at once where that is the same."""
    from zoo.runs.single import fit_together, run_one

    kept: dict[Path, tuple[Fitted, Record]] = {}
    new = [job for job in jobs if job.existing() is None]  # others may have been done since
    if len(new) > 1:
        try:
            kept = {job.record_path: one for job, one in zip(new, fit_together(new), strict=False)}
        except Exception as error:  # the loss of one diverged, or memory is short
            print(f"{jobs[0].name}: joint fit of {len(new)} seeds failed ({error}); fitting one by one", flush=True)
    found: list[tuple[Job, Outcome]] = []
    for job in jobs:
        try:
            found.append((job, run_one(job, kept.get(job.record_path))))
        except Pruned as pruned:
            found.append((job, pruned))
        except Exception as error:
            found.append((job, str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"))
    return found
