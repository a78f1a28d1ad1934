"""Documents as vectors of terms: 20 Newsgroups, docstrings of Python's library, and your own texts."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.data.arrays import Seen, seen_files, split_places
from zoo.data.images import Images, Source
from zoo.data.sources.tables import frame_in
from zoo.data.sparse_rows import SparseRows
from zoo.errors import ZooError, nearest
from zoo.samples import Form

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Weights = Literal["tfidf", "counts"]
TERM = r"(?u)\b[^\W\d_]{2,}\b"  # two letters or more
LEAST_WORDS = 10  # of a docstring
LOG = logging.getLogger(__name__)
MODULES = (
    *("argparse", "ast", "asyncio", "calendar", "collections", "concurrent.futures", "configparser", "csv", "datetime"),
    *("decimal", "difflib", "email.message", "fractions", "http.client", "http.server", "inspect", "ipaddress"),
    *("logging", "mailbox", "multiprocessing", "pathlib", "random", "smtplib", "socket", "socketserver", "sqlite3"),
    *("statistics", "subprocess", "tarfile", "tempfile", "threading", "turtle", "unittest", "urllib.request"),
    *("xml.dom.minidom", "xml.etree.ElementTree", "zipfile"),
)


@dataclass(frozen=True)
class Corpus:
    """Documents, and the class of each.

    Attributes:
        texts: N documents.
        labels: (N,) int64; all zero where there are no classes.
        classes: names of the labels; empty where there are none.
    """

    texts: Sequence[str]
    labels: NDArray[np.int64]
    classes: tuple[str, ...] = ()

    def part(self, index: NDArray[np.int64]) -> Corpus:
        """The documents at `index`."""
        return Corpus([self.texts[place] for place in index], self.labels[index], self.classes)


@cache
def newsgroups(root: str, terms: int = 2000, weights: Weights = "tfidf", stop_words: bool = False) -> Source:
    """20 Newsgroups, 11,314 and 7,532 posts of 20 groups, split by date; headers, footers and quotes are removed.

    Downloaded by scikit-learn.

    Args:
        root: folder of all data sets.
        terms: the most frequent terms of training documents, which are counted.
        weights: see `vectors`.
        stop_words: count words such as "the", too.

    Raises:
        ZooError: the posts are not there and cannot be downloaded, or a number out of range.

    Source: K. Lang, "NewsWeeder: learning to filter netnews", 1995.
    """
    train, test = (posts(root, part) for part in ("train", "test"))
    return vectors("newsgroups", train, test, terms, weights, stop_words)


def posts(root: str, part: str) -> Corpus:
    """The posts of 20 Newsgroups, "train", "test" or "all".

    Raises:
        ZooError: they are not there and cannot be downloaded.
    """
    from sklearn.datasets import fetch_20newsgroups

    try:
        found = fetch_20newsgroups(data_home=root, subset=part, remove=("headers", "footers", "quotes"))
    except OSError as error:
        raise ZooError(
            f"20 Newsgroups is not in {root} and cannot be downloaded ({error}); connect to a network once, or put "
            "scikit-learn's file 20news-bydate_py3.pkz there"
        ) from error
    return Corpus(found.data, found.target.astype(np.int64), tuple(found.target_names))


@cache
def docstrings(
    terms: int = 1000,
    weights: Weights = "tfidf",
    stop_words: bool = False,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Source:
    """Docstrings of public classes, methods and functions of 37 modules of Python's library, at least ten words each.

    The class of a document is its module. Nothing is downloaded.

    Limitations: they differ between versions of Python, and so do results.

    Args:
        terms: see `newsgroups`.
        weights: see `vectors`.
        stop_words: see `newsgroups`.
        test_fraction: fraction of the documents used for testing, in (0, 1).
        split_seed: determines which documents these are.
    """
    found = [(text, label) for label, name in enumerate(MODULES) for text in docstrings_of(name)]
    corpus = Corpus([text for text, _ in found], np.array([label for _, label in found]), MODULES)
    return vectors(
        "docstrings", *divided_corpus("docstrings", corpus, test_fraction, split_seed), terms, weights, stop_words
    )


def docstrings_of(name: str) -> Iterator[str]:
    """The different docstrings of a module's own public classes, methods and functions, in the order of their names."""
    module = importlib.import_module(name)
    own = [part for part in described(vars(module)) if inspect.getmodule(part) is module]
    inside = [part for each in own if inspect.isclass(each) for part in described(vars(each))]
    texts = (inspect.getdoc(part) for part in [*own, *inside])
    yield from dict.fromkeys(text for text in texts if text and len(text.split()) >= LEAST_WORDS)


