"""Options of `search`: every combination of a sweep, or early stopping of poor fits."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import DictConfig

from zoo import files
from zoo.checks import check_count
from zoo.errors import ZooError
from zoo.options import build, node_of
from zoo.runs.compose import parsed_overrides, product, resolved
from zoo.runs.grid import runs
from zoo.runs.identity import digest
from zoo.runs.job import Job
from zoo.runs.records import Record
from zoo.runs.trials import MONITOR, OpenTrial, SweepTrial, opened

if TYPE_CHECKING:
    import optuna

NAME = 46  # characters of a trial's name in a line
FOLDER, JOURNAL, TABLE = "searches", "trials.journal", "trials.csv"
COMPARED = ("data", "corruption", "likelihood", "objective")  # axes that the validation loss depends on


class Search(Protocol):
    """Which runs a sweep is made of, and which of a study's runs are fitted."""

    def jobs(self, sweep: Sequence[str]) -> list[Job]:
        """The runs of a sweep, whose overrides are in Hydra's syntax.

        Raises:
            ZooError: the sweep has no runs that this search can compare.
        """
        ...

    def rounds(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """The runs of a study that are fitted, round by round; which are in the next depends on the last."""
        ...

    def conclude(self, jobs: Sequence[Job]) -> None:
        """Tell what became of these runs."""
        ...


def search_of(cfg: DictConfig) -> Search:
    """The search that a composed configuration chooses."""
    trust = tuple(cfg.trust)
    node = node_of("search", resolved(cfg, "search"), dict(cfg.hydra.runtime.choices), trust)
    search: Search = build("search", node, trust)
    return search


@dataclass(frozen=True)
class Exhaustive:
    """Every combination of a sweep's values, each fitted to its end."""

    def jobs(self, sweep: Sequence[str]) -> list[Job]:
        """As `Search` says."""
        for override in intervals(sweep):
            raise ZooError(f"{override.input_line}: values are drawn from an interval by search=asha search.trials=20")
        return list(runs([sweep]).values())

    def rounds(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """All runs at once."""
        yield list(jobs)

    def conclude(self, jobs: Sequence[Job]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Asha:
    """Asynchronous successive halving, by Optuna: fits that fall behind on validation are stopped early.

    After `first` epochs, and after `factor`, `factor` squared ... times as many, a fit goes on if its validation loss
    is among the best 1 / `factor` of all fits that have come as far; the first to come goes on. The rates of a schedule
    follow the epochs of a whole fit, also in fits that are stopped.

    L. Li et al., "A system for massively parallel hyperparameter tuning", 2020, arXiv:1810.05934. Where this differs
    from the paper: a fit that was stopped is not taken up again when it would be among the best later.

    In a study, rows of one method and width whose losses are comparable, and that differ in other settings such as
    rates, are compared with their first seed. The other seeds of those that reach the end follow, and all other rows
    are fitted in full.

    Limitations: which fits are stopped depends on the order in which they come, and so with several processes on their
    speed; what is fitted to the end is what any other run is.

    Attributes:
        trials: points that are drawn at random from the sweep, in which `interval(a,b)` and
            `tag(log,interval(a,b))` may stand; None for every combination.
        first: epochs before the first comparison.
        factor: of the fits that come as far, one in so many goes on.
        seed: of the draw.

    Raises:
        ZooError: a number out of range, or Optuna is not installed.
    """

    trials: int | None = None
    first: int = 2
    factor: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.trials is not None:
            check_count(self.trials, "search.trials")
        check_count(self.first, "search.first")
        check_count(self.factor, "search.factor", least=2)
        check_count(self.seed, "search.seed", least=0)
        if find_spec("optuna") is None:
            raise ZooError("search=asha needs another package: pip install 'bottleneck-zoo[search]'")

    def jobs(self, sweep: Sequence[str]) -> list[Job]:
        """As `Search` says; each run is a trial."""
        found = list(runs(self.points(sweep)).values())
        check_comparable(found)
        return self.trials_of(found)

    def rounds(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """First the trials, with one seed, and the runs that are compared with none; then the other seeds."""
        contests = contests_of(jobs)
        seeds = {job.key: job.seed for group in contests for job in reversed(group)}
        firsts = [[job for job in group if job.seed == seeds[job.key]] for group in contests]
        trials = [job for group in firsts for job in self.trials_of(group)]
        yield [*trials, *(job for job in jobs if job.key not in seeds)]
        kept = {job.key for job in trials if job.recorded() is not None}
        if others := [job for job in jobs if job.key in kept and job.seed != seeds[job.key]]:
            yield others

    def trials_of(self, jobs: Sequence[Job]) -> list[Job]:
        """These runs as trials of one search."""
        found = [replace(job, stacked=1) for job in jobs]
        journal = place(found, self)
        with files.locked(journal.parent):
            files.sweep(journal.parent)
            if found[0].force:
                journal.unlink(missing_ok=True)
            return self._as_trials(found, journal)

    def points(self, sweep: Sequence[str]) -> list[tuple[str, ...]]:
        """The overrides of each run."""
        if self.trials is None:
            for override in intervals(sweep):
                raise ZooError(f"{override.input_line}: say how many values are drawn from it, search.trials=20")
            return list(product(sweep))
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        parsed = parsed_overrides(sweep)
        swept = [override for override in parsed if override.is_sweep_override()]
        fixed = [override.input_line or "" for override in parsed if override not in swept]
        space = {override.get_key_element(): distribution(override) for override in swept}
        drawing = optuna.create_study(sampler=optuna.samplers.RandomSampler(self.seed))
        drawn = (drawing.ask(space).params for _ in range(self.trials))
        return [(*fixed, *(f"{key}={shown(value)}" for key, value in params.items())) for params in drawn]

    def _as_trials(self, jobs: Sequence[Job], journal: Path) -> list[Job]:
        """These runs as trials of Optuna's file; those that are recorded have reported all their epochs there."""
        study = opened(journal, self.first, self.factor)
        trials = [
            replace(job, trial=SweepTrial(journal, number, job.axes["fit"]["epochs"], self.first, self.factor))
            for number, job in enumerate(jobs)
        ]
        for job in trials[len(study.trials) :]:
            study.ask().set_user_attr("run", f"{job.name} width={job.width} seed={job.seed}")
            if (record := job.existing()) is not None:
                complete(study, job, record)
        return trials

    def conclude(self, jobs: Sequence[Job]) -> None:
        """Complete the trials among these that are recorded; write and print a table of each search, the best first."""
        searches: dict[Path, list[Job]] = {}
        for job in jobs:
            if job.trial is not None:
                searches.setdefault(job.trial.journal, []).append(job)
        for journal, trials in searches.items():
            self._tell(journal, trials)

    def _tell(self, journal: Path, jobs: Sequence[Job]) -> None:
        study = opened(journal, self.first, self.factor)
        for job in jobs:
            if (record := job.recorded()) is not None:
                complete(study, job, record)
        rows = sorted(map(row, jobs, labels(jobs), study.trials), key=order)
        with files.writing(journal.with_name(TABLE)) as path, open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        for label, state, epochs, loss, _ in (each.values() for each in rows):
            print(f"{label[:NAME]:<{NAME}} {state:<8} {epochs:>5} epochs  {loss:.6g}")
        print(f"trials  {journal.with_name(TABLE)}")


def order(row: Mapping[str, Any]) -> tuple[str, float]:
    """Complete trials before those that failed or were pruned, and smaller losses before larger ones."""
    return row["state"], row["validation_total"]


def labels(jobs: Sequence[Job]) -> list[str]:
    """What tells each run from the others."""
    words = [[*job.name.split(), f"width={job.width}", f"seed={job.seed}"] for job in jobs]
    shared = set(words[0]).intersection(*words[1:])
    return [" ".join(word for word in each if word not in shared) for each in words]


def row(job: Job, label: str, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """A trial in the table: what was run, what became of it, its epochs, its best loss or the one it was pruned at."""
    return {
        "trial": label,
        "state": {"RUNNING": "failed"}.get(trial.state.name, trial.state.name.lower()),
        "epochs": trial.last_step or 0,
        "validation_total": math.nan if trial.value is None else trial.value,
        "record": str(job.record_path) if trial.state.name == "COMPLETE" else "",
    }


def complete(study: optuna.Study, job: Job, record: Record) -> None:
    """Report all epochs of a recorded run to its trial, and end it, unless it has ended."""
    from optuna.trial import TrialState

    assert job.trial is not None
    if study.trials[job.trial.number].state.is_finished():
        return
    history, trial = record.fit["history"], OpenTrial(study, job.trial)
    for epoch, loss in zip(history["epoch"], history[MONITOR], strict=True):
        trial.is_behind(int(epoch), loss)
    study.tell(job.trial.number, min(history[MONITOR]), state=TrialState.COMPLETE, skip_if_finished=True)


def intervals(sweep: Sequence[str]) -> list[Override]:
    """The overrides of a sweep whose values cannot be listed."""
    return [override for override in parsed_overrides(sweep) if override.is_interval_sweep()]


def distribution(override: Override) -> optuna.distributions.BaseDistribution:
    """What the values of an override are drawn from, with equal probability.

    Raises:
        ZooError: an interval without values.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if not isinstance(value, IntervalSweep):
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    start, end, log = value.start, value.end, "log" in value.tags
    assert start is not None
    assert end is not None
    try:
        real = float in map(type, (start, end))
        return FloatDistribution(start, end, log=log) if real else IntDistribution(int(start), int(end), log=log)
    except ValueError as error:
        raise ZooError(f"{override.input_line}: {error}") from error


def shown(value: object) -> str:
    """A drawn value, in three digits, so that a run's name can be read."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def contests_of(jobs: Sequence[Job]) -> list[list[Job]]:
    """Runs that can be compared: several configurations of one method and width, all gradient fits of one loss."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        compared = {axis: job.axes[axis] for axis in COMPARED}
        groups.setdefault(f"{job.variant} {job.width} {digest(compared)}", []).append(job)
    found = []
    for group in groups.values():
        try:
            check_comparable(group)
        except ZooError:
            continue
        if len({job.key for job in group}) > 1:
            found.append(group)
    return found


def check_comparable(jobs: Sequence[Job]) -> None:
    """ZooError unless the runs have losses of epochs that can be compared."""
    from zoo.fitting.adversarial import Adversarial  # Lightning and torch take seconds to import
    from zoo.types import Logs

    for job in jobs:
        fit = job.make("fit")
        if not isinstance(fit, Logs) or job.axes["fit"].get("devices") is not None:
            raise ZooError(
                f"search=asha: {job.name} cannot be stopped after some epochs: only gradient fits by one process can; "
                "leave it out of the sweep"
            )
        if isinstance(fit, Adversarial):
            raise ZooError(
                f"search=asha: the losses of {job.name} are those of a game with a discriminator, and do not say which "
                "trial is better; leave it out of the sweep"
            )
        if other := [axis for axis in COMPARED if job.axes[axis] != jobs[0].axes[axis]]:
            raise ZooError(
                f"search=asha: {job.name} and {jobs[0].name} differ in {', '.join(other)}, so their losses cannot be "
                "compared; search in each of them by itself"
            )


def place(jobs: Sequence[Job], search: Asha) -> Path:
    """Optuna's file: one for these runs, their code and these rules."""
    config = {"runs": [job.record_path.stem for job in jobs], "code": [job.code for job in jobs], **asdict(search)}
    return jobs[0].results / FOLDER / f"{jobs[0].data}-{digest(config)}" / JOURNAL
