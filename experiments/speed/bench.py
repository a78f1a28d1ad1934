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

FP32, BF16 = ["trainer.precision=32-true"], ["trainer.precision=bf16-mixed"]


@dataclass(frozen=True)
class Bench:
    """Sizes and networks of sizes.yaml.

    Attributes:
        sizes: the full ones or the quick ones.
        networks: {name: overrides of the zoo's configuration}.
        data: folder of the data sets.
        ours: the process in which the zoo computes.
        theirs: the process in which its peers do.
        memory: of fits whose time does not count, so that what was interrupted goes on.
    """

    sizes: Any
    networks: Any
    data: str
    ours: Worker
    theirs: Worker
    memory: Memory

    @classmethod
    @contextmanager
    def of(cls, cfg: DictConfig) -> Iterator[Bench]:
        """As sizes.yaml and the command line say."""
        ours, theirs, memory = Worker(), Worker(), Memory(cfg.paths.cache, verbose=0)
        if cfg.force:
            memory.clear(warn=False)
        try:
            yield cls(cfg.quick_sizes if cfg.quick else cfg.full, cfg.networks, cfg.paths.data, ours, theirs, memory)
        finally:
            ours.close()
            theirs.close()

    def job(self, overrides: Sequence[str], data: str = "mnist", epochs: int | None = None, seed: int = 0) -> Job:
        """A run of the zoo."""
        said = [f"data={data}", *overrides, f"seed={seed}", f"paths.data={self.data}", "trainer.progress=false"]
        if epochs is not None:
            said.append(f"budget.epochs={epochs}")
        with composing(said) as given:
            return Job.of(composed("config", given))
