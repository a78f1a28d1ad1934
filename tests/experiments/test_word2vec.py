"""The comparison of skip-gram with gensim."""

import json

import numpy as np

from experiments.word2vec import documents, page
from zoo.data.sources.contexts import END


def test_documents_are_the_words_between_their_ends():
    tokens = np.array([0, 1, END, END, 2, 0, END], np.int32)
    assert [*documents(tokens, ("a", "b", "c"))] == [["a", "b"], [], ["c", "a"], []]


def test_the_page_is_that_of_its_numbers_and_the_zoo_is_behind_in_similarity_alone(repository):
    folder = repository / "results" / "word2vec"
    about = json.loads((folder / "word2vec.json").read_text())
    assert (folder / "README.md").read_text() == page(about)
    zoo, gensim = (about["found"][name] for name in ("zoo", "gensim"))
    for score, ahead in (("wordsim353", True), ("analogies", True), ("simlex999", False)):
        own, others = ([each[score] for each in rows] for rows in (zoo, gensim))
        assert (min(own) > max(others)) == ahead, "docs/words-and-documents.md says so"
    for row, other in zip(zoo, gensim, strict=True):
        assert row["cpu_seconds"] < 2 * other["cpu_seconds"]
