"""One run as plain data: its options, and the paths of its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from zoo.checks import check_count, check_finite, is_finite, is_whole
from zoo.errors import ZooError
from zoo.files import check_writable
from zoo.fitting.loggers import RunLogger
from zoo.options import Node, build, folders, node_of
from zoo.runs.compose import overrides_of, place, resolved, setting
from zoo.runs.identity import code_digest, determining, digest, is_stale, own_content, own_path
from zoo.runs.outside import outside_node
from zoo.runs.records import DUE, Record, lock_of, read_record, record_path
from zoo.runs.siblings import siblings_of
from zoo.runs.trials import SweepTrial

AXES = ("data", "network", "bottleneck", "corruption", "likelihood", "objective", "fit")
SEEDS = 2**32  # distinct seeds of numpy, and so of scikit-learn
FEATURED = {"generation", "learned_generation", "inception", "gaps"}  # groups of metrics that keep a network
ACCELERATORS = ("cpu", "gpu", "cuda", "mps", "auto")
THREADS = 1024  # with very many, the system ends the process
STALE = ("keep", "rerun")
NOT_IN_NAME = (
    *("variant", "data", "width", "seed", "force", "refit", "stale", "study", "processes", "evaluation", "trust"),
    *("paths", "density", "hydra", "data.source.path", "trainer.progress", "trainer.replay", "trainer.stacked"),
    *("trainer.checkpoint_seconds", "logger", "engine", "search"),
)


@dataclass(frozen=True)
class Job:
    """A run, finished or not; it can be sent to another process.

    Attributes:
        name: name of the row: the variant and its changes on the command line ("vae network=conv").
        variant: stem of the variant's yaml.
        data: stem of the data set's yaml; for your own files, with the first digits of their digest.
        width: units of the code.
        seed: determines every random choice.
        axes: the options of the seven axes by name and value. A setting that no axis refers to is not in it, so a
            closed form does not depend on epochs or learning rates.
        groups: the groups of metrics to measure.
        densities: the densities of codes, by name and settings.
        outliers: the data set whose test images are outliers; None for none.
        judgements: folder with your own files of judgements of words; None for those of gensim.
        threads: CPU threads to compute with.
        stacked: number of runs with different seeds that are fitted together, if the result is the same.
        checkpoint_seconds: smallest time between two checkpoints of a gradient fit; None for no checkpoints.
        logger: destination of the history during the fit.
        force: run although the record exists.
        refit: fit again where a record lacks metrics and its model file is gone.
        stale: "keep", or "rerun" to run again where the code has changed since.
        progress: show bars.
        results: folder of the records.
        models: folder of the fitted models.
        features: folder of the networks in whose features samples are compared.
        trust: packages from elsewhere whose parts may be built.
        trial: of a search, which the fit reports to; None for a run that is fitted to its end.
    """

    name: str
    variant: str
    data: str
    width: int
    seed: int
    axes: dict[str, Node]
    groups: list[str]
    densities: dict[str, Node]
    outliers: Node | None
    judgements: Path | None
    threads: int
    stacked: int
    checkpoint_seconds: float | None
    logger: Node
    force: bool
    refit: bool
    stale: str
    progress: bool
    results: Path
    models: Path
    features: Path
    trust: tuple[str, ...] = ()
    trial: SweepTrial | None = None

    def __post_init__(self) -> None:
        check_seed(self.seed, "seed")
        check_count(self.stacked, "trainer.stacked")
        if self.stale not in STALE:
            raise ZooError(f"stale={self.stale}: choose one of {', '.join(STALE)}")

    @classmethod
    def of(cls, cfg: DictConfig) -> Job:
        """The run that a composed configuration describes."""
        choices: dict[str, str] = dict(cfg.hydra.runtime.choices)
        trust = tuple(cfg.trust)
        nodes = {axis: node_of(axis, resolved(cfg, axis), choices, trust) for axis in AXES}
        check_prior(choices, nodes["bottleneck"])
        threads = threads_of(cfg)
        check_machine(nodes["fit"])
        check_division(nodes["data"], "data")
        check_division(nodes["data"].get("source", {}), "data.source")
        check_division(nodes["corruption"], "corruption")
        changes = [o.lstrip("+") for o in overrides_of(cfg) if not _of_any(NOT_IN_NAME, o)]
        content = own_content(nodes)
        return cls(
            name=" ".join([choices["variant"], *sorted(changes)]),
            variant=choices["variant"],
            data=choices["data"] if content is None else f"{choices['data']}-{content[:8]}",
            width=setting(cfg, "width", "int"),
            seed=resolved(cfg, "seed"),
            axes=nodes,
            groups=groups_of(cfg),
            densities=density_nodes(cfg, trust),
            outliers=outside_node(setting(cfg, "evaluation.outliers", "str", "None"), places(cfg), trust),
            judgements=judgements_of(cfg),
            threads=threads,
            stacked=setting(cfg, "trainer.stacked", "int"),
            checkpoint_seconds=checkpoint_seconds_of(cfg),
            logger=node_of("logger", resolved(cfg, "logger"), choices, trust),
            force=setting(cfg, "force", "bool"),
            refit=setting(cfg, "refit", "bool"),
            stale=setting(cfg, "stale", "str"),
            progress=setting(cfg, "trainer.progress", "bool"),
            results=place(cfg, "paths.results"),
            models=place(cfg, "paths.models"),
            features=place(cfg, "paths.features"),
            trust=trust,
        )

    @cached_property
    def config(self) -> dict[str, Node]:
        """Everything that determines the fitted model except the seed."""
        return determining(self.axes)

    @cached_property
    def key(self) -> str:
        """Digest of `config`."""
        return digest(self.config)

    @cached_property
    def code(self) -> str:
        """Digest of the code that the parts come from."""
        return code_digest(self.config, self.trust)

    @property
    def path(self) -> Path | None:
        """Path of your own files."""
        return own_path(self.axes)

    @property
    def record_path(self) -> Path:
        """Path of the record."""
        return record_path(self.results, self.data, self.variant, self.key, self.seed)

    @property
    def model_path(self) -> Path:
        """Path of the fitted model."""
        return self.models / self.data / self.variant / f"{self.key}-s{self.seed}.safetensors"

    @property
    def lock(self) -> Path:
        """The name whose lock (`zoo.files.locked`) is held while the run is computed, or its metrics measured."""
        return lock_of(self.record_path)

    def check_places(self) -> None:
        """ZooError if records, models, or networks that metrics need cannot be written where they belong."""
        check_writable("paths.results", self.results)
        check_writable("paths.models", self.models)
        if not FEATURED.isdisjoint(self.groups):
            check_writable("paths.features", self.features)

    @property
    def checkpoint_path(self) -> Path:
        """Path of the checkpoint of the fit."""
        return self.model_path.with_suffix(".ckpt")

    def make(self, axis: str) -> Any:
        """The part of an axis, or a builder if it depends on the shape of the data."""
        return build(axis, self.axes[axis], self.trust)

    def make_logger(self) -> RunLogger:
        """The function that opens a logger."""
        made: RunLogger = build("logger", self.logger, self.trust)
        return made

    def recorded(self) -> Record | None:
        """The record of this run, if there is one."""
        if not self.record_path.exists():
            return None
        try:
            return read_record(self.record_path)
        except ZooError:
            if self.force:  # the run replaces it
                return None
            raise

    def existing(self) -> Record | None:
        """The record of this run, unless the run has to be repeated."""
        record = None if self.force else self.recorded()
        return None if record is not None and self.stale == "rerun" and self.is_stale(record) else record

    def is_stale(self, record: Record) -> bool:
        """Whether the code of the parts has changed since `record` was made."""
        return is_stale(record, self.trust)

    def fitted(self) -> bool:
        """Whether a record and a model exist, so that at most metrics are missing."""
        return self.existing() is not None and self.model_path.exists()

    def due(self, record: Record | None) -> list[str]:
        """The metrics that `record` lacks, has in an older version, or failed to measure.

        Raises:
            ZooError: a group of metrics is unknown.
        """
        from zoo.evaluation.evaluator import due  # torch takes a second to import

        folders(self.trust)  # imports trusted packages, whose metrics are then known
        entries, siblings = {} if record is None else record.metrics, siblings_of(self.model_path)
        outside = () if self.outliers is None else (self.outliers["option"],)
        found = due(entries, self.groups, self.densities, self.trust, outside, siblings, self.judgements)
        again = [name for name in self.measurable(record) if name not in entries and name not in found]
        return [*found, *again]

    def measurable(self, record: Record | None) -> list[str]:
        """The metrics of `record` that still exist, all groups, and those that the record of an earlier fit held."""
        from zoo.evaluation.registry import METRICS

        if record is None:
            return []
        return [name for name in (*record.metrics, *record.environment.get(DUE, [])) if name in METRICS]


def density_nodes(cfg: DictConfig, trust: Sequence[str]) -> dict[str, Node]:
    """The densities that a configuration chooses, by name and settings."""
    settings = resolved(cfg, "density")
    return {name: node_of("density", node, {"density": name}, tuple(trust)) for name, node in settings.items()}


def places(cfg: DictConfig) -> dict[str, str]:
    """Paths of data sets and decoded pictures, by the names of the settings of sources."""
    return {"root": str(place(cfg, "paths.data")), "decoded": str(place(cfg, "paths.decoded"))}


def groups_of(cfg: DictConfig) -> list[str]:
    """The groups of metrics to measure."""
    groups: list[str] = setting(cfg, "evaluation.groups", "Sequence[str]")
    if not groups:
        raise ZooError("evaluation.groups=[]: nothing would be measured; name groups, or leave it out")
    return groups


def judgements_of(cfg: DictConfig) -> Path | None:
    """Folder with the user's own files of judgements of words; None for those of gensim."""
    return None if setting(cfg, "evaluation.judgements", "str", "None") is None else place(cfg, "evaluation.judgements")


