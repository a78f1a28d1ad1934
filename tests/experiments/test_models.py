import json
from pathlib import Path

import pytest
import torch
from hydra.utils import get_object
from safetensors import safe_open
from safetensors.torch import save_file

from experiments.models import build_model, load_model, make, save_model
from zoo.errors import ZooError

SHAPE = (1, 8, 8)


@pytest.fixture
def saved(compose_job, tmp_path):
    """A saved model of a variant, its configuration changed on the way by a function."""

    def save(variant, change=lambda config: config):
        job = compose_job(f"variant={variant}")
        model = build_model(job.config, SHAPE, seed=3)
        path = tmp_path / "model.safetensors"
        save_model(path, model, change(json.loads(json.dumps(job.config))), SHAPE, seed=3)
        return path, model

    return save


def test_a_file_holds_weights_and_what_rebuilds_them(saved, compose_job):
    path, model = saved("vae")
    with safe_open(str(path), framework="pt") as file:
        about = file.metadata()
        assert set(file.keys()) == set(model.state_dict())
    assert json.loads(about["config"]) == compose_job("variant=vae").config
    assert (json.loads(about["shape"]), about["seed"]) == (list(SHAPE), "3")


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
    with pytest.raises(ZooError, match=r"absent\.safetensors: no such model; fit it by"):
        load_model(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\0\0\0\0\0\0\0{}      "], ids=["empty", "text", "bare"])
def test_a_file_that_is_no_model(tmp_path, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(ZooError, match=r"other\.safetensors: not a model .*; fit it again"):
        load_model(path)


def test_weights_of_something_else(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, str(path))
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


@pytest.mark.parametrize("place", ["axis", "nested", "listed"])
@pytest.mark.parametrize("target", ["os.mkdir", "zoo.records.os.mkdir", "torch.nn.functional.torch.save"])
def test_what_a_file_names_is_not_called(saved, tmp_path, place, target):
    trap = str(tmp_path / "trap")
    call = {"_target_": target, "_args_": [trap] if target.endswith("mkdir") else ["a pickle", trap]}

    def tampered(config):
        if place == "axis":
            config["corruption"] = call
        else:
            config["network"]["hidden"] = call if place == "nested" else [call]
        return config

    path, _ = saved("deep_ae", tampered)
    with pytest.raises(ZooError, match=rf"names {target}, which is no part of the zoo; do not load files you do not"):
        load_model(path)
    assert not Path(trap).exists()
    get_object(target)(*call["_args_"])
    assert Path(trap).exists(), "the trap was none"


@pytest.mark.parametrize("name", ["os.system", "zoo.bottlenecks.gone.Gone", "torch.nn.Gone"])
def test_a_named_class_must_be_one_of_ours(saved, name):
    def tampered(config):
        config["network"]["activation"]["path"] = name
        return config

    path, _ = saved("deep_ae", tampered)
    with pytest.raises(ZooError, match=rf"{name}, which is no part of the zoo"):
        load_model(path)


def test_what_a_constructor_tells_the_user_comes_through(compose_job):
    with pytest.raises(ZooError, match=r"^corruption\.std=-1\.0: a level is in \[0, inf\]"):
        make(compose_job("variant=denoising_ae", "corruption.std=-1.0").axes["corruption"])
    with pytest.raises(ZooError, match=r"^width=0: a code needs"):
        build_model(compose_job("variant=vae", "width=0").config, SHAPE, seed=0)
