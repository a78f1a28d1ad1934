"""What `zoo report page` writes, and the page of the repository."""

from __future__ import annotations

import base64
import io
import json
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from zoo.cli import main
from zoo.errors import ZooError
from zoo.report.page import claims, compare
from zoo.report.page.assemble import assemble, data_of, source
from zoo.report.page.write import command, explored, write_page

COMMITTED = Path(__file__).parents[3] / "results" / "page" / "index.html"
VOID = {"meta", "link", "img", "input", "br"}


class Elements(HTMLParser):
    """Opening and closing tags in turn, and the addresses that a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [tag] * (tag not in VOID)
        self.loaded += [value or "" for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(params=["a small page", "the committed page"])
def page(request) -> str:
    if request.param == "a small page":
        return request.getfixturevalue("page_file").read_text()
    if not COMMITTED.exists():
        pytest.skip("the repository has no page yet")
    return COMMITTED.read_text()


def test_a_page_is_one_well_formed_file_that_loads_nothing_from_elsewhere(page):
    elements = Elements()
    elements.feed(page)
    elements.close()
    assert elements.open == []
    assert all(address.startswith("data:") for address in elements.loaded)
    assert len(page.encode()) < 8_000_000


def test_a_page_holds_the_scripts_and_data_of_each_tab(page):
    for name in ("core", "shell", "explore", "train", "compare", "claims", "train_worker"):
        assert source(f"{name}.js") in page, "written by `zoo report page paths.results=results`"
    assert source("style.css") in page
    assert all(len(view["methods"]) > 1 for each in data_of(page, "explore") for view in each["views"])
    assert all(each["rows"] for each in data_of(page, "compare")["studies"])


def test_text_that_looks_like_markup_stays_text(claim):
    data = [claim | {"title": "</script><!-- <script>", "claim": "a < b & c > d"}]
    page = assemble({"claims": data})
    assert data_of(page, "claims") == data
    elements = Elements()
    elements.feed(page)
    assert elements.open == []


def test_data_sets_whose_models_are_not_here_stay_as_an_earlier_page_has_them(
    page_jobs, page_results, page_file, capsys
):
    models = page_results / "models"
    before = page_file.read_bytes()
    models.rename(page_results / "elsewhere")
    try:
        write_page(lambda name: page_jobs, page_jobs[0][0].make("data"), page_results)
        assert page_file.read_bytes() == before
        assert "models stay as the page has them" in capsys.readouterr().out
        with pytest.raises(ZooError, match="fit them first"):
            explored([page_jobs], {})
    finally:
        (page_results / "elsewhere").rename(models)


def test_rows_hold_what_the_records_hold(page_jobs):
    records = [job.recorded() for job in page_jobs[0]]
    commands = {job.key: command(job) for job in page_jobs[0]}
    (study,) = compare.content([compare.Table("digits", "a tour", records, commands)])["studies"]
    for row in study["rows"]:
        record = next(each for each in records if each.variant == row["variant"])
        assert row["cells"]["mse"][0] == pytest.approx(record.metrics["mse"]["value"], rel=1e-4)
        assert row["config"] == record.config
    assert any("mse" in row["best"] for row in study["rows"])


def test_the_command_of_a_row_is_that_of_its_run(page_jobs, page_results, compose_job):
    for job in page_jobs[0]:
        overrides = shlex.split(command(job))[2:]
        places = (f"paths.results={page_results}", f"paths.models={page_results / 'models'}")
        assert compose_job(*overrides, *places).record_path == job.record_path


def test_claims_are_read_with_their_figures_and_bad_ones_are_named(tmp_path, claim):
    assert claims.content(tmp_path / "none") == []
    Image.new("RGB", (30, 20), "teal").save(tmp_path / "figure.png")
    (tmp_path / "one.json").write_text(json.dumps(claim))
    (found,) = claims.content(tmp_path)
    figure = Image.open(io.BytesIO(base64.b64decode(found["figure"].removeprefix("data:image/webp;base64,"))))
    assert figure.convert("RGB").getpixel((3, 3)) == pytest.approx((0, 128, 128), abs=4)
    (tmp_path / "two.json").write_text(json.dumps(claim | {"verdict": ""}))
    with pytest.raises(ZooError, match=r"two.json: not a claim \(it has no verdict\)"):
        claims.content(tmp_path)


def test_without_fitted_models_the_command_names_the_studies_to_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["report", "page"])
    assert left.value.code == 2
    assert (
        "no models for the page: fit them first, by `zoo study` page, page_fashion, page_faces"
        in capsys.readouterr().err
    )
    assert not list(tmp_path.rglob("*.html"))