def threads_of(cfg: DictConfig) -> int:
    """CPU threads to compute with."""
    threads: int = setting(cfg, "trainer.threads", "int")
    check_at_most(threads, "trainer.threads")
    return threads


def check_at_most(count: int, name: str) -> None:
    """ZooError for more threads or devices than any machine has."""
    if check_count(count, name) > THREADS:
        raise ZooError(f"{name}={count}: at most {THREADS:,}; a run is rarely faster with more than the machine has")


def check_machine(fit: Node) -> None:
    """ZooError for a fit with more threads or devices than any machine has, or hardware beyond torch itself."""
    for name in ("threads", "devices"):
        if isinstance(count := fit.get(name), int):
            check_at_most(count, f"fit.{name}")
    if (kind := fit.get("accelerator", "cpu")) not in ACCELERATORS:
        raise ZooError(f"trainer.accelerator={kind}: choose one of {', '.join(ACCELERATORS)}")


def checkpoint_seconds_of(cfg: DictConfig) -> float | None:
    """Smallest number of seconds between two checkpoints of a fit; None for no checkpoints."""
    seconds: float | None = setting(cfg, "trainer.checkpoint_seconds", "float", "None")
    return seconds if seconds is None else check_finite(seconds, "trainer.checkpoint_seconds", least=0)


