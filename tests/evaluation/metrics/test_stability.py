import statistics

import numpy as np
import pytest
import torch
from torch import nn

from tests.evaluation.conftest import autoencoder, linear_model
from zoo.evaluation.evaluator import due, evaluate, in_groups
from zoo.evaluation.measures import code_similarity
from zoo.evaluation.measures.code_similarity import centred, linear_cka, matched_correlation
from zoo.evaluation.registry import NotApplicable
from zoo.model.io import build_model, save_model
from zoo.samples import Form

GROUP = in_groups(["stability"])


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def rotation(d, seed=0):
    return torch.linalg.qr(normal(d, d, seed)).Q


def cka(x, y):
    return linear_cka(centred(x), centred(y))


def matched(x, y):
    return matched_correlation(centred(x), centred(y))


@pytest.fixture
def code():
    return normal(500, 6) * torch.tensor([3.0, 2.0, 1.0, 1.0, 0.5, 0.1])


def test_a_rotated_scaled_and_shifted_code_has_the_same_geometry(code):
    assert cka(code, code) == pytest.approx(1, abs=1e-12)
    assert cka(code, 7 * code @ rotation(6) - 3) == pytest.approx(1, abs=1e-6)
    assert cka(code, torch.cat([code, torch.full((500, 2), 5.0)], 1)) == pytest.approx(1, abs=1e-9)
    assert cka(code, code * torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 100.0])) < 0.5, "one scale for all units alone"


def test_cka_is_the_ratio_of_unbiased_estimates_of_independence(code):
    """By the kernel matrices of L. Song et al. 2012, as they are written there."""

    def independence(x, y):
        p, q = (each @ each.T * (1 - np.eye(n)) for each in (x.double().numpy(), y.double().numpy()))
        ones = np.ones(n)
        linked = np.trace(p @ q) + (ones @ p @ ones) * (ones @ q @ ones) / ((n - 1) * (n - 2))
        return (linked - 2 / (n - 2) * (ones @ p @ q @ ones)) / (n * (n - 3))

    x, y = code[:40], code[:40, :4] + normal(40, 4, seed=1)
    n = len(x)
    expected = independence(x, y) / np.sqrt(independence(x, x) * independence(y, y))
    assert cka(x, y) == pytest.approx(expected, rel=1e-5)
    assert 0.1 < expected < 0.95


def test_independent_codes_are_not_alike():
    """50 samples of 100 units: the debiased estimate is 0 on average, where the biased one is far above it."""
    pairs = [(normal(50, 100, seed), normal(50, 100, seed + 100)) for seed in range(40)]
    found = [cka(*pair) for pair in pairs]
    assert statistics.mean(found) == pytest.approx(0, abs=0.02)
    x, y = (centred(each) for each in pairs[0])
    assert (x.T @ y).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm()) > 0.5
    assert matched(normal(20_000, 5), normal(20_000, 5, seed=1)) < 0.02


def test_units_in_another_order_with_other_signs_and_scales_are_matched(code):
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    assert matched(code, -code[:, order] * torch.arange(1, 7)) == pytest.approx(1, abs=1e-6)
    assert matched(code, code @ rotation(6)) < 0.9
    assert cka(code, code @ rotation(6)) == pytest.approx(1, abs=1e-6)


def test_the_matching_is_the_best_of_all():
    """x_1 is closest to both units of y; the best pair of pairs leaves it to the second."""
    a, b, c = normal(50_000, 3).T
    x = torch.stack([a, a + b], 1)
    y = torch.stack([a + 0.3 * c, b], 1)
    pairs = [[abs(np.corrcoef(u, v)[0, 1]) for v in y.T.numpy()] for u in x.T.numpy()]
    best = max(pairs[0][0] + pairs[1][1], pairs[0][1] + pairs[1][0]) / 2
    assert matched(x, y) == pytest.approx(best, rel=1e-5)


def test_units_that_never_vary_are_left_out_and_unmatched_ones_count_as_zero(code):
    dead = torch.cat([code, torch.full((500, 3), 0.3)], 1)
    assert matched(code, dead) == pytest.approx(1, abs=1e-6)
    more = torch.cat([code, normal(500, 2, seed=1)], 1)
    assert matched(code, more) == pytest.approx(6 / 8, abs=1e-6)
    assert matched(more, code) == pytest.approx(6 / 8, abs=1e-6)


def test_of_wide_codes_the_units_of_largest_variance_are_compared(code, monkeypatch):
    monkeypatch.setattr(code_similarity, "UNITS", 3)
    assert torch.equal(centred(code[:, [5, 0, 4, 1, 2]]), centred(code[:, [0, 1, 2]]))


