"""The runs that a study consists of."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from hydra import compose
from hydra.conf import HydraConf
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from experiments.job import Job
from zoo.errors import ZooError


def jobs_of(cfg: DictConfig, hydra: HydraConf) -> list[list[Job]]:
    """The runs of a study, sweep by sweep, each once in a sweep.

    A sweep is a list of overrides in Hydra's own syntax (`seed=0,1,2`, `variant=glob(*)`, `width=range(2,9)`); it
    stands for their product. What the command line overrides goes for every run.

    Raises:
        ZooError: the runs are on several data sets.
    """
    changes = [o for o in hydra.overrides.task if not o.startswith("study=")]
    points = (
        [compose("config", [*overrides, *changes], return_hydra_config=True) for overrides in product(sweep)]
        for sweep in cfg.study.sweeps
    )
    jobs = [[Job.of(point, point.hydra) for point in sweep] for sweep in points]
    if len(sets := sorted({job.data for sweep in jobs for job in sweep})) > 1:
        raise ZooError(f"a study compares methods on one data set, this one has {', '.join(sets)}; write one for each")
    return [list({job.record_path: job for job in sweep}.values()) for sweep in jobs]


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
