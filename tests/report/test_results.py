"""Tables and figures in results/, and numbers in the README, agree with the committed records."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from zoo.catalogue import variants
from zoo.cli import QUOTING
from zoo.options import names
from zoo.report.figures.style import look
from zoo.report.page import compare
from zoo.report.page.assemble import data_of
from zoo.report.page.write import PLACE, table_of
from zoo.report.publish import PAGE, check_study, quoted_in, quotes
from zoo.report.reported import reported
from zoo.runs.identity import digest
from zoo.runs.job import Job
from zoo.runs.records import read_record

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "results" / "records"
PAGES = sorted((ROOT / "results").glob("*/benchmark.md"))
OF_TEXTS = {"newsgroups", "newsgroups_narrow", "newsgroups_large", "newsgroups_long", "words"}
QUOTED = {"README.md": {"mnist"}, "docs/words-and-documents.md": OF_TEXTS}


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: page.parent.name)
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(scope="module")
def jobs(page: Path, study_jobs) -> tuple[list[Job], list[Job]]:
    """The runs of the study that `page` shows."""
    command = re.findall(r"Written from the records by `zoo report (.*)`", page.read_text())[0]
    assert command == f"study={page.parent.name} paths.results=results"
    table, figures = ([replace(job, results=ROOT / "results") for job in part] for part in study_jobs(page.parent.name))
    lacking = [job.name for job in table if job.recorded() is None]
    assert not lacking, "runs of the study have no record: their configuration changed after they were run"
    return table, figures


def test_committed_files_are_what_the_records_give(page: Path, jobs) -> None:
    """As `zoo report --check`: tables and pages byte for byte, figures by what they show."""
    name = page.parent.name
    command = f"zoo report study={name} paths.results=results"
    pages = [ROOT / page for page in QUOTING]
    changed = [str(path.relative_to(ROOT)) for path in check_study(*jobs, name, command, pages)]
    assert changed == [], f"these differ from the records; run `{command}`"
    figures = re.findall(r"^!\[.*\]\((.*)\)$", page.read_text(), flags=re.M)
    assert sorted(path.name for path in page.parent.glob("*.png")) == sorted(figures)


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What the committed page compares, by study."""
    page = (ROOT / "results" / PLACE).read_text()
    return {study["name"]: study for study in data_of(page, "compare")["studies"]}


def test_the_committed_page_has_the_rows_of_the_records(page: Path, jobs, shown) -> None:
    name = page.parent.name
    (expected,) = compare.content([table_of(name, jobs[0])])["studies"]
    found = {row["name"]: row["cells"] for row in shown[name]["rows"]}
    recorded = {row["name"]: row["cells"] for row in json.loads(json.dumps(expected["rows"]))}
    assert found == recorded, "written by `zoo report page paths.results=results`"


def test_rows_of_a_study_look_different(jobs) -> None:
    names = {job.name for job in jobs[0]}
    assert len({look(name) for name in names}) == len(names)


def test_pages_quote_tables_of_committed_studies() -> None:
    assert {page: set(quoted_in((ROOT / page).read_text())) for page in QUOTING} == QUOTED
    assert all((ROOT / "results" / name / PAGE).is_file() for names in QUOTED.values() for name in names)


@pytest.mark.parametrize("name", ["README.md", "docs/studies.md", "docs/getting-started.md", "CONTRIBUTING.md"])
def test_no_result_is_typed_by_hand(name: str) -> None:
    """Decimal numbers outside quoted tables and code are values that `conf/references.yaml` gives a source for."""
    text = (ROOT / name).read_text()
    for generated in (r"<!-- table: .*?<!-- end -->", r"```.*?```", r"`[^`\n]*`", r"\]\([^)\n]*\)", r"^Licence: .*"):
        text = re.sub(generated, "", text, flags=re.S | re.M)
    known = {f"{each.value:.2f}" for each in reported()}
    assert set(re.findall(r"\d+\.\d+|\d[\d.]* ?%|±", text)) <= known


def test_the_readme_says_what_the_records_of_its_table_are() -> None:
    (quoted,) = quotes((ROOT / "README.md").read_text())
    assert len(quoted.rows) == len(quoted.metrics) + 1 == 5
    records = [r for r in map(read_record, RECORDS.glob("mnist/*/*.json")) if r.name in quoted.rows and r.width == 30]
    assert {record.seed for record in records} == {0, 1, 2}
    (topk, *_) = (record for record in records if record.name == "topk")
    assert [topk.metrics[name]["value"] for name in ("l0", "code_width")] == [30, 1024]
    text = " ".join((ROOT / "README.md").read_text().split())
    assert "MNIST, width 30 (`topk`: 30 active units of 1,024), three seeds." in text


def test_the_readme_counts_the_methods() -> None:
    assert f"a benchmark of {len(variants())} methods" in " ".join((ROOT / "README.md").read_text().split())


def test_values_reported_for_gensim_are_those_that_were_measured() -> None:
    measured = json.loads((ROOT / "results/word2vec/word2vec.json").read_text())["found"]["gensim"]
    values = {each.metric: each.value for each in reported() if each.source.startswith("gensim")}
    for metric, key in {"wordsim353": "wordsim353", "simlex999": "simlex999", "analogy_accuracy": "analogies"}.items():
        assert values.pop(metric) == round(fmean(seed[key] for seed in measured), 3)
    assert values == {}


def test_every_record_is_where_its_content_says() -> None:
    for path in RECORDS.rglob("*.json"):
        record = read_record(path)
        assert path.relative_to(RECORDS) == Path(record.data, record.variant, f"{record.hash}-s{record.seed}.json")
        assert record.hash == digest(record.config)


def test_readme_lists_every_variant() -> None:
    text = (ROOT / "README.md").read_text()
    table = text[text.index("| family | methods |") : text.index("[Methods](docs/methods.md)")]
    assert sorted(re.findall(r"`(\w+)`", table)) == names("variant")
