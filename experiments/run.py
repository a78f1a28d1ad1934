"""Fit a variant, score it, keep the record: `python -m experiments.run variant=vae data=mnist`.

`--help` lists every choice; `study=digits` runs a whole grid of runs; `-m` sweeps as Hydra does.
"""

from __future__ import annotations

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from experiments.job import Job
from zoo.errors import ZooError


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """Run one point of the axes, or the study that the configuration names."""
    alone = HydraConfig.get().mode == RunMode.RUN
    try:
        if cfg.study is not None:
            from experiments.study import run_study

            run_study(cfg, HydraConfig.get())
        else:
            job = Job.of(cfg, HydraConfig.get())
            run(job)
    except ZooError as error:
        if not alone:
            raise  # a sweep goes on with its next job, and Hydra reports this one
        sys.exit(f"error: {error}")


def run(job: Job) -> None:
    """Run one job and tell what came out."""
    record = job.existing()
    if record is not None and not job.missing(record):
        print(f"{job.name} on {job.data}, seed {job.seed}: done before (force=true runs it again)")
    else:
        print(f"{job.name} on {job.data}, seed {job.seed}", flush=True)
    from experiments.single import describe, run_one  # torch and Lightning take seconds to import

    describe(job, run_one(job))


if __name__ == "__main__":
    main()
