"""Many runs, on a pool of as many processes as there are cores, or one for a GPU."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from zoo.errors import ZooError
from zoo.runs.job import Job
from zoo.runs.records import Record

if TYPE_CHECKING:
    from zoo.runs.single import Fitted

NAME = 34  # characters of a row's name in a line of progress


def run_jobs(jobs: Sequence[Job], processes: int | None, meanwhile: Callable[[], object] = lambda: None) -> list[str]:
    """Run what is still to do of jobs, on single-threaded processes, showing progress.

    Args:
        jobs: the runs.
        processes: how many; None for as many as there are cores, or one for runs on a GPU.
        meanwhile: called while the processes start, which takes seconds.

    Returns:
        A message for each run that failed.
    """
    if processes is not None and (type(processes) is not int or processes < 1):
        raise ZooError(f"processes={processes}: runs are spread over a whole number of processes, at least 1")
    for job in jobs[:1]:
        job.due(None)  # an unknown group of metrics is told before anything runs
    todo = [job for job in jobs if (record := job.existing()) is None or job.due(record)]
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{len(jobs)} runs, {len(jobs) - len(todo)} of them done before, {len(todo)} to run")
    if not todo:
        return []
    failures = []
    on_gpu = any(job.axes["fit"].get("accelerator") == "gpu" for job in todo)
    times = (TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("left"))
    columns = (TextColumn("runs"), BarColumn(bar_width=20), MofNCompleteColumn(), *times)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("runs", total=len(todo))
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            groups = together(todo)
            wanted = processes or (1 if on_gpu else os.cpu_count() or 1)
            pool = joblib.Parallel(n_jobs=min(wanted, len(groups)), return_as="generator_unordered")
            done = pool(joblib.delayed(attempt)(group, os.getcwd(), os.getpid()) for group in groups)
            meanwhile()
            for job, outcome in chain.from_iterable(done):
                if message := failure(outcome):
                    failures.append(f"{job.name} width {job.width} seed {job.seed}: {message}")
                    console.print(f"[red]failed[/red] {failures[-1]}")
                else:
                    console.print(line(job, outcome))
                bar.advance(task)
    return failures


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
    """Jobs in groups, up to `stacked` of those that are yet to be fitted and differ in nothing but their seed.

    Raises:
        ZooError: `stacked` is not a number of runs.
    """
    groups: dict[tuple[Path, int], list[Job]] = {}
    seen: Counter[Path] = Counter()
    for job in jobs:
        if type(job.stacked) is not int or job.stacked < 1:
            raise ZooError(f"trainer.stacked={job.stacked}: so many seeds are fitted at once, at least 1")
        if job.existing() is not None:
            groups[job.record_path, 0] = [job]
        else:
            alike = job.record_path.with_name(job.key)
            groups.setdefault((alike, seen[alike] // job.stacked), []).append(job)
            seen[alike] += 1
    return list(groups.values())


def attempt(jobs: Sequence[Job], folder: str, parent: int) -> list[tuple[Job, Record | str]]:
    """Run a group of jobs in a worker, their paths relative to `folder`; a failure comes back as its message."""
    if os.getpid() != parent:  # Ctrl-C is answered by the process that started the workers
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    from zoo.runs.single import fit_together, run_one

    os.chdir(folder)  # a worker that served an earlier study may stand elsewhere
    fitted: list[Fitted] = []
    if len(jobs) > 1:
        try:
            fitted = fit_together(jobs)
        except Exception as error:  # the loss of one diverged, or memory is short
            print(f"{jobs[0].name}: joint fit of {len(jobs)} seeds failed ({error}); fitting one by one", flush=True)
    outcomes: list[tuple[Job, Record | str]] = []
    for job, model in zip_longest(jobs, fitted):
        try:
            outcomes.append((job, run_one(job, model)))
        except Exception as error:
            outcomes.append((job, str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"))
    return outcomes
