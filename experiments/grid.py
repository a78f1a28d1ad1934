"""The runs that a study consists of."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from hydra import compose
from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from experiments.job import Job
from zoo.errors import ZooError

SEED = re.compile(r"seed=(\d+)")  # the one setting from which nothing else in a configuration follows


def jobs_of(cfg: DictConfig, hydra: HydraConf) -> tuple[list[Job], list[Job]]:
    """The runs of a study, each once: those that fill its table, and those that only its figures show besides.

    `table` and `figures` of a study are lists of sweeps. A sweep is a list of overrides in Hydra's own syntax
    (`seed=0,1,2`, `variant=glob(*)`, `width=range(2,9)`); it stands for their product. What the command line overrides
    goes for every run.

    Raises:
        ZooError: the runs are on several data sets.
    """
    changes = [o for o in hydra.overrides.task if not o.startswith("study=")]

    @cache  # Hydra takes a tenth of a second
    def composed(*overrides: str) -> Job:
        point = compose("config", list(overrides), return_hydra_config=True)
        return Job.of(point, point.hydra)

    def job_of(overrides: Sequence[str]) -> Job:
        seeds = [int(found[1]) for override in overrides if (found := SEED.fullmatch(override))]
        job = composed(*(override for override in overrides if not SEED.fullmatch(override)))
        return replace(job, seed=seeds[-1]) if seeds else job

    def runs(sweeps: Iterable[Sequence[str]]) -> dict[Path, Job]:
        jobs = (job_of([*overrides, *changes]) for sweep in sweeps for overrides in product(sweep))
        return {job.record_path: job for job in jobs}

    table, figures = runs(cfg.study.table), runs(cfg.study.get("figures", []))
    if len(sets := sorted({job.data for job in (table | figures).values()})) > 1:
        raise ZooError(f"a study compares methods on one data set, this one has {', '.join(sets)}; write one for each")
    return list(table.values()), [job for path, job in figures.items() if path not in table]


def product(sweep: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every combination of the values of a sweep's overrides."""
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    axes = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [override.input_line or ""]
        for override in parser.parse_overrides(list(sweep))
    ]
    return itertools.product(*axes)
