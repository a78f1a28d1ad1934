import json
from dataclasses import FrozenInstanceError, asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import ZooError
from zoo.files import write_atomically
from zoo.runs.identity import digest
from zoo.runs.records import Record, check_record, read_record, read_records, record_path, write_record

KIND = {"unit": "", "direction": "lower", "group": "reconstruction"}
CONFIG = {"network": {"hidden": [4, 2], "activation": None}, "fit": {"epochs": 3, "clip": 0.5}}


@pytest.fixture
def record():
    return Record(
        name="vae network=conv",
        variant="vae",
        data="digits",
        width=8,
        seed=3,
        hash=digest(CONFIG),
        config=CONFIG,
        code="0123456789",
        fit={"seconds": 0.1, "epochs": 3, "best_epoch": 2, "history": {"epoch": [1.0, 2.0, 3.0]}},
        metrics={
            "mse": {"value": 1 / 3, "n": 360, **KIND},
            "ssim": {"value": None, "reason": "too small", **KIND},
        },
        images={"original": "iVBORw0KGgo="},
        environment={"git": None},
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 10**30},
        {"images": {"original": "AAAA"}},
        {"environment": {"evaluated": 5}},
        {"environment": {"due": 5}},
        {"metrics": {"mse": {"value": 1e400, "n": 360, **KIND}}},
        {"metrics": {"mse": {"value": 10**400, "n": 360, **KIND}}},
        {"metrics": {"mse": {"value": 1.0, "n": "x", **KIND}}},
        {"metrics": {"mse": {"value": 1.0, "n": 360, "interval": "abc", **KIND}}},
    ],
)
def test_values_that_no_run_gives_are_refused(record, changed):
    check_record(record)
    with pytest.raises(ZooError):
        check_record(replace(record, **changed))


def test_a_record_with_weights_needs_its_seal(tmp_path, record):
    path = write_record(tmp_path, replace(record, weights="0" * 64))
    content = json.loads(path.read_text())
    del content["seal"]
    path.write_text(json.dumps(content | {"name": "pca"}))
    with pytest.raises(ZooError, match="changed by hand"):
        read_record(path)


def shuffled(node):
    """The same configuration, keys in the opposite order."""
    if isinstance(node, dict):
        return {key: shuffled(node[key]) for key in reversed(node)}
    return node


def test_digest_is_the_same_for_every_order_of_keys():
    assert digest(CONFIG) == digest(shuffled(CONFIG))
    assert list(shuffled(CONFIG)) != list(CONFIG)
    assert len(digest(CONFIG)) == 10
    assert set(digest(CONFIG)) <= set("0123456789abcdef")


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
# bounded sizes: larger ones exceed what hypothesis generates, which then fails at random
few = {"max_size": 3}
nodes = st.recursive(scalars, lambda s: st.lists(s, **few) | st.dictionaries(st.text(), s, **few), max_leaves=8)
configs = st.dictionaries(st.text(), nodes, max_size=4)


@settings(deadline=None, max_examples=50)
@given(configs, configs)
def test_digest_tells_configurations_apart(one, other):
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (digest(one) == digest(other)) is same


@pytest.mark.parametrize(
    "changed",
    [
        {**CONFIG, "fit": {"epochs": 4, "clip": 0.5}},
        {**CONFIG, "fit": {"epochs": 3, "clip": None}},
        {**CONFIG, "fit": {"epochs": 3}},
        {**CONFIG, "network": {"hidden": [2, 4], "activation": None}},
        {**CONFIG, "corruption": {}},
    ],
)
def test_digest_changes_with_every_value(changed):
    assert digest(changed) != digest(CONFIG)


def test_a_record_comes_back_as_it_was(record, tmp_path):
    path = write_record(tmp_path, record)
    assert path == tmp_path / "records" / "digits" / "vae" / f"{record.hash}-s3.json"
    assert path == record_path(tmp_path, "digits", "vae", record.hash, 3)
    assert read_record(path) == record
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_record_is_immutable(record):
    with pytest.raises(FrozenInstanceError):
        record.seed = 4


