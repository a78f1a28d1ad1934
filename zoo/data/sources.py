"""Where images come from: one function per data set, each returning a `Source` with its own test split.

Every function reads once per process and hands the same `Source` to whoever asks with the same arguments.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from functools import cache
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.data.images import Images, Source
from zoo.errors import ZooError

# MD5 of the unpacked files; torchvision knows those of the archives, and checks nothing once unpacked.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
FASHION_MNIST_MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
DIGITS = tuple("0123456789")

FACES_FILE = "olivettifaces.mat"
FACES_PAGE = "https://scikit-learn.org/stable/modules/generated/sklearn.datasets.fetch_olivetti_faces.html"
FACES_WHITE = 242.0  # the largest of the published bytes, which scikit-learn's loader maps to 1


@cache
def digits(test_fraction: float = 0.2, split_seed: int = 0) -> Source:
    """1,797 handwritten digits, 1x8x8, in 17 grey levels; they come with scikit-learn.

    The set has no published split. Ours is stratified by digit and fixed by `split_seed`: numbers on it
    compare with one another, not with those of other papers.

    Args:
        test_fraction: share of the images that test, in (0, 1).
        split_seed: determines which.

    Raises:
        ZooError: `test_fraction` out of range, or too small or large for each digit to stand on both sides.

    Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits (its test part), UCI, 1998.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    if not 0 < test_fraction < 1:
        raise ZooError(f"test_fraction is {test_fraction}; it must lie between 0 and 1, both excluded")
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
            f"test_fraction is {test_fraction}, and train or test lacks a digit; choose one nearer to 0.2"
        ) from error
    train, test = (torch.from_numpy(np.sort(index)) for index in (train, test))
    return Source("digits", images.subset(train), images.subset(test), DIGITS)


@cache
def mnist(root: str = "data") -> Source:
    """60,000 + 10,000 handwritten digits, 1x28x28, with the published test split; downloaded where missing.

    Args:
        root: folder that holds, or will hold, `MNIST/raw`, as torchvision lays it out.

    Raises:
        ZooError: files are missing and cannot be downloaded, or differ from the published ones.

    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, 1998; CC BY-SA 3.0.
    """
    page = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    return _idx_source("mnist", "MNIST", root, MNIST_MD5, DIGITS, page)


@cache
def binary_mnist(root: str = "data", seed: int = 0) -> Source:
    """MNIST in black and white: each pixel white with its grey level as the probability, drawn once for all.

    The static binarisation of the papers on likelihoods (R. Salakhutdinov, I. Murray, "On the quantitative analysis of
    deep belief networks", 2008), whose own draw is another: means over 10,000 images differ by little.

    Args:
        root: see `mnist`.
        seed: determines the draw.

    Raises:
        ZooError: see `mnist`.
    """
    grey, generator = mnist(root), torch.Generator().manual_seed(seed)
    train, test = (
        Images(torch.bernoulli(images[:], generator=generator).to(torch.uint8), images.labels, scale=1.0)
        for images in (grey.train, grey.test)
    )
    return Source("binary_mnist", train, test, grey.classes)


@cache
def fashion_mnist(root: str = "data") -> Source:
    """60,000 + 10,000 articles of clothing, 1x28x28, with the published test split; downloaded where missing.

    Args:
        root: folder that holds, or will hold, `FashionMNIST/raw`, as torchvision lays it out.

    Raises:
        ZooError: files are missing and cannot be downloaded, or differ from the published ones.

    Source: H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, 2017, arXiv:1708.07747; MIT licence.
    """
    classes = (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    )
    page = "https://github.com/zalandoresearch/fashion-mnist"
    return _idx_source("fashion_mnist", "FashionMNIST", root, FASHION_MNIST_MD5, classes, page)


