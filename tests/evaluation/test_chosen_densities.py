"""Densities by their option files: settings, and the metrics that rest on them."""

import json

import pytest
import torch

from tests.evaluation.conftest import SHORT, autoencoder
from zoo import options
from zoo.errors import ZooError
from zoo.evaluation.chosen_densities import ChosenDensities
from zoo.evaluation.evaluator import density_settings, due, evaluate, in_groups
from zoo.evaluation.measures import feature_network
from zoo.evaluation.registry import METRICS, NotApplicable
from zoo.evaluation.subject import Subject, sampled
from zoo.model.bottlenecks.lfq import LFQ

ALL = {"autoregressive", "flow", "flow_matching", "gaussian", "kernel", "mixture", "standard_normal", "two_stage_vae"}
OF_FAST = {"frechet", "kernel_mmd", "precision", "recall", "density", "coverage", "frechet_inception"}
OF_LEARNED = {f"learned_{name}" for name in OF_FAST - {"frechet_inception"}}
OF_DISCRETE = {"frechet_autoregressive", "code_bits_autoregressive"}
OF_OUTLIERS = set(in_groups(["outliers"]))  # whose curves have a row of the density of codes


def only(name, **settings):
    """All densities as their files have them, one with other settings."""
    return {each: {"option": each} for each in ALL} | {name: {"option": name, **settings}}


def with_settings(densities):
    chosen = ChosenDensities(densities)
    found = {name: density_settings(metric, chosen) for name, metric in METRICS.items()}
    return {name: settings for name, settings in found.items() if settings}


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    """Features of a network that is trained for a few steps are features; other tests do not get them."""
    monkeypatch.setattr(feature_network, "STEPS", 30)
    monkeypatch.setattr("zoo.evaluation.references._latest", {})


@pytest.fixture(scope="module")
def few(digits):
    """Few images, so that all properties of a subject take seconds."""
    part = digits.train.subset(torch.arange(150))
    return digits.__class__("few", part, part, part, digits.classes, left_out=part)


@pytest.fixture(scope="module")
def discrete():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 6))
        decoder = torch.nn.Sequential(torch.nn.Linear(6, 64), torch.nn.Unflatten(1, (1, 8, 8)))
    model = autoencoder(encoder, decoder, 6)
    model.bottleneck = LFQ(3, 2)
    return model.eval()


def test_none_are_all_as_their_files_have_them():
    assert ChosenDensities().nodes.keys() == ALL
    kinds = {kind: set(ChosenDensities().of_kind(kind)) for kind in ("fast", "learned", "discrete")}
    assert kinds == {
        "fast": {"standard_normal", "gaussian", "mixture", "kernel"},
        "learned": {"flow", "flow_matching", "two_stage_vae"},
        "discrete": {"autoregressive"},
    }
    assert with_settings(None) == {}


def test_values_of_the_files_written_out_are_no_settings():
    whole = {name: {"option": name, **options.template("density", name)} for name in ALL}
    for node in whole.values():
        del node["_target_"]
    assert whole["mixture"]["components"] == 10
    whole["kernel"]["bandwidths"] = tuple(whole["kernel"]["bandwidths"])
    assert with_settings(whole) == {}
    assert due({name: {"version": each.version} for name, each in METRICS.items()}, ["generation"], whole) == []


@pytest.mark.parametrize(
    ("name", "settings", "metrics"),
    [
        ("mixture", {"components": 3}, OF_FAST | OF_OUTLIERS),
        ("kernel", {"bandwidths": [0.1, 0.2]}, OF_FAST | OF_OUTLIERS),
        ("flow", {"layers": 2}, OF_LEARNED),
        ("two_stage_vae", {"samples": 5, "rate": 0.001}, OF_LEARNED),
        ("autoregressive", {"units": 8}, OF_DISCRETE),
    ],
)
def test_settings_stand_with_the_metrics_that_rest_on_them(name, settings, metrics):
    both = {"code_log_likelihood"} if metrics is not OF_DISCRETE else set()
    assert with_settings(only(name, **settings)) == {metric: {name: settings} for metric in metrics | both}


def test_a_density_left_out_and_one_with_a_name_of_its_own():
    nodes = {name: {"option": name} for name in ALL - {"kernel"}} | {"few": {"option": "mixture", "components": 2}}
    settings = {"few": {"components": 2, "option": "mixture"}, "kernel": None}
    assert with_settings(nodes) == dict.fromkeys(OF_FAST | OF_OUTLIERS | {"code_log_likelihood"}, settings)


def test_entries_hold_settings_and_values_follow_them(pca, few):
    metrics = ["frechet", "gap_feature_distance", "mse"]
    usual = evaluate(pca, few, metrics, {}, densities=SHORT)
    other = evaluate(pca, few, metrics, {}, densities=SHORT | {"mixture": {"option": "mixture", "components": 2}})
    assert [name for name, entry in usual.items() if "settings" in entry] == []
    assert other["frechet"].pop("settings") == {"mixture": {"components": 2}}
    assert other["frechet"]["value"] != usual["frechet"]["value"]
    ours, theirs = (dict(zip(*each["frechet"]["curve"].values(), strict=True)) for each in (usual, other))
    assert {name for name in ours if ours[name] != theirs[name]} == {"mixture"}
    assert [other[name] for name in metrics[1:]] == [usual[name] for name in metrics[1:]]


