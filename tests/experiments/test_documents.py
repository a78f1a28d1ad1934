"""The command that cleans pages, on a model too small to clean any."""

import json

import pytest
import torch
from PIL import Image

from experiments import documents
from experiments.documents import clean, error, flattened, main, median
from zoo.errors import ZooError
from zoo.model.corruptions import Paper
from zoo.model.io import build_model

SMALL = ("network.filters=[4,4]", "network.dilations=[1]")
TINY = (
    *SMALL,
    "data.source.n_train=40",
    "data.source.n_test=10",
    "budget.epochs=1",
    "trainer.progress=false",
)


@pytest.fixture
def job(compose_job):
    return compose_job(*documents.SETTING, *TINY)


def size(path):
    with Image.open(path) as image:
        return image.size


def test_a_page_is_cleaned_as_the_patches_it_is_made_of(job):
    """Away from edges, a patch of a page comes out as it does alone."""
    model = build_model(job.config, (3, 64, 64), seed=0).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    page = torch.rand(1, 3, 150, 130)
    whole = clean(model, job.config, page)
    assert whole.shape == page.shape
    part = clean(model, job.config, page[..., 40:104, 40:104])
    assert torch.allclose(whole[..., 68:76, 68:76], part[..., 28:36, 28:36], atol=1e-4)


def test_a_network_that_is_not_fully_convolutional_is_refused(compose_job):
    job = compose_job(*documents.SETTING, "network=linear", "data.source.size=16", "width=64")
    model = build_model(job.config, (3, 16, 16), seed=0)
    with pytest.raises(ZooError, match="needs network=fully_conv"):
        clean(model, job.config, torch.rand(1, 3, 32, 16))


def test_the_classical_ways_leave_a_clean_page_and_take_what_they_are_for():
    page = torch.ones(3, 60, 60)
    page[:, 20:40, 28:31] = 0.1
    assert error(flattened(page), page) < 1e-4
    assert error(flattened(0.6 * page), page) < 1e-3
    speck = page.clone()
    speck[:, 10, 10] = 0
    assert torch.equal(median(speck)[:, 5:15, 5:15], page[:, 5:15, 5:15])


def test_the_command_fits_once_judges_and_cleans_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    monkeypatch.setattr(documents, "PAGES", 3)
    main(TINY)
    said = json.loads((tmp_path / "outputs/documents/documents.json").read_text())
    assert set(said["mse_by_kind_of_damage"]) == {"none", "folds", "creases", "coffee", "light", "ink"}
    assert said["mse_by_kind_of_damage"]["none"]["damaged"] < 1e-10
    for row in said["mse"].values():
        assert row["median filter"] > row["divided by its background"] > 0
    text = (tmp_path / "outputs/documents/README.md").read_text()
    assert f"{said['mse']['new fonts and words']['damaged page']:.5f}" in text
    assert size(tmp_path / "outputs/documents/pages.png")[0] > 3 * 480
    (model,) = (tmp_path / "outputs").rglob("*.safetensors")
    before = model.stat().st_mtime_ns
    Image.new("RGB", (70, 50), "white").save(tmp_path / "photo.jpg")
    main([*TINY, "--clean", "photo.jpg"])
    assert size(tmp_path / "photo-clean.png") == (70, 50)
    assert model.stat().st_mtime_ns == before, "fitted again"
    with pytest.raises(SystemExit, match=r"lost\.jpg: no image that Pillow can read"):
        main([*TINY, "--clean", "lost.jpg"])


def test_every_kind_of_damage_is_one_that_the_corruption_has():
    assert set().union(*documents.KINDS.values()) | {"noise"} == set(documents.NOTHING)
    assert Paper(**documents.NOTHING, chance=1.0) != Paper()


def test_published_results_are_a_third_of_the_damage_or_less(repository):
    said = json.loads((repository / "results/documents/documents.json").read_text())
    for row in said["mse"].values():
        assert row["document_ae"] < row["damaged page"] / 3
    assert (repository / "results/documents/README.md").read_text() == documents.markdown(said)
    assert said["pages"]["n"] == documents.PAGES
