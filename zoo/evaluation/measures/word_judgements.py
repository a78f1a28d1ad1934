"""Human judgements of pairs of words, and analogies: the files of the package gensim, or your own of the same form."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.evaluation.measures.influence import Moved, jackknifed
from zoo.evaluation.registry import NotApplicable

FILES = {"wordsim353": "wordsim353.tsv", "simlex999": "simlex999.txt", "analogies": "questions-words.txt"}
CHUNK = 1024
Pairs = list[tuple[str, str, float]]
Questions = list[tuple[str, tuple[str, str, str, str]]]


def path_of(name: str, folder: Path | None = None) -> Path:
    """A file of judgements: your own where the folder has it, else that of gensim.

    Raises:
        NotApplicable: there is neither.
    """
    if folder is not None and (own := folder / FILES[name]).exists():
        return own
    spec = find_spec("gensim")
    if spec is None or not spec.submodule_search_locations:
        raise NotApplicable("judgements of words come with gensim: pip install 'bottleneck-zoo[words]'")
    return Path(spec.submodule_search_locations[0]) / "test" / "test_data" / FILES[name]


def word_pairs(name: str, folder: Path | None = None) -> Pairs:
    """Two words in lower case, and how similar people judge them.

    "wordsim353": relatedness, L. Finkelstein et al., "Placing search in context", 2002. "simlex999": similarity, not
    relatedness, F. Hill, R. Reichart, A. Korhonen, "SimLex-999", 2015. A line is two words and a number, with tabs
    between them; lines that begin with # do not count.

    Raises:
        ZooError: a line of a file of your own is not such a line.
        NotApplicable: there is no file.
    """
    found, path = [], path_of(name, folder)
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            try:
                a, b, value = line.split("\t")
                found.append((a.lower(), b.lower(), float(value)))
            except ValueError as error:
                raise ZooError(f"{path}: line {number} is not two words and a number with tabs between them") from error
    return found


def analogies(folder: Path | None = None) -> Questions:
    """Sections with questions "a is to b as c is to d": T. Mikolov et al., "Efficient estimation ...", 2013.

    A line ": name" begins a section; others are four words.

    Raises:
        ZooError: a line of a file of your own is neither.
        NotApplicable: there is no file.
    """
    section, found, path = "", [], path_of("analogies", folder)
    for number, line in enumerate(text_of(path).splitlines(), 1):
        words = line.lower().split()
        if line.startswith(":"):
            section = words[-1]
        elif len(words) == 4:
            found.append((section, (words[0], words[1], words[2], words[3])))
        elif words:
            raise ZooError(f"{path}: line {number} is neither four words nor the name of a section after a colon")
    return found


def text_of(path: Path) -> str:
    """A file's text; ZooError if it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ZooError(f"{path}: cannot be read as UTF-8 ({error})") from error


def digest_of(folder: Path | None) -> str | None:
    """A digest of the files of judgements in a folder of your own, which are read to check them; None without one.

    Raises:
        ZooError: there is no such folder, it has none of the three files, or one of them is not of its form.
    """
    if folder is None:
        return None
    if not folder.is_dir():
        raise ZooError(f"evaluation.judgements={folder}: no such folder")
    names = [name for name, file in FILES.items() if (folder / file).exists()]
    if not names:
        raise ZooError(f"evaluation.judgements={folder}: has none of the files {', '.join(FILES.values())}")
    for name in names:
        _ = analogies(folder) if name == "analogies" else word_pairs(name, folder)
    return sha256("\0".join(f"{name}\0{text_of(folder / FILES[name])}" for name in names).encode()).hexdigest()[:10]


def similarity(vectors: Tensor, place: Mapping[str, int], pairs: Pairs) -> Moved:
    """Spearman's rank correlation of cosines with judgements, over the pairs of which both words are known.

    Args:
        vectors: (V, D), of unit length.
        place: {word: row}.
        pairs: words and judgements.

    Raises:
        NotApplicable: fewer than three pairs are known.
    """
    from scipy.stats import spearmanr

    known = [(place[a], place[b], value) for a, b, value in pairs if a in place and b in place]
    if len(known) < 3:
        raise NotApplicable(f"{len(known)} of the {len(pairs)} pairs are in the vocabulary")
    a, b, judged = (torch.tensor(column) for column in zip(*known, strict=True))
    cosines = (vectors[a] * vectors[b]).sum(1)
    if (cosines == cosines[0]).all():
        raise NotApplicable("all words have the same cosine")

    def correlation(rows: Tensor) -> float:
        return float(spearmanr(cosines[rows].numpy(), judged[rows].numpy()).statistic)

    return jackknifed(correlation, len(known))


def answered(vectors: Tensor, place: Mapping[str, int], questions: Questions) -> tuple[Tensor, list[str]]:
    """Whether the word nearest to b - a + c, these three left out, is d: (Q,) booleans, and the questions' sections.

    Args:
        vectors: (V, D), of unit length.
        place: {word: row}.
        questions: those whose four words are known count.

    Raises:
        NotApplicable: there is none.
    """
    known = [(section, [place[w] for w in words]) for section, words in questions if all(w in place for w in words)]
    if not known:
        raise NotApplicable("the vocabulary holds the four words of no question")
    a, b, c, d = torch.tensor([rows for _, rows in known]).T
    right = []
    for part in torch.split(torch.arange(len(known)), CHUNK):
        cosines = (vectors[b[part]] - vectors[a[part]] + vectors[c[part]]) @ vectors.T
        for word in (a, b, c):
            cosines[torch.arange(len(part)), word[part]] = -torch.inf
        right.append(cosines.argmax(1) == d[part])
    return torch.cat(right), [section for section, _ in known]


def unit_length(vectors: Tensor) -> Tensor:
    """Vectors (V, D) divided by their lengths."""
    return torch.nn.functional.normalize(vectors.float(), dim=1)


def shares(right: Tensor, sections: list[str]) -> dict[str, float]:
    """The fraction of right answers of each section."""
    names = np.array(sections)
    return {name: float(right.numpy()[names == name].mean()) for name in dict.fromkeys(sections)}