def check_prior(choices: dict[str, str], bottleneck: Node) -> None:
    """ZooError if a prior was chosen for a bottleneck that has none."""
    if choices["prior"] != "normal" and "prior" not in bottleneck:
        raise ZooError(
            f"prior={choices['prior']}: bottleneck={bottleneck['option']} has no prior of its own axis; choose "
            "bottleneck=gaussian_posterior, laplace_posterior or importance"
        )


def check_seed(seed: Any, name: str) -> None:
    """ZooError if a setting is no seed."""
    if not is_whole(seed) or not 0 <= seed < SEEDS:
        raise ZooError(f"{name}={seed}: a seed is a whole number, 0 or more and less than {SEEDS:,}")


def check_division(settings: Node, name: str) -> None:
    """ZooError if samples cannot be divided so: told before they are read."""
    for key in ("seed", "split_seed"):
        if key in settings:
            check_seed(settings[key], f"{name}.{key}")
    for key in ("test_fraction", "validation_fraction"):
        fraction = settings.get(key)
        if fraction is not None and not (is_finite(fraction) and 0 < fraction < 1):
            raise ZooError(f"{name}.{key}={fraction}: must be between 0 and 1, both excluded")


def _of_any(keys: Iterable[str], override: str) -> bool:
    key = override.lstrip("+").split("=")[0]
    return key in keys or key.startswith(
        ("paths.", "evaluation.", "density.", "engine.", "logger.", "search.", "hydra.", "hydra/")
    )
