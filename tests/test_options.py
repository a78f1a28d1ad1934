"""The table of known parts."""

from __future__ import annotations

import pytest
import yaml

from zoo import options
from zoo.errors import ZooError
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.runs.job import AXES


def test_a_node_is_built_as_its_option_file_says():
    built = options.build("bottleneck", {"option": "tanh", "width": 3})()
    assert isinstance(built, Pointwise)
    assert built.out_features == 3


@pytest.mark.parametrize("variant", options.names("variant"))
def test_nodes_of_a_run_are_plain_and_name_no_code(compose_job, variant):
    job = compose_job(f"variant={variant}")

    def plain(node):
        if isinstance(node, dict):
            return all(isinstance(key, str) and key[0] != "_" and plain(value) for key, value in node.items())
        if isinstance(node, list):
            return all(map(plain, node))
        return node is None or isinstance(node, bool | int | float) or (isinstance(node, str) and "." not in node)

    assert set(job.config) == set(AXES)
    assert plain(job.config)


@pytest.mark.parametrize(
    ("axis", "node", "told"),
    [
        ("network", {"option": "depe"}, r"^network=depe: no such network; did you mean deep\?"),
        ("network", {"option": "../config"}, r"^network=\.\./config: no such network"),
        ("network", {"hidden": [1]}, r"names no option$"),
        ("network", {"option": "deep", "hiden": [4]}, r"^network=deep has no setting hiden; did you mean hidden\?$"),
        ("network", {"option": "deep", "hidden": object()}, r"not a plain value$"),
        ("network", {"option": "deep", "hidden": 3}, r"^network=deep: hidden=3: must be a list of whole numbers$"),
        ("network", {"option": "deep", "hidden": ["a"]}, r"hidden=\['a'\]: must be a list of whole numbers$"),
        ("network", {"option": "deep", "activation": [1]}, r"activation=\[1\]: must be a text$"),
        ("likelihood", {"option": "gaussian", "std": "abc"}, r"^likelihood=gaussian: std=abc: must be a number$"),
        ("likelihood", {"option": "gaussian", "std": True}, r"std=true: must be a number$"),
        ("optimizer", {"option": "adamw", "lr": "abc"}, r"^optimizer=adamw: lr=abc: must be a number$"),
        ("objective", {"option": "elbo", "weights": {"kl": "a"}}, r"weights=.* must be names with numbers or null$"),
        ("objective", {"option": "elbo", "terms": 3}, r"^objective: terms=3: must be a list of penalties"),
        ("objective", {"option": "elbo", "terms": ["kl"]}, r"^objective: terms=\['kl'\]: must be a list of penalties"),
        ("network", {"option": "deep", "hidden": {"_target_": "os.getcwd"}}, r"no plain settings"),
        ("fit", {"option": "gradient", "optimizer": {"option": "adamm"}}, r"^optimizer=adamm: no such optimizer"),
        ("fit", {"option": "gradient", "optimizer": "adam"}, r"^optimizer: 'adam' names no option$"),
        (
            "objective",
            {"option": "revive", "terms": [{}, {}]},
            r"^objective=revive\.terms: its parts cannot be overridden here",
        ),
        ("bottleneck", {"option": "topk", "units": 8, "k": 2, "rule": 3}, r"rule=3: this setting is a part"),
    ],
)
def test_what_is_no_node_is_refused(axis, node, told):
    with pytest.raises(ZooError, match=told):
        options.build(axis, node)


def test_what_a_part_is_cannot_be_changed_by_a_setting(compose_job):
    with pytest.raises(ZooError, match=r"a part is chosen by the name of its option"):
        compose_job("network._target_=os.getcwd")


def test_renaming_a_class_and_moving_its_file_orphans_no_record(compose_job, tmp_path, monkeypatch):
    """Option files say where a class lies; nothing that is stored does."""
    before = compose_job("variant=vae")
    moved = tmp_path / "conf"
    for path in options.shipped().rglob("*.yaml"):
        target = moved / path.relative_to(options.shipped())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text().replace("diagonal_posterior.DiagonalPosterior", "elsewhere.Renamed"))
    package = tmp_path / "renamed_posterior.py"
    package.write_text("from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior as Renamed\n")
    for path in (moved / "bottleneck").glob("*.yaml"):
        path.write_text(path.read_text().replace("zoo.model.bottlenecks.elsewhere.", "renamed_posterior."))
    monkeypatch.syspath_prepend(tmp_path)
    for cached in (options.folders, options.content, options.imported):
        cached.cache_clear()
    monkeypatch.setattr(options, "shipped", lambda: moved)
    monkeypatch.setattr("zoo.runs.compose.shipped", lambda: moved)
    after = compose_job("variant=vae")
    monkeypatch.undo()
    for cached in (options.folders, options.content, options.imported):
        cached.cache_clear()
    assert "renamed_posterior" in (moved / "bottleneck" / "gaussian_posterior.yaml").read_text()
    assert (after.config, after.key, after.record_path) == (before.config, before.key, before.record_path)


@pytest.mark.parametrize("variant", options.names("variant"))
def test_every_variant_says_what_it_is(variant):
    about = yaml.safe_load((options.shipped() / "variant" / f"{variant}.yaml").read_text())["about"]
    assert set(about) == {"family", "method", "source", "equation", "limitations", "differs"}
    assert about["method"]
