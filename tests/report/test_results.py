"""Tables in results/ and in the README agree with the committed records."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.options import names
from zoo.report.publish import quoted_in, quoting
from zoo.report.table import benchmark, markdown
from zoo.runs.identity import digest
from zoo.runs.records import Record, read_record

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "results" / "records"
PAGES = sorted((ROOT / "results").glob("*/benchmark.md"))
QUOTED = ["mnist"]  # in the README


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: page.parent.name)
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture(scope="module")
def records(page: Path, study_jobs) -> list[Record]:
    """The records of the table that `page` shows, found by the command that it names."""
    command = re.findall(r"Written from the records by `zoo report (.*)`", page.read_text())[0]
    assert command == f"study={page.parent.name} paths.results=results"
    records = [replace(job, results=ROOT / "results").recorded() for job in study_jobs(page.parent.name)[0]]
    assert None not in records, "a run of the study has no record: its configuration changed after it was run"
    return [record for record in records if record is not None]


def test_tables_agree_with_the_records(page: Path, records: list[Record]) -> None:
    figures = re.findall(r"^!\[.*\]\((.*)\)$", page.read_text(), flags=re.M)
    command = re.findall(r"Written from the records by `(.*)`", page.read_text())[0]
    # which rows are stale changes with the code, not with the records
    stale = page.read_text().partition("## Stale rows\n\n")[2].partition("\n\nWritten from the records")[0]
    rerun = f"zoo study {page.parent.name} paths.results=results stale=rerun"
    assert page.read_text() == markdown(records, command, figures, re.findall(r"^- (.*)$", stale, re.M), rerun)
    table = benchmark(records).to_csv(index=False, float_format="%.10g", lineterminator="\n")
    assert page.with_suffix(".csv").read_text() == table
    assert all((page.parent / figure).is_file() for figure in figures)


def test_readme_quotes_the_records(page: Path, records: list[Record]) -> None:
    text = (ROOT / "README.md").read_text()
    assert quoted_in(text) == QUOTED
    assert set(QUOTED) <= {page.parent.name for page in PAGES}
    if page.parent.name in QUOTED:
        assert quoting(text, page.parent.name, records) == text


def test_every_record_is_where_its_content_says() -> None:
    for path in RECORDS.rglob("*.json"):
        record = read_record(path)
        assert path.relative_to(RECORDS) == Path(record.data, record.variant, f"{record.hash}-s{record.seed}.json")
        assert record.hash == digest(record.config)


def test_readme_lists_every_variant() -> None:
    text = (ROOT / "README.md").read_text()
    table = text[text.index("| family | variants |") : text.index("[docs/extending.md]")]
    assert sorted(re.findall(r"`(\w+)`", table)) == names("variant")
