"""Metrics of words on vectors made by hand."""

from __future__ import annotations

from math import dist

import pytest
import torch

from zoo.errors import ZooError
from zoo.evaluation.evaluator import due, evaluate
from zoo.evaluation.measures import word_judgements
from zoo.evaluation.measures.word_judgements import (
    analogies,
    answered,
    digest_of,
    similarity,
    unit_length,
    word_pairs,
)
from zoo.evaluation.metrics.words import word_map, word_neighbours, wordsim353
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject import Subject
from zoo.evaluation.subject.vocabulary import WordCodes
from zoo.runs.single import fit_one, read

PLACE = {"king": 0, "queen": 1, "man": 2, "woman": 3, "tree": 4}
CODES = unit_length(
    torch.tensor([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.1, 1.0, 0.0], [0.1, -1.0, 0.0], [0.0, 0.0, 1.0]])
)


def test_similarity_is_the_rank_correlation_of_cosines():
    pairs = [
        ("king", "man", 9.0),
        ("king", "queen", 5.0),
        ("king", "woman", 4.0),
        ("king", "none", 1.0),
        ("man", "woman", 1.0),
    ]
    found = similarity(CODES, PLACE, pairs)
    assert (found.value, len(found.influence)) == (pytest.approx(1.0), 4)
    turned = [(a, b, -value) for a, b, value in pairs]
    assert similarity(CODES, PLACE, turned).value == pytest.approx(-1.0)
    with pytest.raises(NotApplicable, match="1 of the 2 pairs"):
        similarity(CODES, PLACE, [("king", "queen", 1.0), ("a", "b", 2.0)])
    with pytest.raises(NotApplicable, match="same cosine"):
        similarity(torch.ones(5, 1), PLACE, pairs)


def test_analogies_leave_the_words_of_the_question_out():
    questions = [
        ("family", ("man", "woman", "king", "queen")),
        ("family", ("man", "woman", "king", "tree")),
        ("other", ("man", "woman", "king", "none")),
    ]
    right, sections = answered(CODES, PLACE, questions)
    assert right.tolist() == [True, False]
    assert sections == ["family", "family"]
    with pytest.raises(NotApplicable, match="no question"):
        answered(CODES, PLACE, questions[2:])


def test_neighbours_of_words_that_are_there():
    codes = WordCodes(("king", "queen", "man", "woman", "tree"), CODES, PLACE)
    found = word_neighbours(codes)
    assert found.table["word"] == ["king"]
    assert found.table["neighbours"][0].split()[0] == "man"
    with pytest.raises(NotApplicable, match="none of the words"):
        word_neighbours(WordCodes(("a",), CODES[:1], {"a": 0}))


def test_words_and_their_neighbours_lie_on_a_plane():
    found = word_map(WordCodes(("king", "queen", "man", "woman", "tree"), CODES, PLACE))
    assert sorted(found.table["word"]) == sorted(PLACE)
    assert found.value == pytest.approx(1, abs=0.2)
    at = dict(zip(found.table["word"], zip(found.table["x"], found.table["y"], strict=True), strict=True))
    assert dist(at["king"], at["man"]) < dist(at["king"], at["queen"])


def test_the_judgements_of_gensim():
    pytest.importorskip("gensim")
    assert len(word_pairs("wordsim353")) == 353
    assert word_pairs("wordsim353")[0] == ("love", "sex", 6.77)
    assert len(word_pairs("simlex999")) == 999
    assert analogies()[0] == ("capital-common-countries", ("athens", "greece", "baghdad", "iraq"))


def test_without_gensim_the_package_is_named(monkeypatch):
    monkeypatch.setattr(word_judgements, "find_spec", lambda name: None)
    with pytest.raises(NotApplicable, match=r"pip install 'bottleneck-zoo\[words\]'"):
        wordsim353(WordCodes(("king",), CODES[:1], {"king": 0}))


def test_all_words_are_encoded_those_of_validation_too(compose_job, tmp_path):
    (tmp_path / "a.txt").write_text("the cat sat on the mat and the dog sat on the rug " * 3)
    job = compose_job(
        "variant=svd", "data=words", f"data.source.path={tmp_path}", "width=2", "data.source.vocabulary=8"
    )
    data = read(job)
    with torch.no_grad():
        subject = Subject(fit_one(job, data).model, data, {})
        assert len(data.train) < len(subject.word_codes.words) == 8
        assert subject.word_codes.words[0] == "the"
        torch.testing.assert_close(subject.word_codes.codes.norm(dim=1), torch.ones(8))


def test_samples_that_are_no_words_have_none(small_model, digits):
    with pytest.raises(NotApplicable, match="are no words"):
        _ = Subject(small_model, digits, {}).word_codes


def test_judgements_of_your_own(tmp_path, compose_job, fit_job):
    """They take the place of gensim's, file by file, and their digest is in the record, so that others are due."""
    (tmp_path / "wordsim353.tsv").write_text("# mine\nking\tman\t9\nKing\tqueen\t5.5\n\nking\twoman\t4\n")
    (tmp_path / "questions-words.txt").write_text(": family\nman woman king queen\n")
    assert word_pairs("wordsim353", tmp_path) == [("king", "man", 9.0), ("king", "queen", 5.5), ("king", "woman", 4.0)]
    assert analogies(tmp_path) == [("family", ("man", "woman", "king", "queen"))]
    found = WordCodes(("king", "queen", "man", "woman", "tree"), CODES, PLACE, tmp_path)
    assert wordsim353(found).value == pytest.approx(1.0)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("king and man and queen or woman saw a tree or man " * 9)
    run = fit_job(compose_job("variant=svd", "data=words", f"data.source.path={tmp_path / 'corpus'}", "width=3"))
    names = ["wordsim353", "code_width"]
    entries = evaluate(run.model, run.data, names, {}, judgements=tmp_path)
    assert entries["wordsim353"]["settings"] == {"judgements": digest_of(tmp_path)}
    assert "settings" not in entries["code_width"]
    groups = ["words", "code"]
    assert "wordsim353" not in due(entries, groups, judgements=tmp_path)
    assert "wordsim353" not in due(entries, groups)
    (tmp_path / "wordsim353.tsv").write_text("king\tman\t1\nking\tqueen\t5.5\nking\twoman\t4\n")
    assert "wordsim353" in due(entries, groups, judgements=tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("wordsim353.tsv", "king man 9", "wordsim353.tsv: line 1 is not two words and a number with tabs"),
        ("simlex999.txt", "# a\nking\tman\tvery", "simlex999.txt: line 2 is not two words and a number"),
        ("questions-words.txt", ": a\nking man", "questions-words.txt: line 2 is neither four words nor"),
        ("other.txt", "", "has none of the files wordsim353.tsv, simlex999.txt, questions-words.txt"),
    ],
)
def test_judgements_that_cannot_be_read_are_told_before_a_fit(tmp_path, compose_job, file, text, message):
    (tmp_path / file).write_text(text)
    with pytest.raises(ZooError, match=message):
        compose_job("evaluation=words", f"evaluation.judgements={tmp_path}").due(None)
    with pytest.raises(ZooError, match="no such folder"):
        digest_of(tmp_path / "nowhere")