def described(names: Mapping[str, Any]) -> list[Any]:
    """The classes and functions among the members of a module or a class, in the order of their names."""
    return [part for _, part in sorted(names.items()) if inspect.isclass(part) or inspect.isroutine(part)]


def texts(
    path: str | None = None,
    column: str | None = None,
    label: str | None = None,
    terms: int = 2000,
    weights: Weights = "tfidf",
    stop_words: bool = False,
    test_fraction: float = 0.2,
    split_seed: int = 0,
) -> Source:
    """Your own documents: a folder of .txt files in UTF-8, or a column of a table.

    In a folder, the folders that documents lie in are their classes, if there are at least two.

    Args:
        path: a folder; or a .csv or .parquet file.
        column: the table's column of documents.
        label: the table's column of classes; None for none.
        terms: see `newsgroups`.
        weights: see `vectors`.
        stop_words: see `newsgroups`.
        test_fraction: fraction of the documents used for testing, in (0, 1).
        split_seed: determines which documents these are.

    Raises:
        ZooError: no such folder, file or column; a file that is not UTF-8; fewer than three documents with words.
    """
    if path is None:
        raise ZooError("data=texts reads documents of your own: add data.source.path=folder, or a .csv file")
    place = Path(path)
    if not place.exists():
        raise ZooError(f"{path}: no such folder or file; data=texts reads a folder of .txt files, or a table")
    files = sorted(place.rglob("*.txt")) if place.is_dir() else [place]
    return _texts(path, column, label, terms, weights, stop_words, test_fraction, split_seed, seen_files(files))


@cache
def _texts(
    path: str,
    column: str | None,
    label: str | None,
    terms: int,
    weights: Weights,
    stop_words: bool,
    test_fraction: float,
    split_seed: int,
    seen: Seen,
) -> Source:
    """`texts`; `seen` makes the cache miss where a file has changed."""
    corpus = in_folder(Path(path), seen) if Path(path).is_dir() else in_table(path, column, label)
    train, test = divided_corpus(path, corpus, test_fraction, split_seed)
    source = vectors("texts", train, test, terms, weights, stop_words)
    if lost := len(corpus.texts) - len(source.train) - len(source.test):
        LOG.warning("%s: %d of %d documents are left out: they hold none of the terms", path, lost, len(corpus.texts))
    return source


