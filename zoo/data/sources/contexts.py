"""Words as vectors of their contexts: the matrix that count-based word embeddings factorise."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.checks import check_positive
from zoo.data.arrays import Seen, seen_files
from zoo.data.images import Images, Source
from zoo.data.sources.corpora import posts
from zoo.data.sparse_rows import SparseRows
from zoo.errors import ZooError
from zoo.samples import Form

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Vectors = Literal["ppmi", "one_hot"]
WORD = re.compile(r"[^\W\d_]+")
READ = 1 << 24  # characters of a text that are read at once
SPACES = " \n\t"  # that a text is cut at
TOKENS = 1 << 20  # that are paired at once
END = -1  # of a document, in a sequence of words' numbers


def words(
    root: str,
    path: str | None = None,
    vocabulary: int = 20_000,
    window: int = 5,
    smoothing: float = 0.75,
    subsample: float | None = None,
    vectors: Vectors = "ppmi",
) -> Source:
    """The most frequent words of a corpus, each as the vector of its contexts, as many as there are words.

        PPMI(w, c) = max(0, log N(w, c) N / (N(w) N_s(c))),   N_s(c) = N(c)^s N / sum_c' N(c')^s

    with N(w, c) the occurrences of c among the `window` words on either side of w, weighted by 1, 1 - 1/window, ... as
    the distance grows (word2vec's random windows have that mean), and s the smoothing of contexts. O. Levy and Y.
    Goldberg, "Neural word embedding as implicit matrix factorization", 2014; O. Levy, Y. Goldberg, I. Dagan, "Improving
    distributional similarity with lessons learned from word embeddings", 2015.

    Words are sequences of letters, in lower case; words outside the vocabulary are left out before windows are laid. A
    corpus is read once, in parts; four bytes a word are kept in a temporary file. Training and test samples are the
    same: all words. A word is not a draw from a population, so there is no test set; embeddings are measured by human
    judgements.

    Args:
        root: folder of all data sets; without `path`, all posts of 20 Newsgroups there are the corpus.
        path: a text file in UTF-8, or a folder of .txt files, each a document.
        vocabulary: number of words.
        window: words on either side.
        smoothing: s, in (0, 1].
        subsample: t: an occurrence of a word of relative frequency f is kept with probability min(1, sqrt(t / f) +
            t / f), drawn once, before windows are laid, as in word2vec's code; None keeps all.
        vectors: "ppmi"; or "one_hot", where a word's vector is 1 at its own place, for skip-gram.

    Raises:
        ZooError: no such file, no text in UTF-8, a corpus of fewer than three words, or a number out of range.
    """
    if vectors not in get_args(Vectors):
        raise ZooError(f"data.source.vectors={vectors}: choose ppmi or one_hot")
    for name, value, least in (("vocabulary", vocabulary, 3), ("window", window, 1)):
        if type(value) is not int or value < least:
            raise ZooError(f"data.source.{name}={value}: must be a whole number, at least {least}")
    if not (isinstance(smoothing, float | int) and 0 < smoothing <= 1):
        raise ZooError(f"data.source.smoothing={smoothing}: must be above 0, and at most 1")
    if subsample is not None:
        check_positive(subsample, "data.source.subsample")
    if path is not None and not Path(path).exists():
        raise ZooError(f"{path}: no such file or folder; data=words reads a text file, or a folder of .txt files")
    seen = seen_files(text_files(Path(path))) if path is not None else ()
    return _words(root, path, vocabulary, window, float(smoothing), subsample, vectors, seen)


@cache
def _words(
    root: str,
    path: str | None,
    vocabulary: int,
    window: int,
    smoothing: float,
    subsample: float | None,
    vectors: Vectors,
    seen: Seen,
) -> Source:
    """`words`; `seen` makes the cache miss where a file has changed."""
    from scipy.sparse import identity

    known, tokens = corpus(root, path, vocabulary, seen)
    kept = tokens if subsample is None else thinned(tokens, len(known), subsample)
    pairs = neighbours_of(kept, len(known), window)
    matrix = identity(len(known), np.float32, "csr") if vectors == "one_hot" else ppmi(pairs, smoothing)
    samples = Images(SparseRows(matrix), torch.zeros(len(known), dtype=torch.int64), 1.0)
    return Source("words", samples, samples, form=Form("vector", (len(known),), features=known), pairs=pairs)


@cache
def corpus(root: str, path: str | None, vocabulary: int, seen: Seen = ()) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The words, most frequent first, and the corpus as their numbers: (T,), with -1 at the end of each document."""
    documents = posts(root, "all").texts if path is None else read(text_files(Path(path)))
    known, tokens = numbered(documents, vocabulary)
    if len(known) < 3:
        raise ZooError(f"{path or root}: {len(known)} different words; a vocabulary needs at least three")
    return known, tokens


def text_files(place: Path) -> list[Path]:
    """The file itself, or the .txt files of a folder; ZooError if it has none."""
    found = sorted(place.rglob("*.txt")) if place.is_dir() else [place]
    if not found:
        raise ZooError(f"{place}: no .txt file there or below")
    return found


def read(files: Iterable[Path]) -> Iterator[str]:
    """Texts in parts of at most 16 million characters, cut between words; ZooError for one that is not UTF-8.

    Windows do not reach across the cuts.
    """
    for file in files:
        try:
            with open(file, encoding="utf-8-sig") as text:
                left = ""
                while part := text.read(READ):
                    known = left + part
                    end = 1 + max(map(known.rfind, SPACES))
                    if end:
                        yield known[:end]
                    left = known[end:]
                yield left
        except UnicodeDecodeError as error:
            raise ZooError(
                f"{file}: no text in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
            ) from error


def numbered(documents: Iterable[str], vocabulary: int) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """The most frequent words, ties by alphabet, and the documents as their numbers, others left out.

    One pass: every word gets a number when it is first met. The numbers are in a temporary file, four bytes each, so
    that a corpus may be larger than memory; its different words may not.

    Returns:
        words: most frequent first; and numbers: (T,), with -1 at the end of each document.
    """
    first: dict[str, int] = {}
    number = count()
    with TemporaryFile() as file:
        for document in documents:
            found = array("i")
            for match in WORD.finditer(document.lower()):
                if (known := first.get(word := match.group())) is None:
                    known = first[word] = next(number)
                found.append(known)
            found.append(END)
            found.tofile(file)
        tokens = mapped(file)
    frequency = frequencies(tokens, len(first))
    order = sorted(first, key=lambda word: (-frequency[first[word]], word))[:vocabulary]
    place = np.full(len(first) + 1, len(first), np.int32)
    place[-1] = END  # of the end of a document, which -1 picks
    place[[first[word] for word in order]] = np.arange(len(order))
    kept = 0
    for part in in_parts(tokens):
        renamed = place[part]
        renamed = renamed[renamed < max(1, len(order))]
        tokens[kept : kept + len(renamed)] = renamed
        kept += len(renamed)
    return tuple(order), tokens[:kept]


def frequencies(tokens: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    """How often each of so many words occurs: (size,)."""
    found = np.zeros(size + 1, np.int64)  # of ends, too
    for part in in_parts(tokens):
        found += np.bincount(part + 1, minlength=size + 1)
    return found[1:]


def in_parts(tokens: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
    """A corpus, a million words at a time."""
    return (tokens[start : start + TOKENS] for start in range(0, len(tokens), TOKENS))


def thinned(tokens: NDArray[np.int32], size: int, subsample: float) -> NDArray[np.int32]:
    """A corpus after frequent words have been thinned out, see `words`, in a temporary file."""
    frequency = frequencies(tokens, size)
    ratio = subsample * frequency.sum() / np.maximum(frequency, 1)
    chance = np.append(np.sqrt(ratio) + ratio, np.inf)  # all ends of documents are kept
    rng = np.random.default_rng(0)
    with TemporaryFile() as file:
        for part in in_parts(tokens):
            words_there = np.asarray(part)
            words_there[rng.random(len(words_there)) < chance[words_there]].tofile(file)
        return mapped(file)


def mapped(file: IO[bytes]) -> NDArray[np.int32]:
    """The numbers in a temporary file, which lives as long as they are used."""
    size = file.tell() // np.dtype(np.int32).itemsize
    return np.memmap(file, np.int32, "r+", shape=size) if size else np.zeros(0, np.int32)


def neighbours_of(tokens: NDArray[np.int32], size: int, window: int) -> csr_matrix:
    """N(w, c) of `words`: (V, V) float64, symmetric, counted in parts of a million words."""
    from scipy.sparse import coo_matrix, csr_matrix

    found = csr_matrix((size, size))
    for start in range(0, len(tokens), TOKENS):
        part = np.asarray(tokens[start : start + TOKENS + window])
        ends = np.cumsum(part == END)
        rows, columns, weights = [], [], []
        for distance in range(1, window + 1):
            stop = min(TOKENS, len(part) - distance)
            if stop <= 0:
                break
            left, right = part[:stop], part[distance : distance + stop]
            near = (left >= 0) & (right >= 0) & (ends[:stop] == ends[distance : distance + stop])
            rows.append(left[near])
            columns.append(right[near])
            weights.append(np.full(int(near.sum()), 1 - (distance - 1) / window))
        if rows:
            joined = tuple(np.concatenate(each) for each in (rows, columns, weights))
            found = found + coo_matrix((joined[2], joined[:2]), (size, size)).tocsr()
    return (found + found.T).tocsr()


def ppmi(pairs: csr_matrix, smoothing: float) -> csr_matrix:
    """Positive pointwise mutual information, see `words`, of N(w, c): (V, V) float32."""
    found = pairs.tocoo()
    word, context = (np.asarray(pairs.sum(axis)).ravel() for axis in (1, 0))
    smoothed = context**smoothing
    share = smoothed / smoothed.sum()
    values = np.log(found.data) - np.log(word[found.row]) - np.log(share[found.col])
    found.data = np.maximum(values, 0.0).astype(np.float32)
    matrix = found.tocsr()
    matrix.eliminate_zeros()
    return matrix
