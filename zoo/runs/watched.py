"""A logger that also reports to a trial of a search."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.loggers import Logger

from zoo.runs.trials import MONITOR, OpenTrial


class Watched(Logger):
    """Reports each validated epoch to a trial, and passes everything on to another logger.

    Args:
        trial: that the fit is.
        inner: the other logger; None for none.
    """

    def __init__(self, trial: OpenTrial, inner: Logger | None) -> None:
        super().__init__()
        self.trial, self.inner = trial, inner

    @property
    def name(self) -> str | None:
        """Of the other logger."""
        return None if self.inner is None else self.inner.name

    @property
    def version(self) -> int | str | None:
        """Of the other logger."""
        return None if self.inner is None else self.inner.version

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Pass on."""
        if self.inner is not None:
            self.inner.log_hyperparams(*args, **kwargs)

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Pass on, and report.

        Raises:
            Pruned: the fit has fallen behind the others.
        """
        if self.inner is not None:
            self.inner.log_metrics(metrics, step)
        if MONITOR in metrics and step is not None:
            self.trial.report(step, metrics[MONITOR])

    def save(self) -> None:
        """Pass on."""
        if self.inner is not None:
            self.inner.save()

    def finalize(self, status: str) -> None:
        """Pass on."""
        if self.inner is not None:
            self.inner.finalize(status)
