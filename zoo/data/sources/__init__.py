"""Data sources: one function per data set, each returning a `Source` with a test split of its own.

Each function reads once per process, and returns the same `Source` for equal arguments.
"""

from zoo.data.sources.contexts import words
from zoo.data.sources.corpora import docstrings, newsgroups, texts
from zoo.data.sources.own import array, folder
from zoo.data.sources.page_pairs import pages
from zoo.data.sources.photographs import faces, patches
from zoo.data.sources.planted import planted
from zoo.data.sources.printed import documents
from zoo.data.sources.scans import binary_mnist, cifar10, digits, fashion_mnist, mnist
from zoo.data.sources.sprites import sprites
from zoo.data.sources.tables import breast_cancer, table, wine

__all__ = [
    "array",
    "binary_mnist",
    "breast_cancer",
    "cifar10",
    "digits",
    "docstrings",
    "documents",
    "faces",
    "fashion_mnist",
    "folder",
    "mnist",
    "newsgroups",
    "pages",
    "patches",
    "planted",
    "sprites",
    "table",
    "texts",
    "wine",
    "words",
]