@cache
def cifar10(root: str = "data") -> Source:
    """50,000 + 10,000 photographs of ten things, 3x32x32, with the published split; downloaded where missing.

    Args:
        root: folder that holds, or will hold, `cifar-10-batches-py`, as torchvision lays it out.

    Raises:
        ZooError: files are missing and cannot be downloaded, or differ from the published ones.

    Source: A. Krizhevsky, Learning multiple layers of features from tiny images, 2009.
    """
    from torchvision.datasets import CIFAR10

    md5s = dict((*CIFAR10.train_list, *CIFAR10.test_list))
    contents = _published(root, CIFAR10.base_folder, md5s, CIFAR10.url, lambda to: CIFAR10(to, download=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy 2.4.0 to 2.4.4 warn of files pickled as long ago as these
        batches = [pickle.loads(content.data, encoding="bytes") for content in contents]
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    return Source("cifar10", _rows(batches[:-1]), _rows(batches[-1:]), classes)


def _rows(batches: list[dict[bytes, Any]]) -> Images:
    """The images of unpickled CIFAR files, which keep each one as a row of 3,072 bytes."""
    pixels = torch.from_numpy(np.concatenate([batch[b"data"] for batch in batches]))
    labels = torch.tensor([label for batch in batches for label in batch[b"labels"]])
    return Images(pixels.view(-1, 3, 32, 32), labels)


@cache
def faces(root: str = "data") -> Source:
    """Photographs of 40 people, ten of each, 1x64x64: 300 + 100, in 243 grey levels; downloaded if missing.

    The set has no published split. Ours is by person, so that reconstruction is judged on people never seen:
    the first 30 train, the last 10 test. No label would be on both sides, so none is given. The validation
    images, which the datamodule cuts, show people that training has seen.

    Args:
        root: folder that holds, or will hold, `olivettifaces.mat`: under the name "faces" 4096 x 400 uint8,
            each column a face, one column of the picture after the other.

    Raises:
        ZooError: the file is missing and cannot be downloaded, or is not of this form.

    Source: AT&T Laboratories Cambridge; F. Samaria, A. Harter, Parameterisation of a stochastic model for
    human face identification, 1994. Downloaded by scikit-learn.
    """
    from scipy.io import loadmat

    path = Path(root) / FACES_FILE
    _download(Path(root), [Path(FACES_FILE)], FACES_PAGE, _fetch_faces)
    try:
        columns = loadmat(path)["faces"]
        if columns.shape != (64 * 64, 400) or columns.dtype != np.uint8 or columns.max() != FACES_WHITE:
            raise ValueError(f"{columns.dtype} of shape {columns.shape}, at most {columns.max()}")
    except Exception as error:  # scipy has no one error for a damaged file
        raise ZooError(
            f"{path}: not the Olivetti faces, which are uint8 of shape (4096, 400), at most {FACES_WHITE:.0f}, "
            f"under the name faces ({error}); delete it and run again to download it"
        ) from error
    pixels = torch.from_numpy(columns).T.reshape(400, 1, 64, 64).transpose(2, 3).contiguous()
    labels = torch.zeros(400, dtype=torch.int64)
    train = Images(pixels[:300], labels[:300], FACES_WHITE)
    test = Images(pixels[300:], labels[300:], FACES_WHITE)
    return Source("faces", train, test)


def _fetch_faces(folder: str) -> None:
    """Download the faces by scikit-learn and write them as they were published."""
    from scipy.io import savemat
    from sklearn.datasets import fetch_olivetti_faces

    published = fetch_olivetti_faces(data_home=folder, n_retries=1, delay=0.1).images
    pixels = np.rint(published * FACES_WHITE).astype(np.uint8)
    savemat(Path(folder) / FACES_FILE, {"faces": pixels.transpose(0, 2, 1).reshape(400, -1).T})


@cache
def patches(
    size: int = 12,
    n_train: int = 20_000,
    n_test: int = 5_000,
    colour: bool = False,
    whiten: bool = False,
    epsilon: float = 0.01,
    seed: int = 0,
) -> Source:
    """Square patches cut at random from the two photographs, 427x640, that come with scikit-learn.

    Training patches lie in the left three quarters of a photograph, test patches in the right quarter, so
    that no pixel is in both. Within a side they overlap: the validation patches, which the datamodule cuts
    from the training ones, are less foreign than the test patches. The label is the photograph.

    Whitening is ZCA, fitted on the training patches (mean m, covariance C = E diag(l) E'):

        w = E diag(l + epsilon mean(l))^(-1/2) E' (x - m),    pixel = clip(1/2 + w / 10, 0, 1)

    so that [0, 1] spans five standard deviations of w either way.

    Args:
        size: height and width of a patch, in pixels, 2 to 160.
        n_train: number of training patches.
        n_test: number of test patches.
        colour: red, green and blue; otherwise their luma 0.299 R + 0.587 G + 0.114 B.
        whiten: decorrelate the pixels.
        epsilon: what is added to each eigenvalue, as a share of their mean; it keeps noise small.
        seed: determines where the patches lie.

    Raises:
        ZooError: a number out of range.

    Source: B. Olshausen, D. Field, Emergence of simple-cell receptive field properties by learning a sparse
    code for natural images, 1996 (the setting); A. Bell, T. Sejnowski, The independent components of natural
    scenes are edge filters, 1997 (ZCA).
    """
    from sklearn.datasets import load_sample_images

    if not 2 <= size <= 160:
        raise ZooError(f"size is {size}; a patch must be 2 to 160 pixels wide, as the test regions are 160")
    if n_train < 2 or n_test < 1:
        raise ZooError(f"n_train is {n_train} and n_test is {n_test}; they must be 2 and 1 or more")
    if not epsilon > 0:
        raise ZooError(f"epsilon is {epsilon}; it must be above 0")
    photographs = np.stack(load_sample_images().images)
    if not colour:
        photographs = np.rint(photographs @ np.array([[0.299], [0.587], [0.114]])).astype(np.uint8)
    pixels = torch.from_numpy(photographs).permute(0, 3, 1, 2)
    generator = torch.Generator().manual_seed(seed)
    train = _cut(pixels[..., :480], size, n_train, generator)
    test = _cut(pixels[..., 480:], size, n_test, generator)
    if whiten:
        train, test = _whitened(train, test, epsilon)
    name = "patches" + "_colour" * colour + "_whitened" * whiten
    return Source(name, train, test, ("china", "flower"))


def _cut(regions: Tensor, size: int, n: int, generator: torch.Generator) -> Images:
    """`n` square patches at random places of regions: (R, C, H, W), labelled by their region."""
    windows = regions.unfold(2, size, 1).unfold(3, size, 1)
    label, row, column = (
        torch.randint(places, (n,), generator=generator)
        for places in (len(regions), windows.shape[2], windows.shape[3])
    )
    return Images(windows[label, :, row, column].contiguous(), label)


def _whitened(train: Images, test: Images, epsilon: float) -> tuple[Images, Images]:
    """Both sets under the ZCA whitening of the first (see `patches`), as float32 pixels in [0, 1]."""
    x = train[:].flatten(1).double()
    mean = x.mean(0)
    eigenvalues, vectors = torch.linalg.eigh(torch.cov((x - mean).T, correction=0))
    whitening = vectors * (eigenvalues + epsilon * eigenvalues.mean()).rsqrt() @ vectors.T

    def whitened(images: Images) -> Images:
        w = (images[:].flatten(1).double() - mean) @ whitening
        return Images((0.5 + w / 10).clamp(0, 1).float().view(images.pixels.shape), images.labels, scale=1.0)

    return whitened(train), whitened(test)


def _idx_source(
    name: str, dataset: str, root: str, md5s: Mapping[str, str], classes: tuple[str, ...], page: str
) -> Source:
    """Read a data set of torchvision's MNIST family.

    An idx file is a header (16 bytes for images, 8 for labels), then one byte per pixel or label.
    """

    def fetch(to: str) -> None:
        from torchvision import datasets

        getattr(datasets, dataset)(to, download=True)

    contents = _published(root, f"{dataset}/raw", md5s, page, fetch)
    train_pixels, train_labels, test_pixels, test_labels = map(torch.from_numpy, contents)
    train = Images(train_pixels[16:].view(-1, 1, 28, 28), train_labels[8:].long())
    test = Images(test_pixels[16:].view(-1, 1, 28, 28), test_labels[8:].long())
    return Source(name, train, test, classes)


def _published(
    root: str, folder: str, md5s: Mapping[str, str], page: str, fetch: Callable[[str], object]
) -> list[NDArray[np.uint8]]:
    """The bytes of a published data set, one array per file, downloaded where missing.

    Args:
        root: folder of all data sets.
        folder: the set's own folder below `root`.
        md5s: name and published MD5 of each of its files.
        page: see `_download`.
        fetch: see `_download`.

    Raises:
        ZooError: the download failed, or a file differs from the published one.
    """
    place = Path(root) / folder
    _download(Path(root), [Path(folder) / file for file in md5s], page, fetch)
    contents = []
    for file, expected in md5s.items():
        content = np.fromfile(place / file, dtype=np.uint8)
        found = hashlib.md5(content.data, usedforsecurity=False).hexdigest()
        if found != expected:
            known = {"MNIST": MNIST_MD5, "FashionMNIST": FASHION_MNIST_MD5}
            owner = next((f", that of {name}" for name, others in known.items() if found in others.values()), "")
            raise ZooError(
                f"{place / file}: its {len(content):,} bytes have the checksum {found}{owner}, not the "
                f"published {expected}; delete the folder {place} and run again to download it"
            )
        contents.append(content)
    return contents


def _download(root: Path, files: Iterable[Path], page: str, fetch: Callable[[str], object]) -> None:
    """Bring those of `files` that are missing below `root`, each whole or not at all.

    Args:
        root: folder of all data sets.
        files: paths below `root`.
        page: where a user finds the files, for the message where the download fails.
        fetch: downloads all files below the folder it is given.

    Raises:
        ZooError: the download failed.
    """
    missing = [file for file in files if not (root / file).is_file()]
    if not missing:
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        with (
            TemporaryDirectory(dir=root, prefix=".download-") as partial,
            redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            fetch(partial)
            for file in missing:
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                os.replace(Path(partial) / file, root / file)
    except (RuntimeError, OSError, HTTPException) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        names = ", ".join(file.name for file in missing)
        raise ZooError(
            f"{root / missing[0].parent} lacks {names}, and the download failed ({reason}): run again with a "
            f"network, or put the files of {page} there"
        ) from error