def test_codes_that_cannot_be_compared():
    with pytest.raises(NotApplicable, match="no unit of the code varies"):
        centred(torch.ones(50, 4))
    with pytest.raises(NotApplicable, match="there are 3 samples, and the similarity of codes needs 4"):
        centred(normal(3, 4))


CONFIG = {
    "network": {"option": "deep", "hidden": [8], "activation": "gelu"},
    "bottleneck": {"option": "identity", "width": 4},
    "likelihood": {"option": "gaussian", "std": 0.2},
    "corruption": {"option": "clean"},
}


@pytest.fixture
def saved(tmp_path):
    """Untrained models of several seeds, and their files."""
    form = Form("image", (8, 8), "none", scale=(16.0,))
    models = {seed: build_model(CONFIG, (1, 8, 8), seed).eval() for seed in range(3)}
    files = {seed: tmp_path / f"abc-s{seed}.safetensors" for seed in models}
    for seed, model in models.items():
        save_model(files[seed], model, CONFIG, form, seed)
    return models, files


def test_a_model_is_compared_with_those_of_other_seeds(saved, digits):
    models, files = saved
    found = evaluate(models[0], digits, GROUP, {}, siblings={1: files[1], 2: files[2]})
    codes = {seed: model.encode(digits.test[:]).detach() for seed, model in models.items()}
    for name, measure, column in (
        ("cka_across_seeds", cka, "cka"),
        ("matched_units_across_seeds", matched, "correlation"),
    ):
        expected = [measure(codes[0], codes[seed]) for seed in (1, 2)]
        assert found[name]["curve"]["seed"] == ["1", "2"]
        assert found[name]["curve"][column] == pytest.approx(expected, rel=1e-6)
        assert found[name]["value"] == pytest.approx(statistics.mean(expected), rel=1e-6)
        assert 0 < found[name]["value"] < 1
        assert found[name]["n"] == len(digits.test)
        assert set(found[name]["settings"]["seeds"]) == {"1", "2"}
    rotated = found["matched_units_across_seeds"]["curve"]["rotated"]
    assert rotated[0] == rotated[1]
    assert 0.3 < rotated[0] < 0.95
    same = evaluate(models[0], digits, GROUP, {}, siblings={9: files[0]})
    assert [entry["value"] for entry in same.values()] == pytest.approx([1, 1], abs=1e-6)


def test_a_model_without_siblings(saved, digits, pca):
    entries = evaluate(pca, digits, GROUP, {})
    for entry in entries.values():
        assert entry["value"] is None
        assert entry["reason"].startswith("there is no saved model of another seed: fit it with other seeds too")
        assert "settings" not in entry
    assert due(entries, ["stability"]) == []
    assert due(entries, ["stability"], siblings={1: saved[1][1]}) == GROUP, "now there is one"


def test_a_value_rests_on_the_models_that_were_there(saved, digits):
    models, files = saved
    entries = evaluate(models[0], digits, [*GROUP, "code_width"], {}, siblings={1: files[1]})
    asked = ["stability", "cost"]
    others = [name for name in in_groups(["cost"]) if name != "code_width"]
    assert due(entries, asked, siblings={1: files[1]}) == others
    assert due(entries, asked) == others, "a model that is gone leaves what was measured"
    assert due(entries, asked, siblings={1: files[1], 2: files[2]}) == GROUP + others
    files[1].write_bytes(files[2].read_bytes())
    assert due(entries, asked, siblings={1: files[1]}) == GROUP + others, "it was fitted again, and is another"


def test_codes_that_are_the_same_for_each_seed_but_for_what_a_decoder_undoes(digits):
    """A closed form finds the axes of the data; another order of them, or signs, are the same units."""
    from sklearn.decomposition import PCA

    fitted = PCA(5).fit(digits.train[:].flatten(1).numpy())
    axes, mean = torch.from_numpy(fitted.components_), torch.from_numpy(fitted.mean_)
    first, second = (linear_model(each, mean) for each in (axes, -axes.flip(0)))
    a, b = (model.encode(digits.test[:]).detach() for model in (first, second))
    assert cka(a, b) == pytest.approx(1, abs=1e-6)
    assert matched(a, b) == pytest.approx(1, abs=1e-5)
    wide = autoencoder(nn.Flatten(), nn.Unflatten(1, (1, 8, 8)), 64).encode(digits.test[:])
    assert centred(wide).shape[1] < 64, "border pixels never vary"
