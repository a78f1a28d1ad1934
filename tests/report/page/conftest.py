"""A small page: models of scikit-learn's digits, fitted in a moment, written as `zoo report page` writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from zoo.report.page.write import EMBEDDED, write_page
from zoo.runs.job import Job
from zoo.runs.single import run_one

PLANES = {  # variants at two numbers, and their settings
    "pca": ("width=2",),
    "deep_ae": ("width=2",),
    "vae": ("width=2",),
    "aae": ("width=2",),
    "vq_vae": ("width=1", "bottleneck.dimensions=2"),
    "topk": ("width=2", "bottleneck.units=16"),
}
WIDER = {"pca": ("width=8",), "denoising_ae": ("width=8",)}
EMBEDDINGS = ("variant=skip_gram",), ("variant=svd", "fit.power=0")


@pytest.fixture(scope="session")
def page_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of records, models and pages of these tests."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="session")
def places(page_results: Path) -> tuple[str, str]:
    """The overrides for this folder."""
    return f"paths.results={page_results}", f"paths.models={page_results / 'models'}"


def done(jobs: list[Job]) -> list[Job]:
    """Runs, now with records and models."""
    for job in jobs:
        run_one(job)
    return jobs


@pytest.fixture(scope="session")
def page_jobs(places: tuple[str, str], compose_job: Callable[..., Job]) -> tuple[list[Job], list[Job]]:
    """The runs of a study of the page, done: two numbers, and eight."""
    shared = ("hidden=[24,12]", "budget.epochs=3", "evaluation.groups=[reconstruction]", *places)
    planes, wider = (
        done([compose_job(f"variant={name}", *settings, *shared) for name, settings in chosen.items()])
        for chosen in (PLANES, WIDER)
    )
    return planes, wider


@pytest.fixture(scope="session")
def word_jobs(places: tuple[str, str], corpus: Path, compose_job: Callable[..., Job]) -> tuple[list[Job], list[Job]]:
    """The runs of the study of words, done: two embeddings of the words of a small corpus."""
    words = ("data=words", f"data.source.path={corpus}", "data.source.vocabulary=300", "width=8", "budget.epochs=3")
    return done([compose_job(*own, *words, "evaluation.groups=[cost]", *places) for own in EMBEDDINGS]), []


@pytest.fixture(scope="session")
def study_of(
    page_jobs: tuple[list[Job], list[Job]], word_jobs: tuple[list[Job], list[Job]]
) -> Callable[[str], tuple[list[Job], list[Job]]]:
    """The runs of a study by its name."""
    return lambda name: word_jobs if name == EMBEDDED else page_jobs


@pytest.fixture(scope="session")
def claim() -> dict[str, Any]:
    """A claim as `zoo claims` writes it."""
    return {
        "name": "one",
        "title": "A title",
        "claim": "What is claimed.",
        "equation": "x = y",
        "fails": "When it fails.",
        "figure": "figure.png",
        "verdict": {"outcome": "holds in part", "text": "holds in part: 1 of 2 parts true", "answer": "Only for b."},
        "cases": {
            "digits": [
                {"part": "It is so for b", "number": "a ratio", "holds": True, "rule": "above 1", "beside": False},
                {"part": "It is so for c", "number": "a ratio", "holds": True, "rule": "above 1", "beside": True},
            ]
        },
        "numbers": {"digits": {"a ratio": {"value": 1.25, "low": 1.125, "high": 1.5, "unit": "nats"}}},
    }


@pytest.fixture(scope="session")
def page_file(
    page_results: Path,
    page_jobs: tuple[list[Job], list[Job]],
    study_of: Callable[[str], tuple[list[Job], list[Job]]],
    claim: dict[str, Any],
) -> Path:
    """The page of these runs, with the table of those at two numbers as a study, and a claim."""
    (page_results / "claims").mkdir()
    (page_results / "claims" / "one.json").write_text(json.dumps(claim))
    Image.new("RGB", (300, 200), "teal").save(page_results / "claims" / claim["figure"])
    (page_results / "digits").mkdir()
    (page_results / "digits" / "benchmark.md").touch()  # by which studies with a report are found
    return write_page(study_of, page_jobs[0][0].make("data"), page_results)
