"""Documents as vectors of terms, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from zoo.data.sources.corpora import TERM, divided_corpus, docstrings, labelled, newsgroups, texts, vectors
from zoo.errors import ZooError
from zoo.runs.single import fit_one, read

CATS = ["The cat sat.", "A cat and a hat; a cat!", "12 34", "cat hats sat"]  # one without a word
DOGS = ["dog dog dog", "a dog barks at hats", "dog and cat"]


@pytest.fixture
def folder(tmp_path):
    for name, documents in (("cats", CATS), ("dogs", DOGS)):
        (tmp_path / name).mkdir()
        for number, text in enumerate(documents):
            (tmp_path / name / f"{number}.txt").write_text(text)
    return tmp_path


def test_counts_by_hand():
    train, test = (
        labelled(["cat cat hat", "the hat, a dog"], ["a", "b"]),
        labelled(["Cat dog dog bird", "bird"], ["a", "b"]),
    )
    source = vectors("toy", train, test, 5, "counts", stop_words=True)
    assert source.form.features == ("cat", "dog", "hat", "the")
    assert source.form.kind == "counts"
    assert source.train[:].flatten(1).tolist() == [[2, 0, 1, 0], [0, 1, 1, 1]]
    assert source.test[:].flatten(1).tolist() == [[1, 2, 0, 0]], "a document without any term is left out"
    assert source.test.labels.tolist() == [0]
    assert vectors("toy", train, test, 5, "counts", stop_words=False).form.features == ("cat", "dog", "hat")


def test_weights_are_those_of_scikit_learn():
    source = docstrings(terms=300)
    assert len(source.classes) == 37
    assert source.train.shape == source.test.shape == (1, 1, 300)
    assert source.train[:].flatten(1).norm(dim=1).sub(1).abs().max() < 1e-5
    corpus = ["one two two", "two three", "three four four four"]
    train, test = labelled(corpus, [""] * 3), labelled(["four one"], [""])
    found = vectors("toy", train, test, 4, "tfidf", stop_words=True)
    weigh = TfidfVectorizer(token_pattern=TERM).fit(corpus)
    assert found.form.features == tuple(weigh.get_feature_names_out())
    torch.testing.assert_close(found.train[:].flatten(1).numpy(), weigh.transform(corpus).toarray().astype(np.float32))
    torch.testing.assert_close(
        found.test[:].flatten(1).numpy(), weigh.transform(["four one"]).toarray().astype(np.float32)
    )


def test_svd_of_these_is_latent_semantic_indexing(compose_job):
    job = compose_job("variant=svd", "data=docstrings", "width=5")
    data = read(job)
    model = fit_one(job, data).model
    matrix = data.train.sparse
    expected = TruncatedSVD(5, algorithm="arpack", random_state=0).fit(matrix.astype(np.float64))
    own, theirs = model.encode(data.test[:]).abs(), np.abs(expected.transform(data.test.sparse))
    torch.testing.assert_close(own, torch.from_numpy(theirs).float(), rtol=1e-5, atol=1e-5)


def test_a_folder_with_classes_and_without(folder):
    source = texts(str(folder), stop_words=True, test_fraction=0.34)
    assert source.classes == ("cats", "dogs")
    assert len(source.train) + len(source.test) == 6
    assert "cat" in source.form.features or "dog" in source.form.features
    assert texts(str(folder / "cats"), test_fraction=0.25).classes == ()


def test_a_column_of_a_table(tmp_path):
    path = tmp_path / "posts.csv"
    path.write_text('text,group\n"cat, hat",a\ndog,b\n"dog cat",b\nhat hat,a\n,a\n')
    source = texts(str(path), column="text", label="group", test_fraction=0.4)
    assert source.classes == ("a", "b")
    assert set(source.form.features) <= {"cat", "dog", "hat"}
    with pytest.raises(ZooError, match="say which column holds the documents"):
        texts(str(path))
    with pytest.raises(ZooError, match=r"data\.source\.label=groups: .* no such column; did you mean group"):
        texts(str(path), column="text", label="groups")


def test_what_is_no_corpus_is_told_in_a_sentence(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(ZooError, match=r"add data\.source\.path=folder"):
        texts()
    with pytest.raises(ZooError, match=r"no \.txt file there or below"):
        texts(str(empty))
    (empty / "one.txt").write_text("alone")
    with pytest.raises(ZooError, match="1 documents; train, validation and test need"):
        texts(str(empty))
    for name in ("two", "three", "four"):
        (empty / f"{name}.txt").write_text("1 2 3 a")
    (empty / "one.txt").write_text("...")
    with pytest.raises(ZooError, match="no training document holds a word"):
        texts(str(empty))
    (empty / "one.txt").write_bytes("Straße".encode("latin-1"))
    with pytest.raises(ZooError, match=r"one\.txt: no text in UTF-8 .* at byte 4\); save it as UTF-8"):
        texts(str(empty))
    with pytest.raises(ZooError, match=r"data\.source\.weights=tf: choose tfidf or counts"):
        texts(str(folder), weights="tf")
    for terms in (1, True, 2.5):
        with pytest.raises(ZooError, match=rf"data\.source\.terms={terms}: must be a whole number"):
            texts(str(folder), terms=terms)
    with pytest.raises(ZooError, match=r"test_fraction=1\.0: must be between"):
        divided_corpus("x", labelled(CATS, [""] * 4), 1.0, 0)


def test_newsgroups_that_are_not_there_say_how_to_get_them(tmp_path, monkeypatch):
    from sklearn import datasets

    def offline(**_):
        raise OSError("no route to host")

    monkeypatch.setattr(datasets, "fetch_20newsgroups", offline)
    with pytest.raises(ZooError, match=r"cannot be downloaded \(no route to host\).*20news-bydate_py3\.pkz"):
        newsgroups(str(tmp_path))


def test_documents_without_terms_are_left_out_and_told(tmp_path, caplog):
    for number, text in enumerate(["apple pear", "pear plum", "plum apple", "apple plum", "pear apple", "", "12 ?"]):
        (tmp_path / f"{number}.txt").write_text(text)
    source = texts(str(tmp_path), terms=3)
    assert len(source.train) + len(source.test) == 5
    assert "2 of 7 documents are left out: they hold none of the terms" in caplog.text
