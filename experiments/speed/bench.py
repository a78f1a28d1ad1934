"""What every part of the benchmark is given: its sizes, and runs of the zoo composed as on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from joblib import Memory
from omegaconf import DictConfig

from experiments.speed.measure import Worker
from zoo.runs.compose import composed, composing
from zoo.runs.job import Job


@dataclass(frozen=True)
class Bench:
    """Sizes and networks of sizes.yaml.

    Attributes:
        sizes: sizes.yaml under the command line's overrides.
        ours: the process in which the zoo computes.
        theirs: the process in which its peers do.
        memory: of fits whose time does not count, so that what was interrupted goes on.
    """

    sizes: Any
    ours: Worker
    theirs: Worker
    memory: Memory

    @classmethod
    @contextmanager
    def of(cls, cfg: DictConfig) -> Iterator[Bench]:
        """As sizes.yaml and the command line say."""
        ours, theirs = Worker(), Worker()
        try:
            yield cls(cfg, ours, theirs, Memory(cfg.paths.cache, verbose=0))
        finally:
            ours.close()
            theirs.close()

    def job(self, overrides: Sequence[str], data: str = "mnist", epochs: int | None = None, seed: int = 0) -> Job:
        """A run of the zoo."""
        said = [f"data={data}", *overrides, f"seed={seed}", f"paths.data={self.sizes.paths.data}"]
        said.append("trainer.progress=false")
        if epochs is not None:
            said.append(f"budget.epochs={epochs}")
        with composing(said) as given:
            return Job.of(composed("config", given))
