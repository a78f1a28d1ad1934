"""Configurations, arrays, records and model files at random: each works, or is refused in one sentence; none runs code.

ZOO_FUZZ=20 tries twenty times as many.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import re
import sys
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.hostile.corpus import GOOD, GOOD_NPZ, Trap
from zoo.cli import for_all_runs, main
from zoo.data.arrays import arrays_in
from zoo.data.images import Images, Source
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.model.io import build_model, kept_codes, load_model, save_model
from zoo.options import build, names
from zoo.report.publish import write_report
from zoo.report.table import print_tables
from zoo.runs.compose import composed, composing
from zoo.runs.engines import engine_of
from zoo.runs.identity import digest, is_stale
from zoo.runs.job import Job
from zoo.runs.records import SEAL, Record, read_record
from zoo.runs.rescore import data_node
from zoo.runs.search import search_of
from zoo.samples import Form, form_of

pytestmark = pytest.mark.slow

TIMES = int(os.environ.get("ZOO_FUZZ", "1"))
HEALTHY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]


def often(n):
    """So many examples, times ZOO_FUZZ; the same ones each time, so that a failure is not one of chance."""
    return settings(max_examples=n * TIMES, deadline=None, derandomize=TIMES == 1, suppress_health_check=HEALTHY)


# Configurations

AXES = ("network", "bottleneck", "prior", "corruption", "likelihood", "objective", "fit", "optimizer", "schedule")
NUMBERS = ("0", "-1", "1", "2", "3", "0.5", "1e-9", "nan", "inf", "-inf", "1e18", "1e30")
OTHERS = ("true", "null", "abc", "[]", "[0]", "[4]", "[2,2]")
SETTINGS = (
    *("width", "seed", "budget.epochs", "budget.batch_size", "optimizer.lr", "optimizer.weight_decay", "fit.patience"),
    *("fit.clip", "schedule.warmup", "network.hidden", "network.filters", "bottleneck.k", "data.validation_fraction"),
    *("corruption.std", "corruption.share", "likelihood.std", "bottleneck.codebook_size", "objective.weights.kl"),
    *("bottleneck.levels", "bottleneck.units", "network.patch", "network.kernel", "trainer.threads", "data.split_seed"),
)
SMALL = ("data=digits", "width=3", "trainer.progress=false", "budget.epochs=1", "budget.batch_size=16")


@pytest.fixture(scope="module")
def digits():
    """30 images, of which a fit takes two steps."""
    pixels = torch.randint(0, 256, (30, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = Images(pixels, torch.arange(30) % 3)
    return Splits(Source("tiny", images, images, ("a", "b", "c")), 0.2)


def fit(overrides, data):
    """What the parts of a run do, on tiny data."""
    with composing(overrides) as given:
        job = Job.of(composed("config", given))
    model = build_model(job.config, data.shape, job.seed, kind=data.kind)
    job.make("fit")(model, data, job.make("objective"), job.seed)
    codes = kept_codes(model.eval(), data.train)
    assert model.decode(codes).shape[1:] == data.shape


options = st.fixed_dictionaries({}, optional={axis: st.sampled_from(names(axis)) for axis in AXES})
values = st.dictionaries(st.sampled_from(SETTINGS), st.sampled_from(NUMBERS + OTHERS), max_size=2)


@often(12)
@given(variant=st.sampled_from(names("variant")), chosen=options, changed=values)
def test_any_options_fit_two_steps_or_are_refused_in_one_sentence(digits, variant, chosen, changed):
    overrides = [f"{key}={value}" for key, value in (chosen | changed).items()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that make no sense together, as "below PCA"
        with contextlib.suppress(ZooError):
            fit([*SMALL, f"variant={variant}", *overrides], digits)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@often(60)
@given(text=texts | st.builds("{}={}".format, st.sampled_from((*AXES, *SETTINGS)), texts))
def test_any_text_is_a_setting_or_one_sentence(text):
    with contextlib.suppress(ZooError), composing([text]) as given:
        Job.of(composed("config", given))


# Sweeps, and where they are computed

SWEEPS = (
    *(
        "1,2",
        "2,nan",
        "range(1,4)",
        "range(4)",
        "range(3,1)",
        "range(1,2,0)",
        "choice(1,2)",
        "interval(0,1)",
        "glob(*)",
    ),
    *(
        "shuffle(1,2)",
        "sort(2,1)",
        "tag(a,1)",
        "int(2.5)",
        "float(1,x)",
        "'1,2'",
        "[1],[2]",
        "{a:1},{b:2}",
        "1,",
        "(1)",
    ),
)
PLACES = {
    "engine": names("engine"),
    "search": names("search"),
    "logger": names("logger"),
    **dict.fromkeys(("processes", "engine.jobs", "engine.processes", "engine.gpus"), NUMBERS + OTHERS),
    **dict.fromkeys(("search.trials", "search.first", "search.factor", "search.seed"), NUMBERS + OTHERS),
    "engine.address": ("null", "auto", "tcp://", "localhost:1", "tcp://localhost:99999", "[1]", "''", "5"),
    "engine.time": ("00:30:00", "1", "-1", "soon", "null", "[]"),
    "engine.memory": ("4GB", "1.5 GB", "none", "-4GB", "0", "null", "1e30"),
    "engine.partition": ("gpu", "null", "5", "a b", "[]"),
    "engine.requeue": OTHERS,
    "logger.uri": ("null", "nowhere://x", "''", "5", "[]"),
    "logger.offline": OTHERS,
    "stale": ("keep", "rerun", "never", "null"),
}
anywhere = st.lists(
    st.builds("{}={}".format, st.sampled_from((*AXES, *SETTINGS, "variant", "data")), st.sampled_from(SWEEPS))
    | st.sampled_from(sorted(PLACES)).flatmap(lambda key: st.sampled_from(PLACES[key]).map(f"{key}={{}}".format))
    | st.builds("{}={}".format, st.sampled_from(sorted(PLACES)), st.sampled_from(SWEEPS)),
    max_size=4,
)


@often(60)
@given(variant=st.sampled_from(["pca", "linear_ae", "vae", "topk"]), overrides=anywhere)
def test_any_sweep_is_a_list_of_runs_or_one_sentence(tmp_path, variant, overrides):
    overrides = [*SMALL, f"variant={variant}", *overrides, f"paths.home={tmp_path}"]
    with contextlib.suppress(ZooError), composing(overrides) as given:
        cfg = composed("config", for_all_runs(given))
        engine, search = engine_of(cfg), search_of(cfg)
        jobs = search.jobs(given)
        for job in jobs[:2]:
            job.make_logger()
            job.check_places()
        assert jobs, "no run, and no word about it"
        assert engine.workers


# Files


def broken(content, at, byte, cut):
    """A file of which one byte has changed, and the end is missing."""
    at %= len(content)
    return (content[:at] + bytes([byte]) + content[at + 1 :])[: len(content) - cut]


def read_or_refuse(path):
    """Read an array file as samples, or be refused in one sentence: no other error passes."""
    with warnings.catch_warnings(), contextlib.suppress(ZooError):
        warnings.simplefilter("ignore")  # of NumPy about the damage
        found = arrays_in(str(path)).train[1]
        form_of(found).arranged(found)


damage = {"at": st.integers(0, 10_000), "byte": st.integers(0, 255), "cut": st.sampled_from([0, 0, 1, 50, 1000])}


@often(100)
@given(ending=st.sampled_from([".npy", ".npz"]), at=st.integers(0, 400), byte=damage["byte"], cut=damage["cut"])
def test_damaged_arrays(tmp_path, ending, at, byte, cut):
    path = tmp_path / f"x{ending}"
    path.write_bytes(broken(GOOD if ending == ".npy" else GOOD_NPZ, at, byte, cut))
    read_or_refuse(path)


HEADERS = st.fixed_dictionaries(
    {
        "descr": st.sampled_from(
            ["<f4", "|u1", ">i8", "<c16", "|O", "<U3", "|V0", "<M8[s]", "__import__", ["x"], None]
        ),
        "fortran_order": st.sampled_from([True, False, 1, None]),
        "shape": st.lists(st.integers(-2, 10) | st.just(2**62), max_size=5).map(tuple) | st.none(),
    }
)


@often(100)
@given(header=HEADERS)
def test_headers_that_lie(tmp_path, header):
    path, text = tmp_path / "x.npy", repr(header).encode().ljust(200) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(1000))
    read_or_refuse(path)


# Records and model files

CODE = [
    "${oc.create:{_target_: os.mkdir, path: trap}}",
    "${oc.env:HOME}",
    "!!python/object/apply:os.mkdir [trap]",
    "__import__('os').mkdir('trap')",
    "zoo.files.os.mkdir",
    {"_target_": "os.mkdir", "path": "trap"},
    {"_target_": "os.mkdir", "_args_": ["trap"], "_partial_": False},
    {"option": "os.mkdir", "path": "trap"},
    {"option": "../../trap"},
    {"__reduce__": ["os.mkdir", ["trap"]]},
]
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=5) | st.sampled_from(CODE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FORM = Form("image", (8, 8), scale=(255.0,))


@pytest.fixture(scope="module")
def job():
    with composing([*SMALL, "variant=linear_ae"]) as given:
        return Job.of(composed("config", given))


@pytest.fixture(scope="module")
def model(job, tmp_path_factory):
    """The file of a model."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    save_model(path, build_model(job.config, (1, 8, 8), 0), job.config, FORM, 0)
    return path


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The file of a run's record, as plain values, without its seal, which anyone can recompute."""
    home = tmp_path_factory.mktemp("record")
    measured = "evaluation.groups=[reconstruction,robustness]"  # with intervals, classes and curves
    with pytest.raises(SystemExit):
        main(["run", *SMALL, "variant=linear_ae", measured, f"paths.home={home}"])
    (path,) = home.rglob("*-s0.json")
    return json.loads(path.read_text())


