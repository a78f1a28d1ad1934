"""Saved models: what a file holds, and that a file from a stranger runs no code."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import zoo
from zoo.errors import ZooError
from zoo.model.io import build_model, load_model, save_model
from zoo.samples import Form

SHAPE = (1, 8, 8)
FORM = Form("image", (8, 8), scale=(255.0,))
TRAP = "trap"


@pytest.fixture
def saved(compose_job, tmp_path):
    """A saved model of a variant, its configuration changed on the way by a function."""

    def save(variant, change=lambda config: config):
        job = compose_job(f"variant={variant}")
        model = build_model(job.config, SHAPE, seed=3)
        path = tmp_path / "model.safetensors"
        save_model(path, model, change(copy.deepcopy(job.config)), FORM, seed=3)
        return path, model

    return save


def test_a_file_holds_weights_and_options_as_plain_data(saved, compose_job):
    path, model = saved("vae")
    with safe_open(str(path), framework="pt") as file:
        about = file.metadata()
        assert set(file.keys()) == {"codes", *(f"model.{name}" for name in model.state_dict())}
    assert list(about) == ["zoo"], "one key, as several would be written in random order"
    assert json.loads(about["zoo"]) == {"config": compose_job("variant=vae").config, "form": FORM.as_json(), "seed": 3}
    assert "zoo." not in json.dumps(json.loads(about["zoo"])["config"]), "an import path is stored"


@pytest.mark.parametrize("variant", ["vae", "linear_ae_tied", "topk"])
def test_equal_models_give_equal_files(saved, variant):
    """Also where parts share weights, of which each is stored once, without a word about the others."""
    one = saved(variant)[0].read_bytes()
    assert all(saved(variant)[0].read_bytes() == one for _ in range(5))
    with safe_open(str(saved(variant)[0]), framework="pt") as file:
        assert list(file.metadata()) == ["zoo"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(saved, value):
    path, _ = saved("pca")
    tensors = load_file(path)
    with safe_open(str(path), framework="pt") as file:
        about = file.metadata()
    tensors["model.decoder.0.weight"][0, 0] = value
    save_file(tensors, path, about)
    with pytest.raises(ZooError, match=r"model\.decoder\.0\.weight holds numbers that are not finite"):
        load_model(path)


@pytest.mark.parametrize("path_of", [str, Path], ids=["str", "Path"])
def test_the_public_face_loads_it(saved, path_of):
    path, model = saved("vae")
    x = torch.rand(2, *SHAPE)
    with torch.no_grad():
        assert zoo.load(path_of(path)).encode(255 * x) == pytest.approx(model.encode(x).numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("variant", "one", "other"),
    [
        ("linear_ae_tied", lambda m: m.encoder[1].weight, lambda m: m.decoder[0].weight),
        ("topk", lambda m: m.encoder[1].origin, lambda m: m.decoder[0].bias),
    ],
    ids=["tied", "dictionary"],
)
def test_shared_weights_are_shared_again(saved, variant, one, other):
    path, model = saved(variant)
    with torch.no_grad():
        one(model).add_(1.0)
    loaded = load_model(path)
    assert one(loaded) is other(loaded)
    assert not torch.equal(one(loaded), one(model)), "the file held a view of the model"


def test_a_model_in_place_of_another(saved):
    path, _ = saved("vae")
    _, model = saved("pca")
    x = torch.rand(2, *SHAPE)
    assert torch.equal(load_model(path).encode(x), model.encode(x))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_no_such_model(tmp_path):
    with pytest.raises(ZooError, match=r"absent\.safetensors: no such model; fit it by `zoo run`"):
        load_model(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\0\0\0\0\0\0\0{}      "], ids=["empty", "text", "bare"])
def test_a_file_that_is_no_model(tmp_path, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(ZooError, match=r"other\.safetensors: not a model .*; fit it again"):
        load_model(path)


def test_weights_of_something_else(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"codes": torch.zeros(0, 8)}, str(path))
    with pytest.raises(ZooError, match="not a model"):
        load_model(path)


def test_a_truncated_model(saved):
    path, _ = saved("pca")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ZooError, match="not a model"):
        load_model(path)


def test_weights_that_do_not_fit_the_configuration(saved):
    def wider(config):
        config["bottleneck"]["width"] += 1
        return config

    path, _ = saved("pca", wider)
    with pytest.raises(ZooError, match="not a model that this version"):
        load_model(path)


# Files from strangers

# Each of these, as a string of a configuration or as a part of it, made OmegaConf and Hydra run code.
CALLS = [
    {"_target_": "os.mkdir", "_args_": [TRAP]},
    {"_target_": "os.makedirs", "name": TRAP},
    {"_target_": "zoo.files.os.mkdir", "path": TRAP},
    {"_target_": "pathlib.Path.mkdir", "_args_": [{"_target_": "pathlib.Path", "_args_": [TRAP]}]},
    {"_target_": "torch.save", "_args_": ["a pickle", TRAP]},
    {"_target_": "torch.load", "f": TRAP, "weights_only": False},
    {"_target_": "joblib.load", "filename": TRAP},
    {"_target_": "torch.hub.load", "repo_or_dir": TRAP, "model": "x", "source": "local"},
    {"_target_": "hydra.utils.get_class", "path": "os.system"},
    {"_target_": "torch.nn.functional.torch.save", "_args_": ["a pickle", TRAP]},
]


def written(value):
    """A mapping as it stands inside an interpolation."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


