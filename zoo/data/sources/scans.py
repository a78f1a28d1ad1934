"""MNIST, Fashion-MNIST and CIFAR-10, downloaded by torchvision, and the digits of scikit-learn."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch

from zoo.data.images import Images, Source
from zoo.data.left_out import leaving_out
from zoo.data.sources.download import FASHION_MNIST_MD5, MNIST_MD5, published
from zoo.errors import ZooError

DIGITS = tuple("0123456789")


@cache
def digits(test_fraction: float = 0.2, split_seed: int = 0, without: int | str | None = None) -> Source:
    """1,797 handwritten digits, 1x8x8, in 17 grey levels; included in scikit-learn.

    The set has no published split. This one is stratified by digit and determined by `split_seed`, so that results on
    it are not comparable with those of papers.

    Args:
        test_fraction: fraction of the images used for testing, in (0, 1).
        split_seed: determines which images these are.
        without: a class that is left out, by its number or its name, see `zoo.data.left_out`; None for none.

    Raises:
        ZooError: `test_fraction` out of range, or too small or large for each digit to be on both sides; no such class.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits (its test part), UCI, 1998.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    if not 0 < test_fraction < 1:
        raise ZooError(f"data.source.test_fraction={test_fraction}: must be between 0 and 1, both excluded")
    published = load_digits()
    labels = torch.from_numpy(published.target.astype(np.int64))
    images = Images(torch.from_numpy(published.images.astype(np.uint8))[:, None], labels, scale=16.0)
    try:
        train, test = train_test_split(
            np.arange(len(labels)),
            test_size=test_fraction,
            random_state=split_seed,
            stratify=published.target,
        )
    except ValueError as error:
        raise ZooError(
            f"data.source.test_fraction={test_fraction}: train or test lacks a digit; choose a value closer to 0.2"
        ) from error
    train, test = (torch.from_numpy(np.sort(index)) for index in (train, test))
    return leaving_out(Source("digits", images.subset(train), images.subset(test), DIGITS), without)


@cache
def mnist(root: str = "data", without: int | str | None = None) -> Source:
    """60,000 + 10,000 handwritten digits, 1x28x28, with the published test split; downloaded where missing.

    Args:
        root: folder of `MNIST/raw`, in torchvision's layout.
        without: a class that is left out, by its number or its name, see `zoo.data.left_out`; None for none.

    Raises:
        ZooError: files are missing and cannot be downloaded, or differ from the published ones; no such class.

    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, 1998; CC BY-SA 3.0.
    """
    page = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    return leaving_out(_idx_source("mnist", "MNIST", root, MNIST_MD5, DIGITS, page), without)


@cache
def binary_mnist(root: str = "data", seed: int = 0, redrawn: bool = False, without: int | str | None = None) -> Source:
    """MNIST with binary pixels: each is 1 with its grey level as the probability, drawn once.

    The static binarisation of papers on likelihoods: R. Salakhutdinov, I. Murray, "On the quantitative analysis of deep
    belief networks", 2008. Their random numbers differ, which changes means over 10,000 images little.

    Args:
        root: see `mnist`.
        seed: determines the random numbers.
        redrawn: training images stay grey, and gradient fits binarise them dynamically, again in each epoch, as in
            Y. Burda, R. Grosse, R. Salakhutdinov 2015, arXiv:1509.00519; test images do not change.
        without: a class that is left out, by its number or its name, see `zoo.data.left_out`; None for none.

    Raises:
        ZooError: see `mnist`.
    """
    grey, generator = mnist(root), torch.Generator().manual_seed(seed)
    # training images are always binarised first, because the random numbers of the test images follow theirs
    train, test = (images.binarised(generator) for images in (grey.train, grey.test))
    return leaving_out(Source("binary_mnist", grey.train if redrawn else train, test, grey.classes, redrawn), without)


@cache
def fashion_mnist(root: str = "data", without: int | str | None = None) -> Source:
    """60,000 + 10,000 articles of clothing, 1x28x28, with the published test split; downloaded where missing.

    Args:
        root: folder of `FashionMNIST/raw`, in torchvision's layout.
        without: a class that is left out, by its number or its name, see `zoo.data.left_out`; None for none.

    Raises:
        ZooError: files are missing and cannot be downloaded, or differ from the published ones; no such class.

    Source: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747; MIT licence.
    """
    classes = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    page = "https://github.com/zalandoresearch/fashion-mnist"
    return leaving_out(_idx_source("fashion_mnist", "FashionMNIST", root, FASHION_MNIST_MD5, classes, page), without)


@cache
def cifar10(root: str = "data", without: int | str | None = None) -> Source:
    """50,000 + 10,000 photographs of ten classes, 3x32x32, with the published split; downloaded where missing.

    Args:
        root: folder of `cifar-10-batches-py`, in torchvision's layout.
        without: a class that is left out, by its number or its name, see `zoo.data.left_out`; None for none.

    Raises:
        ZooError: files are missing and cannot be downloaded, or differ from the published ones; no such class.

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    from torchvision.datasets import CIFAR10

    md5s = dict((*CIFAR10.train_list, *CIFAR10.test_list))
    contents = published(root, CIFAR10.base_folder, md5s, CIFAR10.url, lambda to: CIFAR10(to, download=True))
    with warnings.catch_warnings():
        # NumPy 2.4.0 to 2.4.4 warn about files pickled as long ago as these
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        batches = [pickle.loads(content.data, encoding="bytes") for content in contents]
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return leaving_out(Source("cifar10", _rows(batches[:-1]), _rows(batches[-1:]), classes), without)


def _rows(batches: list[dict[bytes, Any]]) -> Images:
    """The images of unpickled CIFAR files, which hold each image as a row of 3,072 bytes."""
    pixels = torch.from_numpy(np.concatenate([batch[b"data"] for batch in batches]))
    labels = torch.tensor([label for batch in batches for label in batch[b"labels"]])
    return Images(pixels.view(-1, 3, 32, 32), labels)


def _idx_source(
    name: str, dataset: str, root: str, md5s: Mapping[str, str], classes: tuple[str, ...], page: str
) -> Source:
    """Read a data set of torchvision's MNIST family.

    An idx file is a header (16 bytes for images, 8 for labels), followed by one byte per pixel or label.
    """

    def fetch(to: str) -> None:
        from torchvision import datasets

        getattr(datasets, dataset)(to, download=True)

    contents = published(root, f"{dataset}/raw", md5s, page, fetch)
    train_pixels, train_labels, test_pixels, test_labels = map(torch.from_numpy, contents)
    train = Images(train_pixels[16:].view(-1, 1, 28, 28), train_labels[8:].long())
    test = Images(test_pixels[16:].view(-1, 1, 28, 28), test_labels[8:].long())
    return Source(name, train, test, classes)