def places(node, path=()):
    """Where something lies in nested mappings and lists."""
    for key in node if isinstance(node, dict) else range(len(node)):
        yield (*path, key)
        if isinstance(node[key], dict | list):
            yield from places(node[key], (*path, key))


def put(node, path, value):
    """A copy with something else in one place; None for the place itself takes it away."""
    whole = json.loads(json.dumps(node))
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return whole


def no_trap(folder):
    assert not [path for path in (folder / "trap", Path("trap")) if path.exists()], "code ran"


@often(150)
@given(data=st.data(), value=plain | st.just(...))
def test_a_record_with_anything_anywhere(tmp_path, record, data, value):
    part = data.draw(st.sampled_from(list(record)))  # of which metrics would else be nearly all that changes
    inner = places(record[part]) if isinstance(record[part], dict | list) else ()
    content = put(record, data.draw(st.sampled_from([(part,), *((part, *place) for place in inner)])), value)
    content.pop(SEAL, None)
    if isinstance(content.get("config"), dict) and data.draw(st.booleans()):
        content["hash"] = digest(content["config"])  # by one who knows how
    content[SEAL] = digest(content)
    path = tmp_path / f"{content.get('hash')!s:.20}-s{content.get('seed')!s:.20}.json".replace("/", "_").replace(
        "\0", ""
    )
    path.write_text(json.dumps(content), encoding="utf-8", errors="surrogatepass")
    try:
        found = read_record(path)
    except ZooError:
        pass
    else:
        is_stale(found, ())
        with contextlib.suppress(ZooError):
            build("data", data_node(path, found.config))
        report(found, record, tmp_path)
    path.unlink()
    no_trap(tmp_path)


