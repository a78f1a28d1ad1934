"""The runs of a study or a sweep."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from zoo.errors import ZooError
from zoo.runs.compose import composed, overrides_of, product, resolved
from zoo.runs.job import Job

SEED = re.compile(r"seed=(\d+)")  # the only setting on which no other setting depends
QUIET = "trainer.progress=false"  # one progress bar for all runs


def jobs_of(cfg: DictConfig) -> tuple[list[Job], list[Job]]:
    """The runs of a study, each once: the runs of its table, and the runs that only its figures show.

    `table` and `figures` of a study are lists of sweeps. A sweep is a list of overrides in Hydra's own syntax
    (`seed=0,1,2`, `variant=glob(*)`, `width=range(2,9)`); it stands for their product. Overrides of the command line
    apply to every run.

    Raises:
        ZooError: the runs are on several data sets, or the study is of another form.
    """
    changes = [override for override in overrides_of(cfg) if not override.startswith("study=")]
    study = resolved(cfg, "study")
    sweeps = {part: sweeps_of(study, part) for part in ("table", "figures")}
    refuse_other_data([sweep for each in sweeps.values() for sweep in each], changes)
    table, figures = (runs(each, changes) for each in sweeps.values())
    if len(sets := sorted({job.data for job in (table | figures).values()})) > 1:
        raise ZooError(f"a study compares methods on one data set, this one has {', '.join(sets)}; write one for each")
    return list(table.values()), [job for path, job in figures.items() if path not in table]


def sweeps_of(study: object, part: str) -> list[list[str]]:
    """The sweeps of a part of a study's file; none where it lacks the part.

    Raises:
        ZooError: it is of another form.
    """
    found: Any = (study.get(part) or []) if isinstance(study, Mapping) else None
    if isinstance(found, list) and all(isinstance(sweep, list) for sweep in found):
        sweeps: list[list[str]] = found
        if all(isinstance(override, str) for sweep in sweeps for override in sweep):
            return sweeps
    raise ZooError(f"study: {part} must be a list of sweeps, each a list such as [data=digits, 'seed=0,1,2']")


def refuse_other_data(sweeps: Iterable[Sequence[str]], changes: Sequence[str]) -> None:
    """ZooError if the command line names another data set than the sweeps of a study do."""
    own = {override for sweep in sweeps for override in sweep if override.startswith("data=")}
    for change in changes:
        if own and change.startswith("data=") and change not in own:
            raise ZooError(
                f"{change}: this study is of {', '.join(sorted(own))}; leave it out, or write a study for it"
            )


def runs(sweeps: Iterable[Sequence[str]], changes: Sequence[str] = ()) -> dict[Path, Job]:
    """The runs of sweeps under further overrides, by the place of their record."""

    @cache  # Hydra takes a tenth of a second
    def job(*overrides: str) -> Job:
        return Job.of(composed("config", (QUIET, *overrides)))

    def seeded(overrides: Sequence[str]) -> Job:
        seeds = [int(found[1]) for override in overrides if (found := SEED.fullmatch(override))]
        one = job(*(override for override in overrides if not SEED.fullmatch(override)))
        return replace(one, seed=seeds[-1]) if seeds else one

    jobs = (seeded([*overrides, *changes]) for sweep in sweeps for overrides in product(sweep))
    return {one.record_path: one for one in jobs}
