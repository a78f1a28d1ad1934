"""Where claims are tested: a data set, its settings, and models fitted by the zoo's own runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from experiments.claims.claim import Claim
from zoo.errors import ZooError
from zoo.runs.compose import composed, composing
from zoo.runs.job import Job

if TYPE_CHECKING:
    from zoo.data.splits import Splits
    from zoo.evaluation.references import References
    from zoo.model.autoencoder import Autoencoder

SEEDS = 3  # of the full version
PHOTOS = 10  # of a person, one after the other
COMMON = ("evaluation.groups=[reconstruction]", "trainer.progress=false")
SETTINGS = {  # short fits: all claims together take minutes
    "mnist": ("width=16", "hidden=[256,128]", "budget.epochs=3", "budget.batch_size=256"),
    "faces": ("width=40", "hidden=[256,128]", "optimizer=adamw", "budget.epochs=40"),
    "digits": ("width=8", "hidden=[64]", "budget.epochs=15", "budget.batch_size=128"),
    "sprites_small": (
        *("width=6", "hidden=[64]", "budget.epochs=8", "budget.batch_size=64"),
        *("data.source.scales=2", "data.source.rotations=2"),
    ),
}


@dataclass(frozen=True)
class Lab:
    """What the experiment of a claim works with, on one data set.

    Attributes:
        data: option of the axis `data`.
        full: False in the reduced version.
        seeds: of each model: three, and one in the reduced version.
        overrides: of `zoo run` for each model, by its name in the claim.
        jobs: the runs of each model, one per seed.
    """

    data: str
    full: bool
    seeds: int
    overrides: Mapping[str, tuple[str, ...]]
    jobs: Mapping[str, list[Job]]

    @classmethod
    def of(cls, claim: Claim, data: str, full: bool) -> Lab:
        """The lab of a claim; nothing is fitted yet."""
        base = (f"data={data}", *SETTINGS.get(data, ()))
        overrides = {name: (*base, *own) for name, own in claim.fits(data).items()}
        seeds = SEEDS if full else 1
        return cls(data, full, seeds, overrides, {name: jobs_of(each, seeds) for name, each in overrides.items()})

    @cached_property
    def _plain(self) -> Job:
        return job_of((f"data={self.data}",))

    @cached_property
    def splits(self) -> Splits:
        """Train, validation and test."""
        found: Splits = self._plain.make("data")
        return found

    @cached_property
    def train(self) -> Tensor:
        """The training images without validation: (N, C, H, W) in [0, 1]."""
        return self.splits.train[:]

    @cached_property
    def test(self) -> Tensor:
        """The test images: (N, C, H, W) in [0, 1]."""
        return self.splits.test[:]

    @property
    def train_labels(self) -> Tensor:
        """Their classes: (N,)."""
        return self.splits.train.labels

    @property
    def test_labels(self) -> Tensor:
        """Their classes: (N,)."""
        return self.splits.test.labels

    @property
    def groups(self) -> Tensor | None:
        """(N,), of test images that are no independent samples: the person of a face; None elsewhere."""
        return torch.arange(len(self.test)) // PHOTOS if self.data == "faces" else None

    @cached_property
    def references(self) -> References:
        """What depends on the data alone: a classifier's features, the mean image."""
        from zoo.evaluation.references import references

        return references(self.splits, self._plain.features)

    def models(self, name: str) -> list[Autoencoder]:
        """The models of a name of the claim's `fits`, one per seed, in evaluation mode."""
        from zoo.model.io import load_model

        return [load_model(job.model_path) for job in self.jobs[name]]


def jobs_of(overrides: Sequence[str], seeds: int) -> list[Job]:
    """The runs of a model: one per seed, a single one where the fit is a closed form."""
    job = job_of((*COMMON, *overrides))
    return [replace(job, seed=seed) for seed in range(seeds if "epochs" in job.axes["fit"] else 1)]


def job_of(overrides: tuple[str, ...]) -> Job:
    """The run that overrides describe."""
    with composing(overrides) as given:
        return Job.of(composed("config", given))


def fit_all(labs: Iterable[Lab], processes: int | None = None) -> None:
    """Fit what is not fitted yet of all models, each once, on as many processes as there are cores.

    Raises:
        ZooError: a fit failed.
    """
    from zoo.runs.engines import Local
    from zoo.runs.study import run_group, run_jobs

    jobs = list({job.record_path: job for lab in labs for each in lab.jobs.values() for job in each}.values())
    if processes == 1:  # in this process
        outcomes = [outcome for job in jobs for _, outcome in run_group([job])]
        failures = [outcome for outcome in outcomes if isinstance(outcome, str)]
    else:
        failures = run_jobs(jobs, Local(processes))
    if failures:
        raise ZooError(f"{len(failures)} of {len(jobs)} fits failed: {'; '.join(failures)}")
