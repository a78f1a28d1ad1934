"""One run as plain data: what a composed configuration says of it, and where its files lie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from zoo.errors import ZooError
from zoo.records import Record, digest, read_record, record_path

AXES = ("data", "network", "bottleneck", "corruption", "likelihood", "objective", "fit")
SEEDS = 2**32  # that numpy, and so scikit-learn, can tell apart
INCIDENTAL = ("root", "decoded", "progress", "replay")  # places and bars change no number; this, by rounding
NOT_IN_NAME = (
    "variant",
    "data",
    "width",
    "seed",
    "force",
    "study",
    "processes",
    "evaluation",
    "paths",
    "trainer.progress",
    "trainer.replay",
    "trainer.stacked",
)


@dataclass(frozen=True)
class Job:
    """A run, before or after it is done; it can be sent to another process.

    Attributes:
        name: the row's name: the variant and what the command line changed of it ("vae network=conv").
        variant: stem of the variant's yaml.
        data: stem of the data set's yaml.
        width: units of the code that were asked for.
        seed: determines every random choice.
        axes: the resolved configuration of the seven axes. A setting that no axis refers to is not in it, so a closed
            form does not depend on epochs or learning rates.
        groups: the evaluator's groups of metrics to score.
        threads: CPU threads to compute with.
        stacked: runs of a study that differ in their seeds, to be fitted at once where that is the same.
        force: run although the record exists.
        progress: show bars.
        results: folder of the records.
        models: folder of the fitted models.
        features: folder of the networks in whose features samples are compared.
    """

    name: str
    variant: str
    data: str
    width: int
    seed: int
    axes: dict[str, Any]
    groups: list[str]
    threads: int
    stacked: int
    force: bool
    progress: bool
    results: Path
    models: Path
    features: Path

    def __post_init__(self) -> None:
        if type(self.seed) is not int or not 0 <= self.seed < SEEDS:  # Python's True is an int
            raise ZooError(f"seed={self.seed}: a seed is a whole number, 0 or more and less than {SEEDS:,}")

    @classmethod
    def of(cls, cfg: DictConfig, hydra: HydraConf) -> Job:
        """The run that a composed configuration and Hydra's own part of it describe."""
        choices: dict[str, str] = dict(hydra.runtime.choices)
        changes = [o.lstrip("+") for o in hydra.overrides.task if not _of_any(NOT_IN_NAME, o)]
        axes = {axis: OmegaConf.to_container(cfg[axis], resolve=True, throw_on_missing=True) for axis in AXES}
        return cls(
            name=" ".join([choices["variant"], *sorted(changes)]),
            variant=choices["variant"],
            data=choices["data"],
            width=cfg.width,
            seed=cfg.seed,
            axes=axes,
            groups=list(cfg.evaluation.groups),
            threads=cfg.trainer.threads,
            stacked=cfg.trainer.stacked,
            force=cfg.force,
            progress=cfg.trainer.progress,
            results=Path(cfg.paths.results),
            models=Path(cfg.paths.models),
            features=Path(cfg.paths.features),
        )

    @cached_property
    def config(self) -> dict[str, Any]:
        """All that determines the fitted model, seed apart."""
        config: dict[str, Any] = _without_incidentals(self.axes)
        return config

    @cached_property
    def key(self) -> str:
        """Digest of `config`."""
        return digest(self.config)

    @property
    def record_path(self) -> Path:
        """Where the record lies."""
        return record_path(self.results, self.data, self.variant, self.key, self.seed)

    @property
    def model_path(self) -> Path:
        """Where the fitted model lies."""
        return self.models / self.data / self.variant / f"{self.key}-s{self.seed}.safetensors"

    def recorded(self) -> Record | None:
        """The record of this run, if there is one."""
        return read_record(self.record_path) if self.record_path.exists() else None

    def existing(self) -> Record | None:
        """The record of this run, if it was done before and is not to be done again."""
        return None if self.force else self.recorded()

    def fitted(self) -> bool:
        """Whether the run was done before and its model is there: at most scores are missing."""
        return not self.force and self.record_path.exists() and self.model_path.exists()

    def missing(self, record: Record) -> list[str]:
        """The groups of metrics asked for that `record` has no score of."""
        scored = {entry["group"] for entry in record.metrics.values()}
        return [group for group in self.groups if group not in scored]


def _of_any(keys: Iterable[str], override: str) -> bool:
    key = override.lstrip("+").split("=")[0]
    return key in keys or key.startswith(("paths.", "evaluation."))


def _without_incidentals(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_incidentals(value) for key, value in node.items() if key not in INCIDENTAL}
    return node
