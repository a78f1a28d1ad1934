"""The Python face: own arrays in, codes, samples and scores out."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA

import zoo
from zoo.api import evaluate, fit, load, save
from zoo.errors import ZooError

DIGITS = load_digits()
WINE = load_wine()
QUIET = {"progress": False}


@pytest.fixture(scope="module")
def models():
    """A method of each kind, fitted for a moment to the wine table."""
    return {
        variant: fit(variant, WINE.data, width=3, epochs=3, **QUIET) for variant in ("pca", "deep_ae", "vae", "vq_vae")
    }


def test_a_fit_leaves_the_number_of_threads_alone():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        fit("pca", WINE.data, width=2, **QUIET)
        assert torch.get_num_threads() == 2
        with pytest.raises(ZooError):  # it diverges
            fit("deep_ae", WINE.data, width=2, epochs=2, settings={"optimizer": "sgd", "optimizer.lr": 1e6}, **QUIET)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_pca_of_images_in_their_own_units():
    model = fit("pca", DIGITS.images, width=10, seed=3, **QUIET)
    train = model.data.train.stored(slice(None)).flatten(1).numpy()
    assert len(train) == 1617
    known = PCA(10, svd_solver="covariance_eigh").fit(train / 16)
    expected = known.inverse_transform(known.transform(DIGITS.data / 16)) * 16
    np.testing.assert_allclose(model.reconstruct(DIGITS.images).reshape(len(expected), -1), expected, atol=1e-4)
    assert model.reconstruct(DIGITS.data).shape == DIGITS.images.shape, "flattened images are taken too"
    assert model.encode(torch.from_numpy(DIGITS.images)).shape == (1797, 10)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_images_of_any_type_and_layout(dtype):
    x = np.random.default_rng(0).integers(0, 200, (40, 6, 5, 3)).astype(dtype)
    model = fit("pca", x, width=20, **QUIET)
    found = model.reconstruct(x)
    assert found.shape == x.shape
    assert np.abs(found - x).mean() < 60
    first = x.transpose(0, 3, 1, 2)
    other = fit("pca", first, width=20, **QUIET)
    np.testing.assert_allclose(other.reconstruct(first).transpose(0, 2, 3, 1), found, atol=1e-2)


def test_a_fit_is_determined_by_its_seed(models):
    again = fit("vae", WINE.data, width=3, epochs=3, **QUIET)
    other = fit("vae", WINE.data, width=3, epochs=3, seed=1, **QUIET)
    assert np.array_equal(again.encode(WINE.data), models["vae"].encode(WINE.data))
    assert not np.array_equal(other.encode(WINE.data), models["vae"].encode(WINE.data))


def test_no_random_state_changes(models):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    fit("vae", WINE.data, width=2, epochs=1, **QUIET)
    models["vae"].sample(3)
    models["deep_ae"].sample(3, density="mixture")
    models["vae"].score_samples(WINE.data[:3])
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("variant", ["pca", "deep_ae", "vae", "vq_vae"])
def test_a_saved_model_is_the_same_model(models, variant, tmp_path):
    model = models[variant]
    path = save(model, str(tmp_path / "folder" / "model.safetensors"))
    for given in (path, str(path)):
        loaded = load(given)
        assert np.array_equal(loaded.encode(WINE.data), model.encode(WINE.data))
        assert np.array_equal(loaded.sample(4, seed=1), model.sample(4, seed=1))
        assert np.array_equal(loaded.score_samples(WINE.data[:4]), model.score_samples(WINE.data[:4]))
    assert loaded.form == model.form
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_samples_come_from_the_prior_or_a_density(models):
    for model in models.values():
        found = model.sample(20, seed=0)
        assert found.shape == (20, 13)
        assert np.isfinite(found).all()
        assert np.array_equal(found, model.sample(20, seed=0))
        assert not np.array_equal(found, model.sample(20, seed=1))
    mixture = models["pca"].sample(500, density="mixture", components=2)
    spread = (mixture - WINE.data.mean(0)) / WINE.data.std(0)
    assert np.abs(spread.mean(0)).max() < 0.3
    with pytest.raises(ZooError, match="density=guassian: no such density; did you mean gaussian"):
        models["pca"].sample(2, density="guassian")
    with pytest.raises(ZooError, match="n=0: must be 1 or more"):
        models["pca"].sample(0)
    with pytest.raises(ZooError, match="density=autoregressive: for discrete codes"):
        models["pca"].sample(2, density="autoregressive")


@pytest.mark.parametrize("variant", ["pca", "vae"])
def test_a_score_is_of_the_sample_alone(models, variant):
    scores = models[variant].score_samples(WINE.data[:6])
    assert scores.shape == (6,)
    np.testing.assert_allclose(models[variant].score_samples(WINE.data[[4]]), scores[[4]], rtol=1e-4)
    far = models[variant].score_samples(WINE.data[:6] * [3, *[1] * 12])
    assert (far < scores).all()


def test_counts_are_described_by_a_multinomial():
    counts = np.random.default_rng(0).poisson([[1, 2, 8, 1, 4]] * 300)
    model = fit("vae", counts, kind="counts", width=2, epochs=30, settings={"likelihood": "multinomial"}, **QUIET)
    decoded = model.decode(model.encode(counts))
    np.testing.assert_allclose(
        decoded.sum(1), model.data.train.stored(slice(None)).sum() / len(model.data.train), rtol=1e-5
    )
    np.testing.assert_allclose(decoded.mean(0), counts.mean(0), rtol=0.15)
    assert (model.sample(5) >= 0).all()


@pytest.mark.parametrize(
    ("variant", "named", "told"),
    [
        ("ave", {}, r"variant=ave: no such variant; did you mean aae, mae, vae\?"),
        ("vae", {"width": 0}, "width=0: a code needs a whole number"),
        ("pca", {"width": 20}, "width=20: .* at most 13 principal components; choose a smaller width"),
        ("vae", {"epochs": 0}, "epochs=0: must be a whole number"),
        ("vae", {"epochs": 2.5}, r"epochs=2\.5"),
        ("vae", {"settings": {"widht": 3}}, r"widht=3: no such setting; did you mean width\?"),
        (
            "vae",
            {"kind": "counts"},
            "likelihood=optimal_gaussian .* these samples are counts; choose likelihood=multinomial",
        ),
        ("bernoulli_vae", {}, "likelihood=bernoulli is for images, .* are vectors; choose likelihood=gaussian"),
        ("inpainting_ae", {}, "corruption=block_mask is for images, .* are vectors; choose corruption=clean"),
        ("conv_ae", {}, "rows of 13 numbers are no images, .*; choose a dense one .* image_shape="),
        ("vae", {"seed": -1}, "seed=-1"),
        ("vae", {"trust": ["nopackage"]}, "trust=nopackage: no package"),
        ("vae", {"validation_fraction": 1.5}, r"validation_fraction=1\.5: must be between 0 and 1"),
    ],
)
def test_mistakes_are_one_sentence(variant, named, told):
    with pytest.raises(ZooError, match=told) as caught:
        fit(variant, WINE.data, **QUIET, **named)
    assert "\n" not in str(caught.value)


def test_columns_of_a_table_are_found_by_name():
    table = load_wine(as_frame=True).data
    model = fit("pca", table, width=3, **QUIET)
    expected = model.encode(table)
    assert np.array_equal(model.encode(table[table.columns[::-1]].assign(more="text")), expected)
    assert np.array_equal(model.encode(table.to_numpy()), expected)
    with pytest.raises(ZooError, match=r"^no column hue, which is a feature of this model$"):
        model.encode(table.drop(columns="hue"))


def test_codes_that_are_not_finite_are_refused(models):
    with pytest.raises(ZooError, match=r"^the codes hold values that are not finite"):
        models["pca"].decode(np.full((1, 3), np.nan))


def test_samples_of_another_shape_are_refused(models):
    for use in (models["vae"].encode, models["vae"].reconstruct, models["vae"].score_samples):
        with pytest.raises(ZooError, match=r"samples of shape \(178, 12\): this model takes \(N, 13\)"):
            use(WINE.data[:, :12])
    with pytest.raises(ZooError, match=r"codes of shape \(2, 4\): this model decodes \(N, 3\)"):
        models["vae"].decode(np.zeros((2, 4)))
    with pytest.raises(ZooError, match="no samples: give at least one"):
        models["vae"].encode(np.zeros((0, 13)))


def test_evaluate_measures_on_what_is_given(models):
    names = np.array(WINE.target_names)[WINE.target]
    found = evaluate(models["pca"], WINE.data, names)
    assert found["linear_probe_accuracy"]["value"] > 0.8
    assert found["mse"]["n"] == 89, "half of the samples taught the probe"
    assert "psnr" in found
    assert found["psnr"]["reason"] == "it has no meaning for samples of kind vector"
    whole = evaluate(models["pca"], WINE.data, names, train=(WINE.data, names), groups=["reconstruction"])
    scaled = (models["pca"].reconstruct(WINE.data) - WINE.data) / np.array(models["pca"].form.scale)
    assert whole["mse"]["n"] == 178
    assert whole["mse"]["value"] == pytest.approx((scaled**2).mean(), rel=1e-4)
    assert set(whole) == {"sse", "mse", "mae", "psnr", "ssim", "ms_ssim", "explained_variance"}
    with pytest.raises(ZooError, match="no such group"):
        evaluate(models["pca"], WINE.data, groups=["nope"])
    with pytest.raises(ZooError, match=r"labels of shape \(3,\) for 178 samples"):
        evaluate(models["pca"], WINE.data, [1, 2, 3])


def test_the_face_is_what_it_promises():
    assert set(zoo.__all__) >= {"Model", "ZooError", "evaluate", "fit", "load", "save", "variants"}


NOTEBOOK = Path(__file__).parents[1] / "examples" / "quickstart.ipynb"


def test_completion_and_repr_say_what_is_there(models):
    assert dir(zoo) == sorted(zoo.__all__)
    assert (
        repr(models["vae"])
        == "<zoo.Model network=deep, bottleneck=gaussian_posterior, width=3, of vector samples (N, 13)>"
    )


@pytest.mark.slow
def test_the_notebook_runs(tmp_path, monkeypatch):
    """Its code cells, one after the other, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 6
    (tmp_path / "notebook.py").write_text("\n".join(code))
    runpy.run_path(str(tmp_path / "notebook.py"))
