"""Advice: planted structure is found, time is kept, and nothing is claimed that the samples do not show."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager

import numpy as np
import pytest

import zoo
from zoo.advice import candidates, halving
from zoo.advice.candidates import PcaCurve, held_out
from zoo.advice.markdown import as_text
from zoo.advice.scores import Judge, among, code_lengths_of, outliers, placements
from zoo.advice.verdict import concluded
from zoo.api import fit
from zoo.cli import main
from zoo.errors import ZooError
from zoo.evaluation.measures.rate_distortion import code_lengths
from zoo.samples import form_of

QUIET = {"progress": False}


def planted(n=300, seed=0):
    """Gaussian samples of rank 3 in 12 dimensions, and a little noise."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(12, 12))).Q[:3]
    return rng.normal(size=(n, 3)) * [3, 2.5, 2] @ axes + 0.1 * rng.normal(size=(n, 12))


@contextmanager
def limited(epochs, *methods, widths=None):
    """Within, a few methods, epochs and widths are tried, so that time does not decide."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(halving, "MOST_EPOCHS", epochs)
        patch.setattr(candidates, "METHODS", dict.fromkeys(("image", "vector", "counts"), methods))
        patch.setattr(candidates, "CLOSED", dict.fromkeys(("image", "vector", "counts"), ("pca",)))
        if widths:
            patch.setattr(halving, "widths", lambda held, curve: widths)
        yield


@pytest.fixture(scope="module")
def linear():
    with limited(4, "deep_ae"):
        return zoo.advise(planted(), minutes=20, **QUIET)


@pytest.fixture(scope="module")
def curved():
    """A closed curve in 20 dimensions: a circle and its harmonics."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 600)
    waves = np.stack([f(k * angle) for k in (1, 2, 3) for f in (np.cos, np.sin)], 1)
    with limited(45, "deep_ae"):
        return zoo.advise(waves @ rng.normal(size=(6, 20)) + 0.05 * rng.normal(size=(600, 20)), minutes=20, **QUIET)


def test_planted_linear_structure_is_left_to_pca(linear):
    answer = linear.answers["reconstruction"]
    assert (answer.variant, answer.width) == ("pca", 3)
    assert linear.curve.knee == 3
    assert "not distinguishable from" in answer.sure or "better than" in answer.sure
    assert "probing" not in linear.answers, "there are no labels"
    for answer in linear.answers.values():
        assert answer.variant in ("pca", "ppca", "factor_analysis") or answer.clear


@pytest.mark.slow
def test_a_curve_is_left_to_a_network(curved):
    answer = curved.answers["reconstruction"]
    assert answer.variant not in ("pca", "ppca", "factor_analysis")
    assert answer.width <= 3 < curved.curve.knee
    assert answer.clear
    assert "better than pca" in answer.sure
    same = next(row for row in curved.table if (row["variant"], row["width"]) == ("pca", answer.width))
    assert answer.value < 0.7 * same["error"]
    codes = answer.model.encode(curved.held.validation)
    assert codes.shape == (120, answer.width), "the model can be used"


def test_text_page_and_files(linear, tmp_path):
    text = str(linear)
    assert max(map(len, text.splitlines())) <= 80
    assert "Reconstruction: pca, width 3" in text
    paths = linear.save(tmp_path)
    assert [path.name for path in paths] == ["README.md", "advice.json", "error_against_width.png"]
    content = json.loads(paths[1].read_text())
    assert content["answers"]["reconstruction"]["variant"] == "pca"
    assert len(content["trials"]) == len(linear.table) == len(linear.trials)
    page = paths[0].read_text()
    for answer in linear.answers.values():
        assert answer.command in page
        assert answer.python in page
    assert "nan" not in page


@pytest.mark.slow
def test_advised_python_and_command_work(curved):
    answer = curved.answers["reconstruction"]
    scope = {"zoo": zoo, "x": curved.held.train[:60]}
    exec(answer.python.replace("epochs=", "progress=False, epochs=1 or "), scope)
    assert scope["back"].shape == (60, 20)
    from zoo.runs.compose import composed, composing

    with composing(answer.command.split()[2:]) as given:
        assert composed("config", given).width == answer.width


