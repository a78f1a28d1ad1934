"""Every mistake in a configuration is one sentence with the nearest names."""

from __future__ import annotations

import re

import pytest

from zoo.errors import ZooError
from zoo.runs.compose import composed, composing


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("variant=ave", r"variant=ave: no such variant; did you mean aae, mae, vae\?"),
        ("optimizer=adamx", r"optimizer=adamx: no such optimizer; did you mean adam, adamw"),
        ("study=digit", r"study=digit: no such study; did you mean digits\?"),
        ("widht=8", r"widht=8: no such setting; did you mean width\?"),
        ("+widht=8", r"widht=8: no such setting; did you mean width\?"),
        ("++widht=8", r"widht=8: no such setting; did you mean width\?"),
        ("+something=8", r"something=8: no such setting"),
        ("epochs=5", r"epochs=5: no such setting; did you mean .*budget\.epochs"),
        ("network.filterz=[1]", r"network\.filterz=\[1\]: no such setting"),
        ("+budget.epoch=1", r"budget\.epoch=1: no such setting; did you mean budget\.epochs"),
        ("nope/x=3", r"nope/x=3: no such setting"),
        ("trainer.thread=2", r"trainer\.thread=2: no such setting; did you mean trainer\.threads"),
        ("variant=[a", r"variant=\[a: cannot be read as a setting"),
        ("seed=0,1", r"seed=0,1: several values are a sweep; add -m"),
        ("hydra/launcher=joblib", r"hydra/launcher=joblib: the zoo runs sweeps itself"),
        ("density=[]", r"density=\[\]: must be the name of one option, or of several in brackets: autoregressive, "),
        ("network=[deep,conv]", r"network=\[deep,conv\]: must be the name of one option: "),
        ("prior=null", r"prior=null: must be the name of one option: flow, "),
        ("trust=nopackage", r"trust=nopackage: no package of this name"),
        ("+trust=nopackage", r"trust=nopackage: no package of this name"),
        ("variant=../variant/pca", r"variant=\.\./variant/pca: no such variant"),
        ("variant=/etc/passwd", r"variant=/etc/passwd: no such variant"),
        ("density=[nothing]", r"density=nothing: no such density"),
        ("~seed", r"~seed: a setting cannot be removed; give it another value"),
        ("~data", r"~data: a setting cannot be removed; give it another value"),
        ("=", r"=: cannot be read as a setting"),
        ("variant=glob(zzz*)", r"variant=glob\(zzz\*\): several values are a sweep; add -m"),
    ],
)
def test_a_mistake(override, told):
    with pytest.raises(ZooError, match=rf"^{told}") as caught, composing([override]) as given:
        composed("config", given)
    assert "\n" not in str(caught.value)
    assert "To append to your config use +" not in str(caught.value)


@pytest.mark.parametrize("plus", ["", "+"])
def test_a_weight_may_be_added_with_or_without_a_plus(compose_job, plus):
    job = compose_job("variant=vae", f"{plus}objective.weights.kl=2")
    assert job.config["objective"]["weights"] == {"kl": 2}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("variant=deep_ae", "prior=vamp"), r"prior=vamp: bottleneck=identity has no prior"),
        (("variant=vq_vae", "prior=mixture"), r"prior=mixture: bottleneck=vq has no prior"),
        (("force=maybe",), r"force=maybe: must be true or false"),
        (("refit=2",), r"refit=2: must be true or false"),
        (("width=true",), r"width=true: must be a whole number"),
        (("trainer.stacked=many",), r"trainer\.stacked=many: must be a whole number"),
        (("trainer.threads=0",), r"trainer\.threads=0: must be a whole number, at least 1"),
        (("evaluation.groups=5",), r"evaluation\.groups=5: must be a list of"),
        (("paths.results=null",), r"paths\.results=null: must be a text"),
        (("seed=${nothing}",), r"seed: Interpolation key 'nothing' not found"),
        (("seed=${seed}",), r"seed: "),
        (("seed=???",), r"seed: Missing mandatory value"),
        (("data=array", "data.source.path=5"), r"data\.source\.path=5: must be a text"),
        (("data=array", "data.source.path="), r"data\.source\.path= is empty"),
        (("stale=never",), r"stale=never: choose one of keep, rerun"),
        (("variant=deep_ae", "hidden=${nothing}"), r"network: Interpolation key 'nothing' not found"),
    ],
)
def test_what_only_the_whole_shows(compose_job, overrides, told):
    with pytest.raises(ZooError, match=rf"^{told}"):
        compose_job(*overrides)


def test_a_prior_is_an_axis(compose_job):
    job = compose_job("variant=vae", "bottleneck=importance", "prior=vamp", "prior.components=7")
    assert job.config["bottleneck"]["prior"] == {"option": "vamp", "components": 7}
    assert job.config["bottleneck"]["samples"] == 5


def test_a_package_with_option_files_is_known_where_it_is_trusted(tmp_path, monkeypatch):
    folder = tmp_path / "trusted_lib" / "conf" / "corruption"
    folder.mkdir(parents=True)
    (folder.parents[1] / "__init__.py").touch()
    (folder / "weak.yaml").write_text("_target_: zoo.model.corruptions.GaussianNoise\nstd: 0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    with composing(["corruption=weak", "trust=trusted_lib"]) as given:
        assert composed("config", given).corruption.std == 0.1
    with pytest.raises(ZooError, match="no such corruption"), composing(["corruption=weak"]) as given:
        composed("config", given)


def test_the_message_of_a_single_wrong_character_is_short():
    with pytest.raises(ZooError) as caught, composing(["variant=ave"]) as given:
        composed("config", given)
    assert re.fullmatch(r"[^\n]{1,80}", str(caught.value))