def report(found, good, folder):
    """The tables of a record, and the page and the figures of it beside a good one, or one sentence each."""
    other = Record(**{key: value for key, value in good.items() if key != SEAL} | {"name": "good", "data": found.data})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers beyond what can be drawn
        with contextlib.suppress(ZooError):
            print_tables([found])
        with contextlib.suppress(ZooError):
            write_report([found, other], folder / "report", "zoo report data=digits")


@often(150)
@given(data=st.data(), value=plain | st.just(...))
def test_a_model_file_with_anything_anywhere(tmp_path, model, data, value):
    with safe_open(str(model), framework="pt") as file:
        about = json.loads(file.metadata()["zoo"])
    path = tmp_path / "model.safetensors"
    told = json.dumps(put(about, data.draw(st.sampled_from(list(places(about)))), value))
    save_file(load_file(model), path, {"zoo": told})
    with contextlib.suppress(ZooError):
        load_model(path, data.draw(st.sampled_from([(), ("os",), ("no such",), ("../trap",), ("",)])))
    no_trap(tmp_path)


@often(100)
@given(**damage)
def test_a_damaged_model_file(tmp_path, model, at, byte, cut):
    path = tmp_path / "model.safetensors"
    path.write_bytes(broken(model.read_bytes(), at, byte, cut))
    with contextlib.suppress(ZooError):
        load_model(path)


