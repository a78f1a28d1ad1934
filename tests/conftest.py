"""What all tests share: every yaml of an axis as a parameter, and runs composed and fitted as on the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo.data.splits import Splits
from zoo.evaluation.evaluator import evaluate, in_groups
from zoo.model.autoencoder import Autoencoder
from zoo.model.io import build_model
from zoo.runs.compose import composed, composing
from zoo.runs.grid import jobs_of
from zoo.runs.job import Job
from zoo.types import FitReport

torch.set_num_threads(1)

REPOSITORY = Path(__file__).parents[1]
# "highest" because "medium" rounds to bf16 on some processors
SCORED = ("reconstruction",)
SHORT = ("data=digits", "trainer.progress=false", "trainer.matmul=highest", "budget.epochs=15")


@dataclass(frozen=True)
class Run:
    """A fitted model and its scores."""

    job: Job
    data: Splits
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

    def one(*overrides: str) -> Job:
        with composing([*SHORT, *overrides]) as given:
            return Job.of(composed("config", given))

    return one


@pytest.fixture(scope="session")
def study_jobs() -> Callable[[str], tuple[list[Job], list[Job]]]:
    """A study's name -> the runs of its table, and those of its figures alone; composed once."""

    @cache
    def jobs(name: str) -> tuple[list[Job], list[Job]]:
        with composing():
            return jobs_of(composed("config", [f"study={name}"]))

    return jobs


@pytest.fixture(scope="session")
def fit_job() -> Callable[[Job], Run]:
    """A job -> a model fitted from scratch and scored, by the parts that a run is made of; nothing is written."""

    def fitted(job: Job) -> Run:
        data = job.make("data")
        model = build_model(job.config, data.shape, job.seed)
        report = job.make("fit")(model, data, job.make("objective"), job.seed)
        return Run(job, data, model.eval(), report, evaluate(model, data, in_groups(SCORED), asdict(report)))

    return fitted


@pytest.fixture(scope="session")
def fitted(compose_job: Callable[..., Job], fit_job: Callable[[Job], Run], variant: str) -> Run:
    """Every variant after a short fit with seed 0; its weights are not to be changed."""
    return fit_job(compose_job(f"variant={variant}"))


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one fitted variant, or of one study, go to one worker: it is fitted, or composed, once."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            parameters = item.callspec.params
            if "fitted" in item.fixturenames and "variant" in parameters:
                item.add_marker(pytest.mark.xdist_group(f"fitted {parameters['variant']}"))
            for name in {"written", "page"} & parameters.keys():  # a study's name, or the folder of its page
                study = getattr(parameters[name], "parent", Path(parameters[name])).name
                item.add_marker(pytest.mark.xdist_group(f"study {study}"))