def in_folder(folder: Path, seen: Seen) -> Corpus:
    """The documents of a folder; ZooError where there is none, or one is not UTF-8."""
    paths = [Path(name) for name, _, _ in seen]
    if not paths:
        raise ZooError(f"{folder}: no .txt file there or below; a document is a file")
    texts = []
    for path in paths:
        try:
            texts.append(path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise not_utf8(path, error) from error
    return labelled(texts, [path.parent.name for path in paths])


def not_utf8(path: Path, error: UnicodeDecodeError) -> ZooError:
    """The message about a text that cannot be read."""
    return ZooError(f"{path}: no text in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8")


def in_table(path: str, column: str | None, label: str | None) -> Corpus:
    """The documents of a table's column; ZooError where a column is missing or holds no texts."""
    frame = frame_in(path)
    if column is None:
        raise ZooError(f"{path}: say which column holds the documents: data.source.column=text")
    for name, setting in ((column, "column"), (label, "label")):
        if name is not None and name not in frame:
            raise ZooError(f"data.source.{setting}={name}: {path} has no such column{nearest(name, frame.columns)}")
    texts = frame[column].fillna("").astype(str).tolist()
    return labelled(texts, [""] * len(texts) if label is None else frame[label].astype(str).tolist())


def labelled(texts: Sequence[str], names: Sequence[str]) -> Corpus:
    """Documents with their classes by name; without classes where all names are equal."""
    classes, labels = np.unique(np.array(names), return_inverse=True)
    return Corpus(texts, labels.astype(np.int64), tuple(map(str, classes)) if len(classes) > 1 else ())


def divided_corpus(where: str, corpus: Corpus, test_fraction: float, split_seed: int) -> tuple[Corpus, Corpus]:
    """Training and test documents, see `zoo.data.arrays.split_places`.

    Raises:
        ZooError: a fraction out of range, or too few documents.
    """
    if not 0 < test_fraction < 1:
        raise ZooError(f"data.source.test_fraction={test_fraction}: must be between 0 and 1, both excluded")
    if (count := len(corpus.texts)) < 3:
        raise ZooError(f"{where}: {count} documents; train, validation and test need at least one each")
    labels = torch.from_numpy(corpus.labels)
    train, test = split_places(labels, bool(corpus.classes), test_fraction, split_seed)
    return corpus.part(train.numpy()), corpus.part(test.numpy())


def vectors(name: str, train: Corpus, test: Corpus, terms: int, weights: Weights, stop_words: bool) -> Source:
    """Documents as sparse vectors over the most frequent terms of the training documents.

    Terms are words of two letters or more, in lower case. "counts" are the numbers of their occurrences. "tfidf" are
    those times ln((1 + N) / (1 + n_t)) + 1, where n_t of N training documents hold the term t, and scaled to length 1:
    as scikit-learn's `TfidfVectorizer`. Documents without any of the terms are left out.

    Args:
        name: of the data set.
        train: training documents.
        test: test documents.
        terms: how many.
        weights: "tfidf" or "counts".
        stop_words: count words such as "the", too.

    Raises:
        ZooError: a setting out of range; no document, or only one, holds a term.
    """
    from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

    if weights not in get_args(Weights):
        raise ZooError(f"data.source.weights={weights}: choose tfidf or counts")
    if type(terms) is not int or terms < 2:
        raise ZooError(f"data.source.terms={terms}: must be a whole number, at least 2")
    counter = CountVectorizer(
        max_features=terms, token_pattern=TERM, stop_words=None if stop_words else "english", dtype=np.float32
    )
    try:
        counts = [counter.fit_transform(train.texts), counter.transform(test.texts)]
    except ValueError as error:
        raise ZooError(
            f"{name}: no training document holds a word ({error}); data.source.stop_words=true counts words such as "
            "'the', too"
        ) from error
    filled = [np.flatnonzero(np.diff(each.indptr)) for each in counts]
    if min(map(len, filled)) < 1 or len(filled[0]) < 2:
        raise ZooError(
            f"{name}: {len(filled[0])} training and {len(filled[1])} test documents hold any of the terms; at least "
            "two and one are needed: add documents, or raise data.source.terms"
        )
    matrices: list[csr_matrix] = [each[index] for each, index in zip(counts, filled, strict=True)]
    if weights == "tfidf":
        weigh = TfidfTransformer().fit(matrices[0])
        matrices = [weigh.transform(each).astype(np.float32) for each in matrices]
    words = tuple(map(str, counter.get_feature_names_out()))
    form = Form("counts" if weights == "counts" else "vector", (len(words),), features=words)
    sets = [
        Images(SparseRows(matrix), torch.from_numpy(corpus.labels[index]), 1.0)
        for matrix, corpus, index in zip(matrices, (train, test), filled, strict=True)
    ]
    return Source(name, sets[0], sets[1], train.classes, form=form)
