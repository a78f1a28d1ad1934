"""The scikit-learn face: the library's own checks, pipelines, searches, pandas, and what PCA is known to be."""

from __future__ import annotations

import doctest
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import zoo.estimators
from zoo.api import fit, load, save
from zoo.errors import ZooError
from zoo.estimators import Bottleneck, OutlierDetector

DIGITS = load_digits().data[:300]
WINE = load_wine().data
SMALL = {"hidden": [8]}
SHORT = {"epochs": 1, "settings": SMALL}
CHECKED = [
    Bottleneck("pca", 1),
    Bottleneck("linear_ae", 1, epochs=1),
    Bottleneck("deep_ae", 2, **SHORT),
    Bottleneck("vae", 2, **SHORT),
    Bottleneck("topk", 1, epochs=1, settings={"bottleneck.units": 8}),
    OutlierDetector("pca", 1),
    OutlierDetector("vae", 2, **SHORT),
]


@parametrize_with_checks(CHECKED)
@pytest.mark.filterwarnings("ignore")  # the checks give what is warned of
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


def test_the_examples_run():
    found = doctest.testmod(zoo.estimators)
    assert found.attempted > 5
    assert found.failed == 0


@pytest.mark.parametrize("variant", ["pca", "streaming_pca"])
@pytest.mark.parametrize("standardise", [True, False])
def test_pca_is_that_of_scikit_learn(variant, standardise):
    x = WINE if standardise else WINE / WINE.std(0)
    known = make_pipeline(*([StandardScaler()] if standardise else []), PCA(5)).fit(x)
    found = Bottleneck(variant, 5, standardise=standardise).fit(x)
    expected, codes = known.transform(x), found.transform(x)
    sign = np.sign((expected * codes).sum(0))
    np.testing.assert_allclose(codes * sign, expected, atol=1e-5)
    rebuilt = known.inverse_transform(expected)
    np.testing.assert_allclose(found.inverse_transform(codes) / WINE.std(0), rebuilt / WINE.std(0), atol=1e-5)
    assert found.score(x) == pytest.approx(known[-1].explained_variance_ratio_.sum(), abs=1e-5)


def test_a_fraction_that_is_kept_back_is_not_fitted():
    whole, part = (Bottleneck("pca", 2, validation_fraction=f).fit(WINE) for f in (None, 0.5))
    assert np.allclose(whole.model_.form.shift, WINE.mean(0))
    assert not np.allclose(part.model_.form.shift, WINE.mean(0))


def test_closed_forms_keep_no_samples_back_and_other_fits_a_tenth():
    closed, other = (fit(v, WINE, epochs=1, validation_fraction=None, progress=False).data for v in ("ppca", "deep_ae"))
    assert len(closed.train) == 178
    with pytest.raises(ZooError, match="there are no validation images"):
        closed.validation  # noqa: B018
    assert (len(other.train), len(other.validation)) == (160, 18)


def test_a_fit_does_not_see_what_became_of_the_one_before():
    first = Bottleneck("pca", 2).fit(WINE)
    first.model_.config["network"].clear()
    assert Bottleneck("pca", 2).fit(WINE).model_.config["network"]


@pytest.mark.filterwarnings("ignore:an array of shape .* is read as")
@pytest.mark.parametrize(("shape", "variant"), [((8, 8), "conv_ae"), ((1, 8, 8), "pca"), ((4, 4, 4), "conv_vae")])
def test_flattened_images(shape, variant):
    found = Bottleneck(variant, 4, epochs=1, image_shape=shape).fit(DIGITS)
    assert found.model_.form.shape == shape
    codes = found.transform(DIGITS)
    assert found.inverse_transform(codes).shape == DIGITS.shape
    np.testing.assert_allclose(codes, found.model_.encode(DIGITS.reshape(-1, *shape)), atol=1e-4)
    assert found.sample(3, random_state=0).shape == (3, 64)


