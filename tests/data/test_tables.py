"""Tables: text, Parquet and arrays of rows, and what of them is refused."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_wine

from zoo.data.sources import breast_cancer, table, wine
from zoo.data.splits import Splits
from zoo.errors import ZooError

DRAW = np.random.default_rng(0)
ROWS = "a,b,kind\n" + "".join(f"{i},{i * i / 7},{'xyz'[i % 3]}\n" for i in range(30))


@pytest.fixture
def written(tmp_path):
    def write(text: str | bytes, name: str = "table.csv") -> str:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def values(source) -> np.ndarray:
    """All rows as they are stored, sorted by the first column."""
    found = torch.cat([source.train.stored(slice(None)), source.test.stored(slice(None))])[:, 0, 0].numpy()
    return found[found[:, 0].argsort()]


@pytest.mark.parametrize(
    ("separator", "head"),
    [(",", "\ufeff"), (";", ""), ("\t", "\n"), (", ", "")],
    ids=["mark", "semicolon", "tab", "space"],
)
def test_a_table_is_read_with_its_names_and_classes(written, separator, head):
    source = table(written(head + ROWS.replace(",", separator)), label="kind")
    assert source.form.features == ("a", "b")
    assert (source.form.kind, source.form.shape, source.scaling) == ("vector", (2,), "standard")
    assert source.classes == ("x", "y", "z")
    assert (len(source.train), len(source.test)) == (24, 6)
    np.testing.assert_array_equal(values(source), [[i, i * i / 7] for i in range(30)])
    for part in (source.train, source.test):
        assert torch.equal(part.labels, part.stored(slice(None))[:, 0, 0, 0].long() % 3)
        assert len(part.labels.bincount().unique()) == 1, "stratified"


def test_columns_are_standardised_on_the_training_rows(written):
    splits = Splits(table(written(ROWS), label="kind"))
    train = splits.train[:]
    assert train.shape == (22, 1, 1, 2)
    assert train.double().mean(0).abs().max() < 1e-6
    assert (train.double().std(0, correction=0) - 1).abs().max() < 1e-6


def test_a_constant_column_is_no_trouble(written):
    train = Splits(table(written("a,b\n" + "1,5\n2,5\n" * 10))).train[:]
    assert train.isfinite().all()
    assert (train[..., 1] == 0).all()


def test_a_table_without_names_loses_no_row(written):
    source = table(written("".join(f"{i},{i / 2},{i % 2}\n" for i in range(20))), label=2)
    assert source.form.features == ("0", "1")
    assert source.classes == ("0", "1")
    assert values(source)[:, 0].tolist() == list(range(20))


def test_the_index_that_pandas_writes_is_no_feature(tmp_path):
    frame = pd.DataFrame({"a": DRAW.random(10), "b": DRAW.random(10), "kind": [True, False] * 5})
    frame.to_csv(tmp_path / "table.csv")
    source = table(str(tmp_path / "table.csv"), label="kind")
    assert source.form.features == ("a", "b")
    assert source.classes == ("False", "True")


@pytest.mark.parametrize("kept", ["in a file", "in memory"])
def test_parquet_is_read(written, monkeypatch, kept):
    """Its columns have types that no text has. Without a package for the files, the table is given in its place."""
    frame = pd.DataFrame({"a": np.arange(10, dtype=np.float32), "b": pd.array([*range(10)], "Int64")})
    frame["kind"] = pd.Categorical(list("ab") * 5)
    path = written(b"", "table.parquet")
    if kept == "in memory":
        monkeypatch.setattr(pd, "read_parquet", lambda path: frame)
    elif find_spec("pyarrow") or find_spec("fastparquet"):
        frame.to_parquet(path)
    else:
        pytest.skip("needs the extra parquet")
    source = table(path, label="kind")
    assert source.classes == ("a", "b")
    assert values(source).tolist() == [[i, i] for i in range(10)]
    with pytest.raises(ZooError, match=r"column kind holds text or dates \('a'\)"):
        table(path, label="b")


def test_parquet_without_its_package_says_what_to_install(written, monkeypatch):
    def absent(path):
        raise ImportError("pyarrow")

    monkeypatch.setattr(pd, "read_parquet", absent)
    with pytest.raises(ZooError, match=r"pip install 'bottleneck-zoo\[parquet\]'"):
        table(written(b"PAR1", "table.parquet"))


def test_arrays_of_rows_are_read_with_labels_and_test_rows(tmp_path):
    x = DRAW.normal(size=(30, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    source = table(str(tmp_path / "x.npy"))
    assert source.train.shape == (1, 1, 4)
    np.testing.assert_array_equal(values(source), x[x[:, 0].argsort()])
    np.savez(tmp_path / "x.npz", X=x[:20], y=np.array(["u", "v"] * 10), X_test=x[20:], y_test=np.array(["v"] * 10))
    source = table(str(tmp_path / "x.npz"))
    assert (len(source.train), len(source.test), source.classes) == (20, 10, ("u", "v"))
    assert source.test.labels.tolist() == [1] * 10


def test_counts_stay_as_they_are(written):
    source = table(written("a,b\n" + "3,0\n1,2\n" * 5), counts=True)
    assert (source.form.kind, source.scaling) == ("counts", "given")
    assert sorted(Splits(source, 0.2).train[:].flatten().unique().tolist()) == [0, 1, 2, 3]
    with pytest.raises(ZooError, match="table: the samples hold negative values, and counts are 0 or more"):
        table(written("a,b\n3,-1\n1,2\n", "other.csv"), counts=True)


@pytest.mark.parametrize(
    ("text", "settings", "told"),
    [
        ("", {}, "an empty file"),
        ("a,b\n", {}, "0 rows and 2 columns"),
        ("a,b\n1,2\n", {}, r"test_fraction=0\.2: takes 0 of 1 samples"),
        ("a,b\n1,2\n3,x\n", {}, r"column b holds text or dates \('x'\); make it the label \(data\.source\.label=b\)"),
        ("a,b\n1,2\n3,\n,4\n", {}, "column a lacks 1 of 3 values, the first in row 3; drop"),
        ("a,k\n1,u\n3,\n2,v\n", {"label": "k"}, "column k lacks 1 of 3 values, the first in row 2"),
        ("a,b\n1,2\n3,inf\n", {}, "column b holds infinite values"),
        ("a,a\n1,2\n3,4\n", {}, "two columns are called a; rename one"),
        ("a,class\n1,2\n3,4\n", {"label": "clas"}, r"label=clas: .* has no such column; did you mean class\?"),
        ("k\n1\n3\n", {"label": "k"}, "no column but the label"),
        ("a,k\n1,0.5\n3,1\n", {"label": "k"}, "k holds real numbers; labels are classes"),
        ("a,b\n1,2\n3,4,5\n", {}, "no table that can be read"),
        ("a,b\n1,2,9\n3,4,5\n", {}, "no table that can be read"),
        (b"a,b\xff\n1,2\n", {}, "no text in UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_one_sentence(written, text, settings, told):
    with pytest.raises(ZooError, match=told) as caught:
        table(written(text), **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "settings", "told"),
    [
        (np.zeros((4, 3, 3)), {}, r"array has the shape \(4, 3, 3\); data=table reads \(N, D\), data=array images"),
        (np.zeros((4, 3)), {"label": "k"}, r"no columns with names; store labels with numpy\.savez"),
        (np.full((4, 3), np.nan), {}, "array: the samples hold values that are not finite"),
        (np.full((4, 3), -np.inf), {}, "array: the samples hold values that are not finite"),
        (np.full((4, 3), "a"), {}, "array: values of type <U1: samples are numbers"),
        (np.full((4, 3), 1, object), {}, "store numbers as numbers"),
        (np.zeros((4, 0)), {}, "cannot mmap an empty file|holds no values"),
    ],
)
def test_an_array_that_is_no_table_is_refused(tmp_path, x, settings, told):
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(ZooError, match=told):
        table(str(tmp_path / "x.npy"), **settings)


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(ZooError, match=r"add data\.source\.path=table\.csv"):
        table()
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(ZooError, match="no such file; data=table reads"):
            table(str(path))


def test_a_table_is_read_once_until_it_changes(written):
    first = table(written(ROWS), label="kind")
    assert table(written(ROWS, "other.csv"), label="kind") is not first
    assert len(table(written(ROWS + "30,1,x\n" * 10), label="kind").train) == 32


@pytest.mark.parametrize(("source", "load"), [(wine, load_wine), (breast_cancer, load_breast_cancer)])
def test_the_tables_of_scikit_learn(source, load):
    published, found = load(), source()
    assert found.classes == tuple(sorted(published.target_names))
    assert len(found.form.features) == found.form.shape[0] == published.data.shape[1]
    names = published.target_names[published.target].tolist()
    rows = {tuple(row): name for row, name in zip(published.data, names, strict=True)}
    for part in (found.train, found.test):
        stored = part.stored(slice(None))[:, 0, 0].tolist()
        assert [rows[tuple(row)] for row in stored] == [found.classes[label] for label in part.labels]
        fractions = part.labels.bincount() / len(part)
        assert np.allclose(fractions, [names.count(name) / len(names) for name in found.classes], atol=0.02)
    assert len(found.train) + len(found.test) == len(published.target)
    again = source.__wrapped__()
    assert torch.equal(again.test.pixels, found.test.pixels)
    assert not torch.equal(source(split_seed=1).test.pixels, found.test.pixels)


def test_the_first_row_is_data_where_it_looks_like_the_others(written):
    body = ROWS.split("\n", 1)[1]
    source = table(written(body), label=2)
    assert (len(source.train), len(source.test), source.classes) == (24, 6, ("x", "y", "z"))
    assert source.form.features == ("0", "1")
    np.testing.assert_array_equal(values(source), [[i, i * i / 7] for i in range(30)])
    named = table(written("2010,2011,kind\n" + body), label="kind")  # names that are numbers, and one that is not
    assert named.form.features == ("2010", "2011")
    assert len(named.train) + len(named.test) == 30


def test_decimal_commas_are_refused_by_name(written):
    with pytest.raises(ZooError, match=r"column b has decimal commas \(0,5\); write decimal points"):
        table(written("a;b\n1;0,5\n2;0,7\n3;1,5\n"))
