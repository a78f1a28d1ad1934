"""What determines a run, and when its record is stale."""

from __future__ import annotations

import sys

import pytest

from zoo import options
from zoo.runs import identity
from zoo.runs.identity import code_digest, content_digest, determining, digest, is_stale
from zoo.runs.records import Record, read_record

CODE = '''
"""A part."""

from zoo.types import Bottleneck, Code


class Part(Bottleneck):
    """z = h."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, h, generator=None) -> Code:
        """z = h."""
        return Code(h, h)
'''


@pytest.fixture
def digest_of(tmp_path, monkeypatch):
    """The code digest of a run whose bottleneck is the given source, in a package of its own."""
    package = tmp_path / "stale_lib"
    (package / "conf" / "bottleneck").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "conf" / "bottleneck" / "part.yaml").write_text("_target_: stale_lib.part.Part\nwidth: 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stale_lib", raising=False)
    options.folders.cache_clear()

    def digest(source):
        (package / "part.py").write_text(source)
        identity._code.cache_clear()
        return code_digest({"bottleneck": {"option": "part", "width": 2}}, ("stale_lib",))

    return digest


def record_of(config, code, trust=()):
    """A record of that configuration, whose code has that digest."""
    return Record("vae", "vae", "digits", 8, 0, digest(config), config, code, {"seconds": 1.0}, {}, trust=list(trust))


def test_comments_docstrings_annotations_and_imports_are_no_code(digest_of):
    before = digest_of(CODE)
    assert digest_of(CODE.replace('"""z = h."""', '"""Another text."""')) == before
    assert digest_of(CODE.replace("        super()", "        # why\n        super()")) == before
    assert digest_of(CODE.replace("width: int", "width").replace(" -> Code", "")) == before
    assert digest_of(CODE.replace("import Bottleneck, Code", "import Bottleneck, Code, Step")) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Code(h, h)", "Code(h, 2 * h)"),
        ("width, width", "width, width + 0"),
        ("class Part", "LIMIT = 3\n\n\nclass Part"),
    ],
)
def test_anything_else_is(digest_of, old, new):
    assert old in CODE
    assert digest_of(CODE.replace(old, new)) != digest_of(CODE)


def test_the_rooms_that_a_part_imports_count_too(compose_job):
    vae, pca, vq = (compose_job(f"variant={variant}") for variant in ("vae", "pca", "vq_vae"))
    assert len({vae.code, pca.code, vq.code}) == 3
    assert vae.code == compose_job("variant=vae", "seed=3", "width=4").code
    assert not is_stale(record_of(vae.config, vae.code))
    assert is_stale(record_of(vae.config, pca.code))


def test_a_record_whose_parts_are_gone_is_stale():
    assert is_stale(record_of({"bottleneck": {"option": "gone"}}, "0123456789"))


def test_a_folder_is_known_by_its_files_and_their_names_within(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "class").mkdir(parents=True)
        (tmp_path / name / "class" / "a.png").write_bytes(b"a picture")
    first = content_digest(tmp_path / "one")
    assert content_digest(tmp_path / "two") == first
    assert content_digest(tmp_path / "one" / "..") != first
    (tmp_path / "two" / "class" / "a.png").rename(tmp_path / "two" / "class" / "b.png")
    assert content_digest(tmp_path / "two") != first
    (tmp_path / "one" / "class" / "a.png").write_bytes(b"b picture")
    assert content_digest(tmp_path / "one") != first


@pytest.mark.parametrize(
    ("data", "of_a_study"), [("digits", {}), ("mnist", {"without": 9}), ("binary_mnist", {"redrawn": True})]
)
def test_settings_younger_than_a_record_leave_its_key(compose_job, repository, data, of_a_study):
    """Records say what the data was when they were made; a run of today has the same, but for what a study sets."""
    records = [read_record(path) for path in (repository / "results" / "records" / data).rglob("*.json")]
    assert records
    ours = compose_job(f"data={data}").config["data"]
    for record in records:
        theirs = record.config["data"]
        given = {key: value for key, value in theirs["source"].items() if value != ours["source"].get(key)}
        assert given in ({}, of_a_study), record.hash
        assert theirs == ours | {"source": ours["source"] | given}, record.hash


def test_a_younger_setting_counts_where_it_is_set():
    axes = {"data": {"option": "digits", "source": {"without": None, "seed": None}}}
    assert determining(axes) == {"data": {"option": "digits", "source": {"seed": None}}}
    axes["data"]["source"]["without"] = 0
    assert determining(axes) == axes
