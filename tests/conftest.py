"""What all tests share: every yaml of an axis as a parameter, and runs composed and fitted as on the command line."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from tests.launched import REPOSITORY, Command
from zoo.data.sources.corpora import MODULES, docstrings_of
from zoo.data.splits import Splits
from zoo.evaluation.evaluator import evaluate, in_groups
from zoo.model.autoencoder import Autoencoder
from zoo.model.io import build_model
from zoo.runs.compose import composed, composing
from zoo.runs.grid import jobs_of
from zoo.runs.job import Job
from zoo.types import FitReport

torch.set_num_threads(1)

# "highest" because "medium" rounds to bf16 on some processors
SCORED = ("reconstruction",)
SHORT = ("trainer.progress=false", "trainer.matmul=highest", "budget.epochs=10")
DIGITS = ("data=digits",)
FILTERS, TOKENS = ("network.filters=[8,16]",), ("network.depth=1", "network.decoder_depth=1")
SMALLER = {"conv": FILTERS, "residual": FILTERS, "fully_conv": FILTERS, "vit": TOKENS, "vit_mask_token": TOKENS}
TOGETHER = {"test_advice", "test_claims", "test_dictionaries", "test_disentanglement", "test_documents", "test_show"}
WORDS = ("data.source.vocabulary=300", "width=8")  # of a variant for words alone, which names data=words itself


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
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Docstrings of some modules as a text file."""
    path = tmp_path_factory.mktemp("corpus") / "docstrings.txt"
    path.write_text("\n".join(text for name in MODULES[:12] for text in docstrings_of(name)))
    return path


@pytest.fixture(scope="session")
def compose_job(corpus: Path) -> Callable[..., Job]:
    """Overrides of the command line, put after those of a short fit on the digits -> the job they describe.

    A variant that is for other data, as its file says, is fitted to a small corpus of words. Equal overrides give the
    same job, which is not to be changed.
    """

    @cache
    def one(*overrides: str) -> Job:
        variant = next((each.partition("=")[2] for each in overrides if each.startswith("variant=")), "pca")
        data = (*WORDS, f"data.source.path={corpus}") if names_its_data(variant) else DIGITS
        with composing([*SHORT, *data, *overrides]) as given:
            return Job.of(composed("config", given))

    return one


def names_its_data(variant: str) -> bool:
    """Whether a variant's file chooses the data set."""
    path = REPOSITORY / "conf" / "variant" / f"{variant}.yaml"
    return path.exists() and "override /data:" in path.read_text()


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
def small_job(compose_job: Callable[..., Job], variant: str) -> Job:
    """Every variant with few filters and tokens, so that it is fitted within seconds."""
    network = compose_job(f"variant={variant}").axes["network"]["option"]
    return compose_job(f"variant={variant}", *SMALLER.get(network, ()))


@pytest.fixture(scope="session")
def fitted(small_job: Job, fit_job: Callable[[Job], Run]) -> Run:
    """Every variant after a short fit with seed 0; its weights are not to be changed."""
    return fit_job(small_job)


@pytest.fixture
def allocated() -> Callable[[Callable[[], object]], int]:
    """The largest memory, in bytes, that a call holds in tensors which it made."""

    def of(call: Callable[[], object]) -> int:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
            call()
        events = sorted(found.profiler.kineto_results.events(), key=lambda event: event.start_ns())
        return int(torch.tensor([event.nbytes() for event in events if event.name() == "[memory]"]).cumsum(0).max())

    return of


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """`zoo ARGUMENTS` started in a session of its own, in the folder of the test, which is its home."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("processes are found by /proc")
    started = []

    def start(*arguments: str) -> Command:
        started.append(Command.start(tmp_path, *arguments))
        return started[-1]

    yield start
    for command in started:
        for pid in command.alive():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        command.process.communicate()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one fitted model, or of one study, go to one worker: it is fitted, or composed, once.

    So do those of the modules in `TOGETHER`, which share what takes seconds to make.
    """
    for item in items:
        if item.path.stem in TOGETHER:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            parameters = item.callspec.params
            if "fitted" in item.fixturenames:
                name = parameters.get("variant", parameters.get("fitted"))
                item.add_marker(pytest.mark.xdist_group(f"fitted {name}"))
            for name in {"written", "page"} & parameters.keys():  # a study's name, or the folder of its page
                study = getattr(parameters[name], "parent", Path(parameters[name])).name
                item.add_marker(pytest.mark.xdist_group(f"study {study}"))
