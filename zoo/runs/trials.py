"""Trials of a search, in a file of Optuna: fits that report each epoch and end early where they fall behind others."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.files import locked

if TYPE_CHECKING:
    import optuna

NAME = "search"  # of the study in Optuna's file
MONITOR = "validation_total"  # of the history: the loss by which trials are compared


class Pruned(ZooError):
    """A fit was stopped because others were better after as many epochs."""


@dataclass(frozen=True)
class SweepTrial:
    """A trial of a search, as it is sent to the process that fits it.

    Attributes:
        journal: Optuna's file of the search.
        number: of the trial.
        epochs: of a whole fit.
        first: epochs before the first comparison.
        factor: see `zoo.runs.search.Asha`.
    """

    journal: Path
    number: int
    epochs: int
    first: int
    factor: int

    def open(self) -> OpenTrial:
        """The trial in Optuna's file.

        Raises:
            Pruned: it was pruned before.
            ZooError: the file of this machine is another one.
        """
        return OpenTrial(opened(self.journal, self.first, self.factor), self)


class OpenTrial:
    """A trial in Optuna's file.

    Args:
        study: Optuna's.
        trial: which one it is.

    Raises:
        Pruned: it was pruned before.
        ZooError: there is no such trial.
    """

    def __init__(self, study: optuna.Study, trial: SweepTrial) -> None:
        from optuna.trial import Trial as Reporting
        from optuna.trial import TrialState

        self.study, self.trial = study, trial
        if trial.number >= len(study.trials):
            raise ZooError(f"{trial.journal}: not the file of this search; its workers need paths.results in common")
        kept = study.trials[trial.number]
        if kept.state == TrialState.PRUNED and kept.last_step is not None:
            raise self._pruned(kept.last_step, kept.intermediate_values[kept.last_step])
        self._reporting = Reporting(study, kept._trial_id)

    def report(self, epoch: int, loss: float) -> None:
        """Report the validation loss after an epoch.

        Raises:
            Pruned: the fit has fallen behind the others.
        """
        if self.is_behind(epoch, loss) and epoch < self.trial.epochs:
            from optuna.trial import TrialState

            self.study.tell(self.trial.number, state=TrialState.PRUNED)
            raise self._pruned(epoch, loss)

    def is_behind(self, epoch: int, loss: float) -> bool:
        """Report the validation loss after an epoch; whether the fit has fallen behind the others."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*already reported")  # by the fit that this one resumes
            self._reporting.report(loss, epoch)
        return self._reporting.should_prune()

    def _pruned(self, epoch: int, loss: float) -> Pruned:
        return Pruned(f"after epoch {epoch} of {self.trial.epochs}, with a validation loss of {loss:.6g}")


def opened(journal: Path, first: int, factor: int) -> optuna.Study:
    """Optuna's study in a file, which is made where it is not there.

    Args:
        journal: the file.
        first: epochs before the first comparison.
        factor: of the trials that come as far, one in so many goes on.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class Lock(JournalFileOpenLock):
        """A lock that ends with its process; that of Optuna keeps others waiting when its process is killed."""

        _held = ExitStack()

        def acquire(self) -> bool:
            return self._held.enter_context(locked(journal))

        def release(self) -> None:
            self._held.close()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal), Lock(str(journal)))),
        study_name=NAME,
        load_if_exists=True,
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=factor),
    )
