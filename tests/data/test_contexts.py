"""Words as vectors of contexts, by hand on a toy corpus."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from math import log

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from zoo.data.sources import contexts
from zoo.data.sources.contexts import END, corpus, neighbours_of, numbered, ppmi, read, thinned, words
from zoo.errors import ZooError

DOCUMENTS = ["The cat saw the hat", "a cat, a dog", "dog!"]


def test_words_are_numbered_by_frequency_then_alphabet():
    known, tokens = numbered(DOCUMENTS, 4)
    assert known == ("a", "cat", "dog", "the")
    assert tokens.tolist() == [3, 1, 3, END, 0, 1, 0, 2, END, 2, END]
    assert numbered(DOCUMENTS, 100)[0] == ("a", "cat", "dog", "the", "hat", "saw")
    assert numbered([], 4) == ((), pytest.approx(np.zeros(0)))


def test_parts_give_the_numbers_of_the_whole(monkeypatch):
    whole = numbered(DOCUMENTS, 4)
    monkeypatch.setattr(contexts, "TOKENS", 3)
    known, tokens = numbered(DOCUMENTS, 4)
    assert known == whole[0]
    assert np.array_equal(tokens, whole[1])


def test_a_corpus_is_not_held_in_memory(monkeypatch):
    """A million words take four megabytes as numbers."""
    monkeypatch.setattr(contexts, "TOKENS", 1 << 14)
    tracemalloc.start()
    try:
        known, tokens = numbered((f"{' cat dog'} a{chr(97 + n % 26)}" * 500 for n in range(1000)), 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(tokens) > 1_000_000
    assert known[:2] == ("cat", "dog")
    assert peak < 1_000_000


def test_frequent_words_are_thinned_out(monkeypatch):
    """As in word2vec's code: kept with probability sqrt(t / f) + t / f, whatever the parts that are read."""
    rng = np.random.default_rng(1)
    tokens = rng.choice(3, 100_000, p=[0.9, 0.099, 0.001]).astype(np.int32)
    tokens[::1000] = END
    kept = thinned(tokens, 3, 0.01)
    share = np.bincount(tokens[tokens != END]) / (tokens != END).sum()
    chance = np.minimum(1, np.sqrt(0.01 / share) + 0.01 / share)
    found = np.bincount(kept[kept != END]) / np.bincount(tokens[tokens != END])
    assert found == pytest.approx(chance, abs=0.01)
    assert (kept == END).sum() == 100
    monkeypatch.setattr(contexts, "TOKENS", 777)
    assert np.array_equal(kept, thinned(tokens, 3, 0.01))
    assert len(thinned(np.zeros(0, np.int32), 3, 0.01)) == 0


def slow_neighbours(tokens, window):
    found = Counter()
    for i, word in enumerate(tokens):
        for j in range(max(0, i - window), min(len(tokens), i + window + 1)):
            if i != j and END not in tokens[min(i, j) : max(i, j) + 1]:
                found[word, tokens[j]] += 1 - (abs(i - j) - 1) / window
    return found


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("part", [1 << 20, 7])
def test_neighbours_are_counted_within_windows_and_documents(window, part, monkeypatch):
    monkeypatch.setattr("zoo.data.sources.contexts.TOKENS", part)
    tokens = np.random.default_rng(0).integers(-1, 5, 60).astype(np.int32)
    found, expected = neighbours_of(tokens, 5, window).toarray(), slow_neighbours(tokens.tolist(), window)
    assert found == pytest.approx(np.array([[expected[w, c] for c in range(5)] for w in range(5)]))


def test_ppmi_by_hand():
    known, tokens = numbered(["x y x z", "y z"], 3)
    pairs = neighbours_of(tokens, 3, 1)
    assert known == ("x", "y", "z")
    assert pairs.toarray().tolist() == [[0, 2, 1], [2, 0, 1], [1, 1, 0]]
    contexts = {"x": 3, "y": 3, "z": 2}
    smoothed = {word: n**0.75 for word, n in contexts.items()}
    found = ppmi(pairs, 0.75).toarray()
    assert found[0, 1] == pytest.approx(log(2 / (3 * smoothed["y"] / sum(smoothed.values()))), rel=1e-6)
    assert found[0, 2] == pytest.approx(log(1 / (3 * smoothed["z"] / sum(smoothed.values()))), rel=1e-6)
    assert found[0, 0] == 0


def test_information_below_zero_is_none_and_is_not_stored():
    pairs = csr_matrix(np.array([[8.0, 1.0], [1.0, 0.0]], np.float32))  # x beside y more seldom than by chance
    assert log(1 * 10 / (9 * 1)) > 0 > log(8 * 10 / (9 * 9))
    found = ppmi(pairs, 1.0)
    assert found.toarray() == pytest.approx(np.array([[0, log(10 / 9)], [log(10 / 9), 0]]), rel=1e-6)
    assert found.nnz == 2


@pytest.mark.parametrize("space", [" ", "\n", "\t"])
def test_a_text_file_is_read_in_parts_cut_between_words(space, tmp_path, monkeypatch):
    path = tmp_path / "text"
    path.write_text(space.join(["one", "two", "three", "four", "five", "six", "seven"]))
    monkeypatch.setattr("zoo.data.sources.contexts.READ", 9)
    parts = list(read([path]))
    assert len(parts) > 2
    assert " ".join(parts).split() == path.read_text().split()
    source = words("", str(path), vocabulary=5, window=2)
    assert source.train.shape == (1, 1, 5)
    assert source.form.features == ("five", "four", "one", "seven", "six")
    assert source.train is source.test


def test_one_hot_vectors_are_the_identity(tmp_path):
    (tmp_path / "a.txt").write_text("b a c a")
    source = words("", str(tmp_path), vocabulary=3, vectors="one_hot")
    assert torch.equal(source.train[:].flatten(1), torch.eye(3))
    assert source.form.features == ("a", "b", "c")


def test_what_is_no_corpus_is_told_in_a_sentence(tmp_path):
    with pytest.raises(ZooError, match="no such file or folder"):
        words("", str(tmp_path / "none"))
    with pytest.raises(ZooError, match=r"no \.txt file there"):
        words("", str(tmp_path))
    path = tmp_path / "text.txt"
    path.write_text("1 2 two")
    with pytest.raises(ZooError, match="1 different words; a vocabulary needs at least three"):
        words("", str(path))
    path.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ZooError, match="no text in UTF-8"):
        words("", str(path))
    for setting, value in (("vocabulary", 2), ("window", 0), ("smoothing", 0.0), ("vectors", "x"), ("window", True)):
        with pytest.raises(ZooError, match=rf"data\.source\.{setting}={value}"):
            words("", str(path), **{setting: value})


def test_the_corpus_is_counted_once(tmp_path):
    (tmp_path / "a.txt").write_text("b a c a")
    assert corpus("", str(tmp_path), 3)[0] == ("a", "b", "c")
