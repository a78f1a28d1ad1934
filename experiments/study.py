"""A study: a grid of runs, on a pool of as many processes as there are cores, ending in tables and figures."""

from __future__ import annotations

import os
from collections.abc import Sequence

import joblib
from hydra.conf import HydraConf
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.grid import jobs_of
from experiments.job import Job
from experiments.report import report_study
from zoo.errors import ZooError
from zoo.records import Record


def run_study(cfg: DictConfig, hydra: HydraConf) -> None:
    """Run what the study still lacks, then write its tables and figures.

    Raises:
        ZooError: runs failed; told one by one, after all others are done.
    """
    table, figures = jobs_of(cfg, hydra)
    jobs = [*table, *figures]
    failures = run_jobs(jobs, cfg.processes or os.cpu_count() or 1)
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
            pool = joblib.Parallel(n_jobs=min(processes, len(todo)), return_as="generator_unordered")
            for job, outcome in pool(joblib.delayed(attempt)(job, os.getcwd()) for job in todo):
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


def attempt(job: Job, folder: str) -> tuple[Job, Record | str]:
    """Run a job in a worker, its paths meant from `folder`; a failure comes back as what it says."""
    from experiments.single import run_one

    os.chdir(folder)  # a worker that served an earlier study may stand elsewhere
    try:
        return job, run_one(job)
    except Exception as error:
        return job, str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
