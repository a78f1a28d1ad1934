"""What `zoo report page` writes, and the page of the repository."""

from __future__ import annotations

import base64
import io
import json
import shlex
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.cli import main
from zoo.errors import ZooError
from zoo.model.io import read_model
from zoo.report.page import claims, compare, word_planes
from zoo.report.page.assemble import assemble, data_of, source
from zoo.report.page.write import command, compared_studies, explored, write_page

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
    for name in ("core", "shell", "explore", "words", "train", "compare", "claims", "train_worker"):
        assert source(f"{name}.js") in page, "written by `zoo report page paths.results=results`"
    assert source("style.css") in page
    assert all(len(view["methods"]) > 1 for each in data_of(page, "explore") for view in each["views"])
    assert all(each["rows"] for each in data_of(page, "compare")["studies"])


def test_text_that_looks_like_markup_stays_text(claim):
    data = [claim | {"title": "</script><!-- <script>", "claim": "a < b & c > d"}]
    page = assemble({"claims": data, "compare": data})
    assert data_of(page, "claims") == data_of(page, "compare") == data
    elements = Elements()
    elements.feed(page)
    assert elements.open == []


def test_bytes_are_packed_beside_the_text():
    data = [{"a": b"\x00\xff" * 9, "n": [1.5, None]}, b"", {"deep": {"er": b"\x80"}}]
    assert data_of(assemble({"claims": data}), "claims") == data
    with pytest.raises(TypeError, match="set has no JSON"):
        assemble({"claims": {1}})


def test_data_sets_whose_models_are_not_here_stay_as_an_earlier_page_has_them(
    page_jobs, study_of, page_results, page_file, capsys
):
    models = page_results / "models"
    before = page_file.read_bytes()
    models.rename(page_results / "elsewhere")
    try:
        write_page(study_of, page_jobs[0][0].make("data"), page_results)
        assert page_file.read_bytes() == before
        assert capsys.readouterr().out.count("models stay as the page has them") == 4
        with pytest.raises(ZooError, match="fit them first"):
            explored([page_jobs], {})
    finally:
        (page_results / "elsewhere").rename(models)


def test_neighbours_of_a_word_are_those_with_the_largest_cosines(word_jobs, page_file):
    shown = data_of(page_file.read_text(), "words")
    for job, method in zip(word_jobs[0], shown["methods"], strict=True):
        data = job.make("data")
        places = [data.form.features.index(word) for word in shown["words"]]
        assert places == sorted(places)
        with torch.no_grad():
            codes = read_model(job.model_path).model.encode(data.source.train[torch.tensor(places)])
        cosines = torch.nn.functional.cosine_similarity(codes[:, None], codes[None], dim=2).fill_diagonal_(-2)
        near = torch.tensor(method["neighbours"]).view(len(places), -1)
        torch.testing.assert_close(cosines.gather(1, near), cosines.topk(near.shape[1], 1).values)
        planes = np.frombuffer(method["points"], np.uint8).reshape(2, -1).T
        points = np.ascontiguousarray(planes).view("<f2").reshape(-1, 2).astype(float)
        assert points[:, 0].var() >= points[:, 1].var() > 0
        assert 0 < method["share"] < 1


def test_words_that_say_nothing_are_not_shown():
    assert word_planes.shown(["the", "ll", "space", "of", "nasa"]) == [2, 4]


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


def test_the_committed_page_compares_the_committed_studies():
    """Their rows are compared with the records by tests/report/test_results.py."""
    if not COMMITTED.exists():
        pytest.skip("the repository has no page yet")
    shown = [each["name"] for each in data_of(COMMITTED.read_text(), "compare")["studies"]]
    assert shown == compared_studies(COMMITTED.parents[1])
