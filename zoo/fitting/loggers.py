"""Loggers of a fit's history, by Lightning: options that open a logger for one run."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.files import locked

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

FOLDER = "logs"  # below the results
QUICKLY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}  # MLflow tries for minutes


class RunLogger(ABC):
    """Where the losses of each epoch are logged, besides the record."""

    @abstractmethod
    def open(self, results: Path, name: str, version: str) -> tuple[Logger | None, str]:
        """A logger for one run, and where it writes.

        Args:
            results: folder of the results.
            name: of the method on its data: "digits/vae".
            version: of the run: its hash and seed.
        """


class Silent(RunLogger):
    """No logger."""

    def open(self, results: Path, name: str, version: str) -> tuple[Logger | None, str]:
        """Nothing."""
        return None, ""


class Csv(RunLogger):
    """metrics.csv: one row per epoch."""

    def open(self, results: Path, name: str, version: str) -> tuple[Logger | None, str]:
        """A file below the results; one of the same run is replaced."""
        from lightning.pytorch.loggers import CSVLogger

        logger = CSVLogger(results / FOLDER, name, version, flush_logs_every_n_steps=1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Experiment logs directory .* exists")
            _ = logger.experiment  # opens the file
        return logger, f"{logger.log_dir}/metrics.csv"


class TensorBoard(RunLogger):
    """Event files of TensorBoard.

    Raises:
        ZooError: TensorBoard is not installed.
    """

    def __init__(self) -> None:
        check_installed("tensorboard")

    def open(self, results: Path, name: str, version: str) -> tuple[Logger | None, str]:
        """Files below the results; those of the same run are replaced."""
        from lightning.pytorch.loggers import TensorBoardLogger

        logger = TensorBoardLogger(results / FOLDER, name, version, default_hp_metric=False)
        for earlier in Path(logger.log_dir).glob("events.out.tfevents.*"):
            earlier.unlink()
        return logger, logger.log_dir


@dataclass(frozen=True)
class MLflow(RunLogger):
    """A run of MLflow.

    Args:
        uri: of the tracking server or database; None for MLFLOW_TRACKING_URI, else an SQLite file among the results.
        experiment: its name.

    Raises:
        ZooError: MLflow is not installed, or cannot log there.
    """

    uri: str | None = None
    experiment: str = "bottleneck-zoo"

    def __post_init__(self) -> None:
        check_installed("mlflow")
        if not self.experiment:
            raise ZooError("logger.experiment= is empty: give a name, or leave it out")

    def open(self, results: Path, name: str, version: str) -> tuple[Logger | None, str]:
        """A run of that experiment; an earlier one of the same name that has not ended, as it was killed, ends."""
        for key, value in QUICKLY.items():
            os.environ.setdefault(key, value)
        from lightning.pytorch.loggers import MLFlowLogger

        uri, folder = self.uri or os.environ.get("MLFLOW_TRACKING_URI"), (results / FOLDER).resolve()
        uri = uri or f"sqlite:///{folder}/mlflow.db"
        own = f"{name} {version}"
        try:
            # processes that begin together would all create the database; and warnings are MLflow's, of its own parts
            with locked(folder / "mlflow.db"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                logger = MLFlowLogger(self.experiment, own, uri)
                client, experiment = logger.experiment, logger.experiment_id  # connects
                assert experiment is not None
                for run in client.search_runs([experiment], f"run_name = '{own}' and status = 'RUNNING'"):
                    if run.info.run_id != logger.run_id:
                        client.set_terminated(run.info.run_id, "KILLED")
        except Exception as error:  # of many kinds, by MLflow, its database and its HTTP client
            raise ZooError(
                f"logger.uri={uri}: MLflow cannot log there ({' '.join(str(error).split())[:200]})"
            ) from error
        return logger, uri


@dataclass(frozen=True)
class WeightsAndBiases(RunLogger):
    """A run of Weights & Biases.

    Args:
        project: its name.
        offline: keep the files below the results, for `wandb sync`.

    Raises:
        ZooError: wandb is not installed.
    """

    project: str = "bottleneck-zoo"
    offline: bool = False

    def __post_init__(self) -> None:
        check_installed("wandb")

    def open(self, results: Path, name: str, version: str) -> tuple[Logger | None, str]:
        """A run of that project."""
        from lightning.pytorch.loggers import WandbLogger

        folder = results / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        logger = WandbLogger(f"{name} {version}", folder, project=self.project, offline=self.offline)
        return logger, f"{folder}/wandb" if self.offline else f"project {self.project} of Weights & Biases"


def check_installed(package: str) -> None:
    """ZooError if the package of an extra of that name is not installed."""
    if find_spec(package) is None:
        raise ZooError(f"logger={package} needs another package: pip install 'bottleneck-zoo[{package}]'")