@pytest.mark.parametrize("minutes", [0.01, 0.05])
def test_time_is_kept(minutes):
    start = time.perf_counter()
    advice = zoo.advise(planted(2_000), minutes=minutes, **QUIET)
    assert time.perf_counter() - start < 66 * minutes + 5
    assert advice.answers["reconstruction"].variant == "pca"


def test_images_with_labels(tmp_path):
    """Two classes of colour pictures, channels last."""
    rng = np.random.default_rng(0)
    y = np.repeat(["left", "right"], 60)
    x = rng.normal(0, 0.1, (120, 8, 8, 3)) + rng.uniform(0.5, 1, (120, 1, 1, 1))
    x[:60, :, :4] += 1
    x[60:, :, 4:] += 1
    with limited(9, "conv_vae", "topk", "vq_vae", widths=[4]):
        advice = zoo.advise(x, y, minutes=20, **QUIET)
    assert {"conv_vae", "topk", "vq_vae"} < {row["variant"] for row in advice.table}
    assert advice.answers["probing"].value == 1
    assert "pictures.png" in [path.name for path in advice.save(tmp_path)]
    assert (tmp_path / "pictures.png").stat().st_size > 1000


def test_counts():
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(15, 0.3), 3)
    x = np.array([rng.multinomial(80, p) for p in rng.dirichlet([0.3] * 3, 200) @ topics])
    with limited(9, "vae", "deep_ae", widths=[2]):
        advice = zoo.advise(x, kind="counts", minutes=20, **QUIET)
    assert {"pca", "vae", "deep_ae"} == {row["variant"] for row in advice.table}
    assert "data.source.counts=" in advice.answers["reconstruction"].command


def test_few_samples_are_told():
    advice = zoo.advise(planted(40), minutes=0.1, **QUIET)
    assert {row["variant"] for row in advice.table} == {"pca"}
    assert "40 samples, fewer than 50, are too few to compare methods" in " ".join(str(advice).split())


def test_the_seed_determines_advice_where_time_does_not():
    with limited(9, "vae", widths=[2]):
        one, two = (zoo.advise(planted(60), minutes=20, **QUIET) for _ in range(2))
    measured = ("fit_seconds", "encode_ms_per_1000")
    first, second = ([{k: v for k, v in row.items() if k not in measured} for row in a.table] for a in (one, two))
    assert first == second


def test_interruption_gives_advice_from_what_is_done(monkeypatch, capsys):
    calls = []

    def interrupting(candidate, *rest):
        calls.append(candidate.name)
        if not candidate.closed:
            raise KeyboardInterrupt
        return fitted(candidate, *rest)

    fitted = halving.fitted
    monkeypatch.setattr(halving, "fitted", interrupting)
    advice = zoo.advise(planted(80), minutes=1)
    assert advice.answers["reconstruction"].variant == "pca"
    assert "interrupted" in str(advice)
    assert "interrupted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("x", "named", "told"),
    [
        (planted(9), {}, "9 samples: advice needs at least 10"),
        (planted(60), {"minutes": 0}, "minutes=0: must be a number greater than 0"),
        (planted(60), {"minutes": float("nan")}, "minutes=nan"),
        (planted(60), {"y": np.zeros(3)}, r"labels of shape \(3,\) for 60 samples"),
        (planted(60), {"y": np.arange(60)}, "60 different labels of 60 samples"),
        (np.where(np.arange(720).reshape(60, 12) == 7, np.nan, 1.0), {}, "not finite"),
        (planted(60)[:, 0], {}, "an array of shape"),
        (planted(60) - 9, {"kind": "counts"}, "negative"),
    ],
)
def test_mistakes_are_one_sentence(x, named, told):
    with pytest.raises(ZooError, match=told) as caught:
        zoo.advise(x, **{"minutes": 0.02, **QUIET, **named})
    assert "\n" not in str(caught.value)


