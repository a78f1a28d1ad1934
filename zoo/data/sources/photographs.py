"""Photographs: faces, and patches of the two pictures that come with scikit-learn."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.data.images import Images, Source
from zoo.data.sources.download import download
from zoo.errors import ZooError

FACES_FILE = "olivettifaces.mat"
FACES_PAGE = "https://scikit-learn.org/stable/modules/generated/sklearn.datasets.fetch_olivetti_faces.html"
FACES_WHITE = 242.0  # the largest of the published bytes, which scikit-learn's loader maps to 1


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
    download(Path(root), [Path(FACES_FILE)], FACES_PAGE, _fetch_faces)
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
