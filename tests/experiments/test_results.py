"""What stands in results/ and the README is what the committed records say."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from experiments.benchmark import benchmark, markdown
from experiments.grid import jobs_of
from experiments.report import quoting
from zoo.records import Record

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "results").glob("*/benchmark.md"))


def recorded(page: Path) -> list[Record]:
    """The records of the table that `page` shows, found by the command that it names."""
    command = re.findall(r"Written from the records by `python -m experiments.report (.*)`", page.read_text())[0]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", [*command.split(), f"paths.results={ROOT / 'results'}"], return_hydra_config=True)
        table, _ = jobs_of(cfg, cfg.hydra)
    records = [job.recorded() for job in table]
    assert None not in records, "a run of the study has no record: its configuration changed after it was run"
    return [record for record in records if record is not None]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_tables_say_what_the_records_say(page: Path) -> None:
    records = recorded(page)
    figures = re.findall(r"^!\[.*\]\((.*)\)$", page.read_text(), flags=re.M)
    command = re.findall(r"Written from the records by `(.*)`", page.read_text())[0]
    assert page.read_text() == markdown(records, command, figures)
    table = benchmark(records).to_csv(index=False, float_format="%.10g", lineterminator="\n")
    assert page.with_suffix(".csv").read_text() == table
    assert all((page.parent / figure).is_file() for figure in figures)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_readme_quotes_the_records(page: Path) -> None:
    text = (ROOT / "README.md").read_text()
    assert quoting(text, page.parent.name, recorded(page)) == text


def test_readme_lists_every_variant():
    text = (ROOT / "README.md").read_text()
    table = text[text.index("| family | variants |") : text.index("PCA is no special case")]
    named = re.findall(r"`(\w+)`", table)
    assert sorted(named) == sorted(path.stem for path in (ROOT / "conf" / "variant").glob("*.yaml"))