@pytest.mark.parametrize("variant", ["pca", "vae", "topk", "vq_vae", "hierarchical_vae"])
def test_a_pickled_estimator_is_the_same(variant):
    found = Bottleneck(variant, 3, **SHORT).fit(WINE)
    again = pickle.loads(pickle.dumps(found))
    for use in ("transform", "score_samples", "score"):
        assert np.array_equal(getattr(again, use)(WINE[:20]), getattr(found, use)(WINE[:20]))
    assert np.array_equal(again.sample(5, random_state=1), found.sample(5, random_state=1))
    assert again.model_.report == found.model_.report
    assert found.model_.data is None, "samples do not travel"


def test_the_model_can_be_saved(tmp_path):
    found = Bottleneck("vae", 3, **SHORT).fit(WINE)
    loaded = load(save(found.model_, tmp_path / "vae.safetensors"))
    assert np.array_equal(loaded.encode(WINE), found.model_.encode(WINE))


def test_the_random_state_determines_a_fit():
    fits = [Bottleneck("vae", 2, **SHORT, random_state=state).fit_transform(WINE) for state in (0, 0, 1, np.int64(1))]
    assert np.array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[1], fits[2])
    assert np.array_equal(fits[2], fits[3])
    free = Bottleneck("vae", 2, **SHORT, random_state=None)
    assert not np.array_equal(free.fit_transform(WINE), free.fit_transform(WINE))
    before = torch.random.get_rng_state()
    found = free.fit(WINE)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not np.array_equal(found.sample(2), found.sample(2))


def test_a_fit_prints_nothing(capsys):
    Bottleneck("vae", 2, **SHORT).fit(WINE)
    assert capsys.readouterr().out == ""


def test_grid_search_over_variants_and_widths():
    grid = {"bottleneck__variant": ["pca", "deep_ae"], "bottleneck__n_components": [1, 4]}
    target = load_wine().target
    steps = make_pipeline(Bottleneck(**SHORT), LogisticRegression())
    search = GridSearchCV(steps, grid, cv=2, error_score="raise").fit(WINE, target)
    assert search.best_params_ == {"bottleneck__variant": "pca", "bottleneck__n_components": 4}
    assert search.score(WINE, target) > 0.9
    alone = GridSearchCV(Bottleneck(**SHORT), {"variant": ["linear_ae", "pca"], "n_components": [2, 3]}, cv=2)
    assert alone.fit(WINE).best_params_ == {"variant": "pca", "n_components": 3}


def test_pandas_in_and_out():
    frame = load_wine(as_frame=True).data
    found = Bottleneck("pca", 2).set_output(transform="pandas").fit(frame)
    codes = found.transform(frame)
    assert isinstance(codes, pd.DataFrame)
    assert list(codes.columns) == ["bottleneck0", "bottleneck1"] == list(found.get_feature_names_out())
    assert list(found.feature_names_in_) == list(frame.columns)
    assert found.n_features_in_ == 13
    assert codes.index.equals(frame.index)
    with pytest.raises(ValueError, match="feature names"):
        found.transform(frame[frame.columns[::-1]])


def test_columns_of_a_table():
    frame = load_wine(as_frame=True).data
    columns = ["alcohol", "malic_acid", "ash"]
    chosen = ColumnTransformer([("code", Bottleneck("pca", 2), columns)], remainder="passthrough")
    codes = chosen.set_output(transform="pandas").fit_transform(frame)
    assert list(codes.columns)[:3] == ["code__bottleneck0", "code__bottleneck1", "remainder__alcalinity_of_ash"]
    assert codes.shape == (178, 12)


def test_the_type_of_codes_is_that_of_samples():
    found = Bottleneck("deep_ae", 2, **SHORT).fit(WINE)
    assert found.transform(WINE.astype(np.float32)).dtype == np.float32
    assert found.transform(WINE).dtype == found.transform(WINE.astype(int)).dtype == np.float64
    assert found._n_features_out == 2