def test_what_was_measured_with_some_settings_is_due_with_others(pca, few):
    nodes = only("mixture", components=2)
    entries = json.loads(json.dumps(evaluate(pca, few, in_groups(["generation"]), {}, densities=nodes)))
    assert due(entries, ["generation"], nodes) == []
    back = due(entries, ["generation"])
    assert set(back) == OF_FAST - {"frechet_inception"}
    assert due(entries, ["generation"], only("mixture", components=3)) == back
    assert due(entries | evaluate(pca, few, back, {}), ["generation"]) == []


def test_metrics_without_the_density_of_their_value(pca, few):
    chosen = {"gaussian": {"option": "gaussian"}}
    entries = evaluate(pca, few, ["frechet", "learned_frechet", "code_log_likelihood"], {}, densities=chosen)
    for name, missing in (("frechet", "mixture"), ("learned_frechet", "flow"), ("code_log_likelihood", "flow")):
        assert entries[name]["value"] is None
        assert entries[name]["reason"] == f"the value is that of the density {missing}, which is not among those chosen"
    assert "gaussian" in entries["frechet"]["curve"]["samples"]
    assert entries["code_log_likelihood"]["curve"]["samples"] == ["gaussian"]


def test_a_discrete_code_without_its_density(discrete, few):
    chosen = {"gaussian": {"option": "gaussian"}}
    entry = evaluate(discrete, few, ["code_bits_autoregressive"], {}, densities=chosen)["code_bits_autoregressive"]
    assert entry["reason"] == "the density autoregressive is not among those chosen"


@pytest.mark.parametrize("kind", ["fast", "learned", "discrete"])
def test_what_rests_on_densities_is_declared(kind, discrete, few, monkeypatch):
    """Where the densities of a kind cannot be built, those properties fail that are declared to rest on them."""
    build = ChosenDensities.of_kind

    def refuse(self, asked):
        if asked == kind:
            raise RuntimeError("no density of this kind")
        return build(self, asked)

    monkeypatch.setattr(ChosenDensities, "of_kind", refuse)
    monkeypatch.setattr(sampled, "inception_network", lambda: None)
    monkeypatch.setattr(sampled, "inception_features", lambda network, images, device: images.flatten(1))
    subject = Subject(discrete, few, {}, chosen=ChosenDensities(SHORT), outside={"others": few.test})
    failed = set()
    with torch.no_grad():
        for name in {need for metric in METRICS.values() for need in metric.needs} | Subject.RESTS_ON.keys():
            try:
                getattr(subject, name)
            except NotApplicable:
                pass
            except RuntimeError:
                failed.add(name)
    assert failed == {name for name, kinds in Subject.RESTS_ON.items() if kind in kinds}


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"mixture": {"components": 3}}, r"density \{'components': 3\}: it names no option"),
        ({"mixtur": {"option": "mixtur"}}, r"density=mixtur: no such density; did you mean mixture\?"),
        (only("mixture", component=3), r"density=mixture has no setting component; did you mean components\?"),
        (only("flow", layers=0), r"density.flow.layers=0: must be greater than 0 and finite"),
    ],
)
def test_mistakes_are_found_before_anything_is_measured(nodes, message, small_model, digits):
    with pytest.raises(ZooError, match=message):
        due({name: {"version": METRICS[name].version} for name in METRICS}, ["generation", "learned_generation"], nodes)
    with pytest.raises(ZooError, match=message):
        evaluate(small_model, digits, ["sse", "frechet", "learned_frechet"], {}, densities=nodes)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package outside the zoo with a density."""
    folder = tmp_path / "elsewhere_densities"
    (folder / "conf" / "density").mkdir(parents=True)
    (folder / "conf" / "density" / "point.yaml").write_text(
        "# @package density.point\n_target_: elsewhere_densities.Point\nnoise: 0.1\n"
    )
    (folder / "__init__.py").write_text(
        "import torch\n"
        "class Point:\n"
        "    learned = False\n"
        "    def __init__(self, noise=0.1): self.noise = noise\n"
        "    def fit(self, z): self.z = z[:1]; return self\n"
        "    def sample(self, n, seed):\n"
        "        g = torch.Generator().manual_seed(seed)\n"
        "        return self.z + self.noise * torch.randn(n, self.z.shape[1], generator=g)\n"
        "    def log_prob(self, z): return torch.zeros(len(z)).double()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield folder.name
    options.folders.cache_clear()
    options.content.cache_clear()


def test_a_density_from_elsewhere(package, pca, few):
    nodes = only("point")
    with pytest.raises(ZooError, match=r"density=point: no such density.*trust=<package>"):
        due({}, ["generation"], nodes)
    entries = evaluate(pca, few, ["precision"], {}, densities=nodes, trust=(package,))
    assert "point" in entries["precision"]["curve"]["samples"]
    assert entries["precision"]["settings"] == {"point": {}}
    entries |= {name: {"version": METRICS[name].version, "settings": {"point": {}}} for name in OF_FAST}
    assert not OF_FAST & set(due(entries, ["generation"], nodes, (package,)))
    assert OF_FAST - {"frechet_inception"} <= set(due(entries, ["generation"]))