def test_command(tmp_path, monkeypatch, capsys):
    path = tmp_path / "rows.npy"
    np.save(path, planted(120))
    monkeypatch.setenv("ZOO_HOME", str(tmp_path))
    with pytest.raises(SystemExit) as left:
        main(["advise", "data=table", f"data.source.path={path}", "minutes=0.02"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "Reconstruction: pca, width 3" in out
    (page,) = tmp_path.glob("outputs/table-*/advice/README.md")
    assert str(page) in out
    assert f"data=table data.source.path={path} width=3" in page.read_text()
    for wrong, told in (
        ("variant=vae", "chooses methods"),
        ("minutes=soon", "minutes=soon"),
        ("data=digitz", "digits"),
    ):
        with pytest.raises(SystemExit) as left:
            main(["advise", wrong])
        assert left.value.code == 2
        assert told in capsys.readouterr().err


def test_a_fifth_of_each_class_is_held_out():
    labels = np.repeat([0, 1, 2], [100, 40, 10])
    held = held_out(planted(150), labels, None, 0)
    assert np.bincount(held.validation_labels).tolist() == [20, 8, 2]
    assert len(held.train) + len(held.validation) == 150
    both = np.concatenate([held.train, held.validation])
    assert len(np.unique(both, axis=0)) == 150


def test_pca_of_fewer_components_is_pca():
    x = planted()
    narrow, wide = (fit("pca", x, width=w, **QUIET) for w in (2, 7))
    ours = candidates.cut(wide, 2)
    np.testing.assert_allclose(ours.reconstruct(x), narrow.reconstruct(x), atol=1e-4)
    assert ours.config == narrow.config


def test_the_knee():
    curve = PcaCurve(None, [0, 1, 2, 3, 4, 5, 6], [10, 6, 3, 0.4, 0.3, 0.2, 0.1])
    assert curve.knee == 3
    assert curve.bent
    assert not PcaCurve(None, [0, 1, 2, 3], [3, 2, 1, 0]).bent


def test_scores_of_single_samples():
    rng = np.random.default_rng(0)
    train, codes = rng.integers(-3, 4, (200, 2)), rng.integers(-4, 5, (50, 2))
    import torch

    expected, _ = code_lengths(torch.from_numpy(train), torch.from_numpy(codes))
    assert code_lengths_of(train, codes).mean() == pytest.approx(float(expected.sum()))
    from sklearn.metrics import roc_auc_score

    usual, unusual = rng.normal(1, 1, 40), rng.normal(0, 1, 40)
    area = roc_auc_score(np.repeat([1, 0], 40), np.concatenate([usual, unusual]))
    assert placements(usual, unusual).mean() == pytest.approx(area)
    line = torch.arange(10.0)[:, None]
    assert among(torch.tensor([[4.2], [30.0]]), line).tolist() == [1, 0]


@pytest.mark.parametrize("shape", [(6, 4, 4), (6, 3, 6, 6), (6, 6, 6, 3)])
def test_outliers_of_images_are_made_of_quarters(shape):
    x = np.broadcast_to(np.arange(6.0).reshape(6, *[1] * (len(shape) - 1)), shape).copy()
    found = outliers(x, form_of(x), 0)
    assert [len(np.unique(image)) for image in found] == [4] * 6
    assert np.unique(found, return_counts=True)[1].tolist() == [x[0].size] * 6


def test_text_is_the_same_as_str(linear):
    assert as_text(linear) == str(linear)


def test_what_networks_cut_short_might_win_is_left_open(linear):
    judge = Judge(linear.held, 0)
    told = {"left_out": [], "seconds": 1.0, "minutes": 1.0, "interrupted": False, "data": "x", "fitted_on": 240}
    longest = max(trial.epochs for trial in linear.trials)
    whole, cut = (concluded(linear.held, judge, linear.trials, full=full, **told) for full in (longest, 90))
    assert whole.answers["reconstruction"].clear
    answer = cut.answers["reconstruction"]
    assert (answer.variant, answer.clear) == ("pca", False)
    assert answer.short == "open: networks were cut short by the time"
    assert f"; networks had {longest} of the 90 epochs of a full fit, and may overtake" in answer.sure
    assert any(said.startswith("What is best for") and "reconstruction" in said for said in cut.summary)
    assert not any("is open" in said for said in whole.summary)