def test_counts_are_said_to_be_positive():
    counts = np.random.default_rng(0).poisson(3, (40, 5))
    settings = {"likelihood": "multinomial"} | SMALL
    found = Bottleneck("vae", 2, kind="counts", epochs=1, settings=settings).fit(counts)
    assert found.__sklearn_tags__().input_tags.positive_only
    assert not Bottleneck().__sklearn_tags__().input_tags.positive_only
    assert found.inverse_transform(found.transform(counts)).shape == counts.shape
    with pytest.raises(ValueError, match="negative values"):
        clone(found).fit(-counts)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"variant": "pca", "n_components": 20}, "n_components=20: .* at most 13 principal .* smaller n_components"),
        ({"variant": "ave"}, "variant=ave: no such variant; did you mean"),
        ({"n_components": 0}, "n_components=0: a code needs"),
        ({"epochs": 0}, "epochs=0: must be a whole number"),
        ({"random_state": -1}, "random_state=-1"),
        ({"validation_fraction": 0.0}, r"^validation_fraction=0\.0: must be between 0 and 1"),
        ({"settings": {"widht": 3}}, "widht=3: no such setting"),
        ({"image_shape": (8, 8)}, r"image_shape=\(8, 8\): 64 values per image, and X has 13"),
        ({"kind": "image", "image_shape": (1, 13), "standardise": False}, "standardise=False: for vectors"),
    ],
)
def test_mistakes_are_value_errors(named, told):
    with pytest.raises(ValueError, match=told):
        Bottleneck(**named).fit(WINE)


def test_components_of_few_samples():
    with pytest.raises(ValueError, match=r"n_components=6: 5 .* at most 5 principal"):
        Bottleneck("pca", 6).fit(WINE[:5])
    assert Bottleneck("pca", 5).fit_transform(WINE[:5]).shape == (5, 5)


def test_codes_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"codes of shape \(2, 4\): this model decodes \(N, 3\)"):
        Bottleneck("pca", 3).fit(WINE).inverse_transform(np.zeros((2, 4)))


@pytest.mark.parametrize("variant", ["pca", "vae"])
def test_outliers_are_badly_explained(variant):
    generator = np.random.default_rng(0)
    usual = generator.normal(size=(300, 2)) @ generator.normal(size=(2, 6)) + 0.1 * generator.normal(size=(300, 6))
    strange = generator.permuted(usual[:20], axis=1) + 4 * generator.choice([-1, 1], size=(20, 6))
    found = OutlierDetector(variant, 2, contamination=0.1, epochs=20, settings=SMALL).fit(usual)
    assert (found.predict(usual) == -1).mean() == pytest.approx(0.1, abs=0.01)
    assert (found.predict(strange) == -1).mean() > 0.9
    np.testing.assert_allclose(found.decision_function(usual), found.score_samples(usual) - found.offset_)
    automatic = clone(found).set_params(contamination="auto").fit(usual)
    low, high = np.percentile(automatic.score_samples(usual), [25, 75])
    assert automatic.offset_ == pytest.approx(low - 1.5 * (high - low))
    assert np.array_equal(automatic.fit_predict(usual), automatic.predict(usual))


@pytest.mark.parametrize("share", [0, 0.6, -0.1, "some", float("nan")])
def test_a_contamination_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match=f'contamination={share}: must be "auto" or in'):
        OutlierDetector("pca", 2, contamination=share).fit(WINE)


def test_scores_of_single_samples_are_those_of_many():
    for variant in ("deep_ae", "hierarchical_vae"):
        found = Bottleneck(variant, 2, epochs=1).fit(WINE)
        single = np.concatenate([found.score_samples(row[None]) for row in WINE[:4]])
        np.testing.assert_allclose(single, found.score_samples(WINE)[:4], rtol=1e-7)
