"""Collects what the page shows, and writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.model.io import read_model
from zoo.report.page import explore
from zoo.report.page.assemble import assemble
from zoo.runs.job import Job

PLACE = Path("page", "index.html")
STUDIES = ("page",)  # one for each data set of the tab Explore
Study = tuple[Sequence[Job], Sequence[Job]]  # runs of its table, and of its figures


def write_page(studies: Sequence[Study], results: Path) -> Path:
    """Write the page below the folder of the results.

    Args:
        studies: their fitted models are explored.
        results: folder of the records, tables and claims that the page shows.

    Raises:
        ZooError: no model of the studies is fitted.
    """
    contents = {"explore": explored(studies)}
    write_atomically(path := results / PLACE, assemble(contents).encode())
    return path


def explored(studies: Sequence[Study]) -> list[dict[str, Any]]:
    """The data of the tab Explore, from those studies whose models are fitted."""
    found = []
    for study in studies:
        jobs = [job for part in study for job in part]
        if lacking := [job for job in jobs if not job.model_path.exists()]:
            print(f"{jobs[0].data} is left out of the page: {len(lacking)} of its {len(jobs)} models are not fitted")
        else:
            views = [[shown(job) for job in part] for part in study]
            found.append(explore.content(jobs[0].make("data"), views))
    if not found:
        raise ZooError(f"no models for the page: fit them first, by `zoo study {STUDIES[0]}`")
    return found


def shown(job: Job) -> explore.Shown:
    """The model of a run."""
    return explore.Shown(job.variant, read_model(job.model_path, job.trust).model)