def test_records_of_a_data_set_in_the_order_of_their_paths(record, tmp_path):
    others = [replace(record, seed=1), replace(record, variant="pca"), replace(record, data="mnist")]
    for one in (record, *others):
        write_record(tmp_path, one)
    assert read_records(tmp_path, "digits") == [others[1], others[0], record]
    assert read_records(tmp_path, "mnist") == [others[2]]
    assert read_records(tmp_path, "faces") == []


def test_a_value_that_json_has_no_word_for_is_not_written(record, tmp_path):
    with pytest.raises(ValueError, match="nan"):
        write_record(tmp_path, replace(record, metrics={"mse": {"value": float("nan")}}))
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "{}", '{"schema": 2}', '{"schema": 1, "name": "old"}'],
)
def test_what_is_no_record_is_named(tmp_path, content):
    path = tmp_path / "wrong.json"
    path.write_text(content)
    with pytest.raises(ZooError, match=r"wrong\.json: not a record of schema 2 .*; delete it and run again"):
        read_record(path)


def test_a_record_of_another_schema_is_refused(record, tmp_path):
    path = write_record(tmp_path, record)
    path.write_text(json.dumps(asdict(record) | {"schema": 1}))
    with pytest.raises(ZooError, match="its schema is 1"):
        read_record(path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"metrics": []}, "metrics is no mapping"),
        ({"metrics": {"mse": 5}}, r"metrics\.mse is incomplete"),
        ({"metrics": {"mse": KIND}}, r"metrics\.mse is incomplete"),
        ({"metrics": {"mse": {**KIND, "value": "x"}}}, r"metrics\.mse\.value=x: must be a number or null"),
        ({"config": None}, "config is no mapping"),
        ({"config": {}}, "its config is not the one that its hash was taken of"),
        ({"name": 5}, "name=5: must be a text"),
        ({"seed": "0"}, "seed=0: must be a whole number"),
        ({"fit": {}}, r"fit\.seconds=null: must be a number"),
        ({"trust": "os"}, "trust=os: must be a list of texts"),
        ({"spoon": 1}, "spoon"),
    ],
)
def test_a_record_that_was_changed_by_hand_is_refused(record, tmp_path, changes, told):
    path = write_record(tmp_path, record)
    path.write_text(json.dumps(asdict(record) | changes))
    with pytest.raises(ZooError, match=rf"not a record of schema 2 \(.*{told}.*\); delete it and run again"):
        read_record(path)


def test_write_atomically_leaves_nothing_behind_when_it_fails(tmp_path):
    target = tmp_path / "folder" / "file"
    write_atomically(target, b"old")
    with pytest.raises(TypeError):
        write_atomically(target, "no bytes")
    assert target.read_bytes() == b"old"
    with pytest.raises(OSError, match="folder"):
        write_atomically(target.parent, b"a folder stands there")
    assert list(tmp_path.iterdir()) == [target.parent]
    assert list(target.parent.iterdir()) == [target]


def test_a_metric_measured_later_keeps_its_own_commit(record) -> None:
    fitted = replace(record, environment={"git": "first", "finished": "then"})
    assert fitted.measured({"mse": record.metrics["mse"]}, "first") == fitted, "at the commit of the fit"
    later = fitted.measured({"mse": {}, "ssim": {}}, "second")
    assert later.environment == {"git": "first", "finished": "then", "evaluated": {"second": ["mse", "ssim"]}}
    last = later.measured({"ssim": {}, "psnr": {}}, "third")
    assert last.environment["evaluated"] == {"second": ["mse"], "third": ["psnr", "ssim"]}
    assert last.measured({key: {} for key in ("mse", "ssim", "psnr")}, "first").environment == fitted.environment
