"""What all tests share: every yaml of an axis as a parameter, and runs composed and fitted as on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from experiments.job import Job
from experiments.models import build_model, make
from zoo.autoencoder import Autoencoder
from zoo.data.datamodule import ImageData
from zoo.evaluation.evaluator import evaluate
from zoo.fit import FitReport

torch.set_num_threads(1)

REPOSITORY = Path(__file__).parents[1]
# "highest" because "medium" rounds to bf16 on some processors
SHORT = ("data=digits", "trainer.progress=false", "trainer.matmul=highest", "budget.epochs=15")


@dataclass(frozen=True)
class Run:
    """A fitted model and its scores."""

    job: Job
    data: ImageData
    model: Autoencoder
    report: FitReport
    metrics: Mapping[str, Mapping[str, Any]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected numbers in tests/golden/")


def options(group: str) -> list[str]:
    """Stems of a configuration group's yamls."""
    return sorted(path.stem for path in (REPOSITORY / "conf" / group).glob("*.yaml"))


@pytest.fixture(scope="session", params=options("variant"))
def variant(request: pytest.FixtureRequest) -> str:
    """A test with this argument runs for every variant there is."""
    return request.param


@pytest.fixture(params=options("network"))
def network(request: pytest.FixtureRequest) -> str:
    """A test with this argument runs for every network there is."""
    return request.param


@pytest.fixture(params=options("optimizer"))
def optimizer(request: pytest.FixtureRequest) -> str:
    """A test with this argument runs for every optimiser there is."""
    return request.param


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def compose_job() -> Callable[..., Job]:
    """Overrides of the command line, put after those of a short fit on the digits -> the job they describe."""

    def composed(*overrides: str) -> Job:
        with initialize_config_dir(str(REPOSITORY / "conf"), version_base="1.3"):
            cfg = compose("config", [*SHORT, *overrides], return_hydra_config=True)
            return Job.of(cfg, cfg.hydra)

    return composed


@pytest.fixture(scope="session")
def fit_job() -> Callable[[Job], Run]:
    """A job -> a model fitted from scratch and scored, by the parts that a run is made of; nothing is written."""

    def fitted(job: Job) -> Run:
        data = ImageData(**make(job.axes["data"]))
        model = build_model(job.config, data.shape, job.seed)
        report = make(job.axes["fit"])(model, data, make(job.axes["objective"]), job.seed)
        return Run(job, data, model.eval(), report, evaluate(model, data, ["reconstruction"], asdict(report)))

    return fitted


@pytest.fixture(scope="session")
def fitted(compose_job: Callable[..., Job], fit_job: Callable[[Job], Run], variant: str) -> Run:
    """Every variant after a short fit with seed 0; its weights are not to be changed."""
    return fit_job(compose_job(f"variant={variant}"))
