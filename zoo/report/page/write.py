"""Collects what the page shows, and writes it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.model.io import read_model
from zoo.options import content as option_file
from zoo.options import names
from zoo.report.page import claims, compare, explore, train, word_planes
from zoo.report.page.assemble import assemble, data_of
from zoo.report.publish import reported_studies
from zoo.report.table import words
from zoo.runs.job import Job

PLACE = Path("page", "index.html")
CLAIMS = "claims"  # the folder of claims, below the results
EXPLORED = ("page", "page_fashion", "page_faces")  # studies whose models are explored, one for each data set of images
EMBEDDED = "page_words"  # the study whose word embeddings are shown
Study = tuple[Sequence[Job], Sequence[Job]]  # runs of its table, and of its figures


def write_page(study: Callable[[str], Study], trained: Splits, results: Path) -> Path:
    """Write the page below the folder of the results.

    Args:
        study: the runs of a study, by its name.
        trained: the images that the reader's browser trains on.
        results: folder of the records, tables and claims that the page shows.

    Raises:
        ZooError: no model of the explored studies is fitted, and no earlier page shows any.
    """
    path = results / PLACE
    earlier = shown_before(path)
    images = explored([study(name) for name in EXPLORED], earlier)
    planes = kept(study(EMBEDDED), embedded, earlier)
    contents = {
        "explore": images,
        **({"words": planes} if planes else {}),
        "train": train.content(trained),
        "compare": compare.content(tables(study, results)),
        "claims": claims.content(results / CLAIMS),
    }
    write_atomically(path, assemble(contents).encode())
    return path


def shown_before(path: Path) -> dict[str, dict[str, Any]]:
    """What a page shows of models, by data set."""
    if not path.exists():
        return {}
    page = path.read_text(encoding="utf-8")
    planes = data_of(page, "words")
    return {each["name"]: each for each in [*(data_of(page, "explore") or []), *([planes] if planes else [])]}


def explored(studies: Sequence[Study], earlier: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The data of the tab Explore, from those studies whose models are fitted; the arguments are those of `kept`."""
    found = [part for study in studies if (part := kept(study, image_planes, earlier)) is not None]
    if not found:
        raise ZooError(f"no models for the page: fit them first, by `zoo study` {', '.join(EXPLORED)}")
    return found


def kept(
    study: Study, made: Callable[[Study], dict[str, Any]], earlier: Mapping[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """What the page shows of the models of one data set; None where they are not fitted, and never were.

    Args:
        study: its runs.
        made: the data of these runs, whose models are fitted.
        earlier: what the page showed before, by data set; it stays where models are not fitted here.
    """
    jobs = [job for part in study for job in part]
    name, lacking = jobs[0].data, [job for job in jobs if not job.model_path.exists()]
    if not lacking:
        return made(study)
    if name in earlier:
        print(f"{name}: models stay as the page has them; {len(lacking)} of {len(jobs)} are not fitted here")
    else:
        print(f"{name} is left out of the page: {len(lacking)} of {len(jobs)} models are not fitted")
    return earlier.get(name)


def image_planes(study: Study) -> dict[str, Any]:
    """The code planes of a study of images."""
    return explore.content(study[0][0].make("data"), [[shown(job) for job in part] for part in study])


def shown(job: Job) -> explore.Shown:
    """The model of a run."""
    return explore.Shown(job.variant, read_model(job.model_path, job.trust).model)


def embedded(study: Study) -> dict[str, Any]:
    """The planes of a study of words."""
    jobs = study[0]
    return word_planes.content(
        jobs[0].data,
        [
            word_planes.Embedding(job.name, job.variant, read_model(job.model_path, job.trust).model, job.make("data"))
            for job in jobs
        ],
    )


def tables(study: Callable[[str], Study], results: Path) -> list[compare.Table]:
    """The records of every study whose table is among the results."""
    found = (table_of(name, study(name)[0]) for name in compared_studies(results))
    return [table for table in found if table.records]


def compared_studies(results: Path) -> list[str]:
    """The studies whose tables are among the results, but for those that the page shows otherwise."""
    known = set(names("study")) - {*EXPLORED, EMBEDDED}
    return [name for name in reported_studies(results) if name in known]


def table_of(name: str, jobs: Sequence[Job]) -> compare.Table:
    """The records of a study, of the runs of its table."""
    records = [record for job in jobs if (record := job.recorded()) is not None]
    commands = {job.key: command(job) for job in reversed(jobs)}  # of the first seed
    return compare.Table(name, str(option_file("study", name).get("about", "")), records, commands)


def command(job: Job) -> str:
    """The command of a run."""
    own = [f"variant={job.variant}", f"data={job.data}", f"width={job.width}", f"seed={job.seed}"]
    return shlex.join(["zoo", "run", *own, *words(job.name)[1:]])
