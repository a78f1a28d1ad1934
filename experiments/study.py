"""A study: a grid of runs, on a pool of as many processes as there are cores, or one for a GPU; tables and figures."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import joblib
from hydra.conf import HydraConf
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.grid import jobs_of
from experiments.job import Job
from zoo.errors import ZooError
from zoo.records import Record

if TYPE_CHECKING:
    from experiments.single import Fitted


def run_study(cfg: DictConfig, hydra: HydraConf) -> None:
    """Run what the study still lacks, then write its tables and figures.

    Raises:
        ZooError: runs failed; told one by one, after all others are done.
    """
    table, figures = jobs_of(cfg, hydra)
    jobs = [*table, *figures]
    processes = 1 if cfg.trainer.accelerator == "gpu" else os.cpu_count() or 1
    failures = run_jobs(jobs, cfg.processes or processes)
    from experiments.report import report_study  # imported in `run_jobs`, while its processes start

    report_study(table, figures, [o for o in hydra.overrides.task if not o.startswith("force=")])
    if failures:
        raise ZooError(f"{len(failures)} of {len(jobs)} runs failed:\n  " + "\n  ".join(failures))


def run_jobs(jobs: Sequence[Job], processes: int) -> list[str]:
    """Run jobs on a pool of single-threaded processes, showing progress; return what the failed ones said."""
    todo = [job for job in jobs if (record := job.existing()) is None or job.missing(record)]
    console = Console()
    console.print(f"{len(jobs)} runs, {len(jobs) - len(todo)} of them done before, {len(todo)} to run")
    if not todo:
        return []
    failures = []
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(TextColumn("runs"), *columns, console=console) as bar:
        task = bar.add_task("runs", total=len(todo))
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            groups = together(todo)
            pool = joblib.Parallel(n_jobs=min(processes, len(groups)), return_as="generator_unordered")
            done = pool(joblib.delayed(attempt)(group, os.getcwd()) for group in groups)
            import_module("experiments.report")  # takes seconds, as do the imports of the pool meanwhile
            for job, outcome in chain.from_iterable(done):
                if isinstance(outcome, str):
                    failures.append(f"{job.name} width {job.width} seed {job.seed}: {outcome}")
                    console.print(f"[red]failed[/red] {failures[-1]}", highlight=False)
                else:
                    mse = outcome.metrics["mse"]["value"]
                    console.print(
                        f"{job.name:<24} width {job.width:<4} seed {job.seed}  mse {mse:.5f}  "
                        f"fit {outcome.fit['seconds']:.1f} s",
                        highlight=False,
                    )
                bar.advance(task)
    return failures


def together(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs in groups, up to `stacked` of those that are yet to be fitted and differ in nothing but their seed.

    Raises:
        ZooError: `stacked` is not a number of runs.
    """
    groups: dict[tuple[Path, int], list[Job]] = {}
    seen: Counter[Path] = Counter()
    for job in jobs:
        if not isinstance(job.stacked, int) or job.stacked < 1:
            raise ZooError(f"trainer.stacked={job.stacked}: so many seeds are fitted at once, at least 1")
        if job.fitted():
            groups[job.record_path, 0] = [job]
        else:
            alike = job.record_path.with_name(job.key)
            groups.setdefault((alike, seen[alike] // job.stacked), []).append(job)
            seen[alike] += 1
    return list(groups.values())


def attempt(jobs: Sequence[Job], folder: str) -> list[tuple[Job, Record | str]]:
    """Run a group of jobs in a worker, their paths meant from `folder`; a failure comes back as what it says."""
    from experiments.single import fit_together, run_one

    os.chdir(folder)  # a worker that served an earlier study may stand elsewhere
    fitted: list[Fitted] = []
    if len(jobs) > 1:
        try:
            fitted = fit_together(jobs)
        except Exception as error:  # the loss of one diverged, or memory is short
            print(
                f"{jobs[0].name}: {len(jobs)} seeds fitted one after another, as at once it failed: {error}", flush=True
            )
    outcomes: list[tuple[Job, Record | str]] = []
    for job, model in zip_longest(jobs, fitted):
        try:
            outcomes.append((job, run_one(job, model)))
        except Exception as error:
            outcomes.append((job, str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"))
    return outcomes