def test_a_package_is_not_imported_before_it_is_trusted(tmp_path, model, monkeypatch):
    package = tmp_path / "hostile_package"
    (package / "conf" / "network").mkdir(parents=True)
    (package / "__init__.py").write_text("import os\nos.mkdir('trap')\n")
    (package / "conf" / "network" / "evil.yaml").write_text("_target_: hostile_package.evil\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    with safe_open(str(model), framework="pt") as file:
        about = json.loads(file.metadata()["zoo"])
    path = tmp_path / "model.safetensors"
    for network in ({"option": "evil"}, {"option": "linear", "_target_": "hostile_package.evil"}):
        save_file(load_file(model), path, {"zoo": json.dumps(put(about, ("config", "network"), network))})
        with pytest.raises(ZooError):
            load_model(path)
    assert "hostile_package" not in sys.modules
    no_trap(tmp_path)


def test_a_table_of_parquet_runs_no_code(tmp_path, monkeypatch):
    """The pandas metadata of a file is not built."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from zoo.data.sources.tables import frame_in

    monkeypatch.chdir(tmp_path)
    table = pa.table({"a": [1.0, 2.0], "b": [b"cos\nmkdir\n(S'trap'\ntR.", b"x"]})
    for about in (b"not json", json.dumps({"index_columns": [{"_target_": "os.mkdir"}], "columns": []}).encode()):
        pq.write_table(table.replace_schema_metadata({b"pandas": about}), "x.parquet")
        with contextlib.suppress(ZooError):
            frame_in("x.parquet")
    no_trap(tmp_path)


@pytest.mark.parametrize("extension", ["arrow.py_extension_type", "pandas.period", "pandas.interval", "no.such_type"])
def test_an_extension_type_of_parquet_is_not_unpickled(tmp_path, monkeypatch, extension):
    """The first one was, by Arrow itself, before its version 14.0.1 (CVE-2023-47248)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from zoo.data.sources.tables import table

    monkeypatch.chdir(tmp_path)
    about = {b"ARROW:extension:name": extension.encode(), b"ARROW:extension:metadata": pickle.dumps(Trap())}
    schema = pa.schema([pa.field("a", pa.float64(), metadata=about), pa.field("b", pa.float64())])
    pq.write_table(pa.table({"a": range(10), "b": [0.5] * 10}, schema), "x.parquet")
    (arrow,) = re.findall(rb"(?s)ARROW:schema.{3}([\w+/]+=*)", Path("x.parquet").read_bytes())  # not by Arrow itself
    assert pickle.dumps(Trap()) in base64.b64decode(arrow), "the file holds no code"
    with contextlib.suppress(ZooError):
        source = table("x.parquet")
        rows = torch.cat([part.stored(slice(None)).flatten(1) for part in (source.train, source.test)])
        assert sorted(rows.tolist()) == [[float(a), 0.5] for a in range(10)]
    no_trap(tmp_path)
