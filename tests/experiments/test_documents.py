"""The command that cleans pages: on a model too small to clean any, and with the published model."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from experiments import documents
from experiments.documents import MODEL, clean, drawn_pages, error, flattened, main, median, read
from zoo.data.sources.page_pairs import divided_pairs, grey_pair, paired
from zoo.errors import ZooError
from zoo.model.io import build_model, read_model

SMALL = ("network.filters=[4]", "network.dilations=[1]")
TINY = (
    *SMALL,
    "data.source.n_train=40",
    "data.source.n_test=10",
    "data.source.drawn=0.0",
    "data.source.least_scale=1.0",
    "budget.epochs=1",
    "trainer.progress=false",
)


@pytest.fixture
def job(compose_job):
    return compose_job(*documents.SETTING, *TINY)


@pytest.fixture
def model(job):
    model = build_model(job.config, (1, 64, 64), seed=0).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return model


@pytest.fixture
def folder(tmp_path):
    """Three pages, two of them training pages, in four grey levels of paper each."""
    rows = ["dirty,clean"]
    for inner in ("dirty", "clean"):
        (tmp_path / "pages" / inner).mkdir(parents=True)
    for i in range(3):
        page = np.full((150, 410), 255, np.uint8)
        page[20 + 10 * i : 40 + 10 * i, 30:300] = 0
        Image.fromarray(page).save(tmp_path / f"pages/clean/{i}.png")
        for copy in range(4):
            Image.fromarray((page * (0.8 - 0.1 * copy)).astype(np.uint8)).save(tmp_path / f"pages/dirty/{i}{copy}.png")
            rows.append(f"{i}{copy}.png,{i}.png")
    (tmp_path / "pages/pairs.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "pages"


def size(path):
    with Image.open(path) as image:
        return image.size


def test_a_page_is_cleaned_as_the_patches_it_is_made_of(job, model):
    """Away from edges, a patch of a page comes out as it does alone."""
    page = torch.rand(1, 1, 150, 130)
    whole = clean(model, job.config, page)
    assert whole.shape == page.shape
    part = clean(model, job.config, page[..., 40:104, 40:104])
    assert torch.allclose(whole[..., 68:76, 68:76], part[..., 28:36, 28:36], atol=1e-4)


def test_a_large_page_is_cleaned_in_strips_without_seams(job, model, monkeypatch):
    page = torch.rand(1, 1, 150, 30)
    whole = clean(model, job.config, page)
    monkeypatch.setattr(documents, "STRIP", 40)
    monkeypatch.setattr(documents, "EDGE", 16)
    assert torch.allclose(clean(model, job.config, page), whole, atol=1e-5)


def test_a_network_that_is_not_fully_convolutional_is_refused(compose_job):
    job = compose_job("data=documents", "variant=document_ae", "network=linear", "data.source.size=16", "width=64")
    model = build_model(job.config, (1, 16, 16), seed=0)
    with pytest.raises(ZooError, match="needs network=fully_conv"):
        clean(model, job.config, torch.rand(1, 1, 32, 16))


def test_the_classical_ways_leave_a_clean_page_and_take_what_they_are_for():
    page = torch.ones(3, 60, 60)
    page[:, 20:40, 28:31] = 0.1
    assert error([flattened(page)], [page]) < 0.01
    assert error([flattened(0.6 * page)], [page]) < 0.03
    speck = page.clone()
    speck[:, 10, 10] = 0
    assert torch.equal(median(speck)[:, 5:15, 5:15], page[:, 5:15, 5:15])


def test_the_command_fits_once_judges_and_cleans_a_picture(tmp_path, folder, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    page = torch.ones(1, 64, 64)
    monkeypatch.setattr(documents, "drawn_pages", lambda: {"all": ([0.9 * page], [page]), "clean": ([page], [page])})
    main(["--pages", "pages", *TINY])
    found = json.loads((tmp_path / "outputs/documents/documents.json").read_text())
    assert len(found["pages"]["train"]) == 2
    assert set(found["rmse"]["test pages"]["as they are"]) == {"all", *documents.KINDS, "clean"}
    for row in found["rmse"].values():
        assert row["as they are"]["clean"] == 0
        assert row["as they are"]["all"] > row["divided by their background"]["all"]
    text = (tmp_path / "outputs/documents/README.md").read_text()
    assert f"{found['rmse']['test pages']['document_ae']['all']:.4f}" in text
    assert size(tmp_path / "outputs/documents/pages.png")[0] > 3 * documents.CROP[1]
    (model,) = (tmp_path / "outputs/models").rglob("*.safetensors")
    before = model.stat().st_mtime_ns
    documents.fitted(documents.job_of("pages", TINY))
    assert model.stat().st_mtime_ns == before, "fitted again"
    saved = read_model(tmp_path / "outputs/documents/cleaner.safetensors")
    assert "path" not in saved.config["corruption"]


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 3), ("P", 3), ("1", 1)])
def test_pictures_of_any_mode_and_size_are_cleaned_at_once(tmp_path, mode, channels, capsys):
    colours = Image.fromarray(np.random.default_rng(0).integers(100, 255, (51, 70, 3), np.uint8))
    colours.convert(mode).save(tmp_path / "photo.png")
    main(["--clean", str(tmp_path / "photo.png")])
    assert capsys.readouterr().out.strip() == str(tmp_path / "photo-clean.png")
    assert read(tmp_path / "photo.png").shape == (channels, 51, 70)
    assert size(tmp_path / "photo-clean.png") == (70, 51)


def test_mistakes_are_one_sentence(tmp_path, folder):
    def says(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return str(left.value)

    (tmp_path / "words.png").write_text("words")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    Image.new("L", (8, 8)).save(tmp_path / "page.png")
    assert "lost.jpg: no image that Pillow can read" in says("--clean", tmp_path / "lost.jpg")
    assert "words.png: no image that Pillow can read" in says("--clean", tmp_path / "words.png")
    assert "8 bits per channel" in says("--clean", tmp_path / "deep.png")
    assert "no such model" in says("--clean", tmp_path / "page.png", "--model", tmp_path / "none.safetensors")
    assert "no such folder; give --pages" in says("--pages", tmp_path / "nowhere")
    (folder / "dirty/00.png").unlink()
    assert "00.png: no such file, but its partner" in says("--pages", folder, *TINY)


@pytest.fixture(scope="module")
def published():
    return read_model(MODEL)


@pytest.fixture(scope="module")
def drawn():
    """A part of a drawn page in a font and words that are not in training, with and without damage: (1, 320, 300)."""
    (dirty, true), _ = drawn_pages().values()
    return dirty[0][:, 60:380, 90:390], true[0][:, 60:380, 90:390]


def test_the_published_model_is_a_bottleneck_and_small(published):
    assert published.model.bottleneck.out_features <= 0.75 * 64 * 64
    assert MODEL.stat().st_size < 2e6


def test_a_clean_page_stays_clean(published, drawn):
    _, true = drawn
    assert error([clean(published.model, published.config, true[None])[0]], [true]) < 0.002**0.5


def test_the_published_model_beats_division_by_the_background(published, drawn):
    dirty, true = drawn
    ours = error([clean(published.model, published.config, dirty[None])[0]], [true])
    assert ours < 0.9 * error([flattened(dirty)], [true])


def test_the_published_model_cleans_real_pages_of_unseen_texts(repository, published):
    folder = repository / documents.PAGES
    if not folder.is_dir():
        pytest.skip(f"{documents.PAGES} is not there; it is at {documents.ADDRESS}")
    _, test = divided_pairs(paired(folder), 0.2, 0)
    for pair in test[:4]:
        dirty, true = (torch.from_numpy(page / np.float32(255))[None] for page in grey_pair(pair))
        assert error([clean(published.model, published.config, dirty[None])[0]], [true]) < 0.05


def test_published_numbers_are_within_their_bounds(repository):
    found = json.loads((repository / "results/documents/documents.json").read_text())
    real = found["rmse"]["test pages"]
    assert real["document_ae"]["all"] <= 0.035
    assert real["document_ae"]["all"] < 0.52 * real["divided by their background"]["all"]
    assert real["document_ae"]["clean"] ** 2 < 0.0005
    assert not set(found["pages"]["train"]) & set(found["pages"]["test"])
    assert (repository / "results/documents/README.md").read_text() == documents.markdown(found)