HOSTILE = [*CALLS, *(f"${{oc.create:{written(call)}}}" for call in CALLS), "${oc.env:HOME}", "${oc.decode:'${width}'}"]


def places(config):
    """Every place of a configuration, as a function that puts something there."""

    def walk(node, path):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield (*path, key)
            if isinstance(node[key], dict | list):
                yield from walk(node[key], (*path, key))

    def put(path):
        def change(config, value):
            node = config
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
            return config

        return change

    return {".".join(map(str, path)): put(path) for path in walk(config, ())}


def test_a_hostile_string_is_one(tmp_path, monkeypatch):
    """The way in which such a string ran code."""
    monkeypatch.chdir(tmp_path)
    for hostile in HOSTILE[:2] + HOSTILE[len(CALLS) : len(CALLS) + 2]:
        instantiate({"_target_": "builtins.dict", "x": hostile})
        assert Path(TRAP).is_dir()
        Path(TRAP).rmdir()


@pytest.mark.parametrize("variant", ["deep_ae", "gated"])
def test_no_place_of_a_file_runs_code(compose_job, variant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, config = tmp_path / "model.safetensors", compose_job(f"variant={variant}").config
    parts = {axis: config[axis] for axis in ("network", "bottleneck", "likelihood", "corruption")}
    for name, put in places(parts).items():
        for hostile in HOSTILE:
            about = {"config": put(copy.deepcopy(parts), hostile), "form": FORM.as_json(), "seed": 0}
            save_file({"codes": torch.zeros(0, 8)}, str(path), metadata={"zoo": json.dumps(about)})
            with pytest.raises(ZooError):
                load_model(path)
            assert [file.name for file in tmp_path.iterdir()] == [path.name], f"{hostile} at {name} ran"


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats(-1e3, 1e3)
    | st.sampled_from([*HOSTILE[10:], "gelu", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["option", "_target_", "width", "prior", "x", "${x}"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=st.dictionaries(st.sampled_from(["network", "bottleneck", "likelihood", "corruption"]), plain))
def test_whatever_a_file_says_is_a_model_or_one_sentence(tmp_path, config):
    path = tmp_path / "model.safetensors"
    about = {"config": config, "form": FORM.as_json(), "seed": 0}
    save_file({"codes": torch.zeros(0, 8)}, str(path), metadata={"zoo": json.dumps(about)})
    with pytest.raises(ZooError):
        load_model(path)


@pytest.mark.parametrize(
    "form",
    [
        *({"shape": shape} for shape in ([8], [8, 0], [8, -8], [8, "8"], "88", None, [8.0, 8], [1, 8, 8])),
        *({"scale": scale} for scale in ([], [0], [-1.0], ["1"], [1.0, 2.0], None, 255)),
        *({"shift": shift} for shift in ([], ["x"], [float("nan")])),
        {"kind": "sound"},
        {"kind": "vector"},
        {"channels": "middle"},
        {"features": ["one"]},
        {"harm": "touch"},
    ],
    ids=str,
)
def test_a_form_that_is_none(tmp_path, compose_job, form):
    path = tmp_path / "model.safetensors"
    about = {"config": compose_job("variant=pca").config, "form": FORM.as_json() | form, "seed": 0}
    save_file({"codes": torch.zeros(0, 8)}, str(path), metadata={"zoo": json.dumps(about)})
    with pytest.raises(ZooError, match=r"not a (form|model)|no form"):
        load_model(path)


def test_an_option_that_is_gone_is_named_with_the_nearest(saved):
    def gone(config):
        config["bottleneck"]["option"] = "identiti"
        return config

    path, _ = saved("pca", gone)
    with pytest.raises(ZooError, match=r"bottleneck=identiti: no such bottleneck; did you mean identity\?"):
        load_model(path)


def test_messages_of_constructors_reach_the_user(compose_job):
    with pytest.raises(ZooError, match=r"^corruption\.std=-1\.0: "):
        compose_job("variant=denoising_ae", "corruption.std=-1.0").make("corruption")
    with pytest.raises(ZooError, match=r"^width=0: a code needs"):
        build_model(compose_job("variant=vae", "width=0").config, SHAPE, seed=0)


def test_a_prior_of_pseudo_inputs_encodes_counts_as_the_model_does(compose_job):
    """log(1 + x) is part of the encoder that the prior is bound to."""
    config = compose_job("variant=vamp_vae", "likelihood=multinomial", "prior.components=7").config
    model = build_model(config, (1, 1, 12), seed=0, kind="counts")
    counts = torch.randint(9, (20, 1, 1, 12), generator=torch.Generator().manual_seed(0)).float()
    model.bottleneck.prior.start_from_data(counts)
    seen = model.encoder(model.bottleneck.prior.pseudo_inputs)
    torch.testing.assert_close(model.bottleneck.prior.posteriors()[0], seen.chunk(2, dim=1)[0])
