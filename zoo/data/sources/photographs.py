"""Photographs: faces, and patches of the two pictures included in scikit-learn."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.checks import check_positive
from zoo.data.images import Images, Source
from zoo.data.room import check_room
from zoo.data.sources.download import download
from zoo.errors import ZooError

FACES_FILE = "olivettifaces.mat"
FACES_PAGE = "https://scikit-learn.org/stable/modules/generated/sklearn.datasets.fetch_olivetti_faces.html"
FACES_WHITE = 242.0  # the largest byte published, which scikit-learn's loader maps to 1


@cache
def faces(root: str = "data") -> Source:
    """Photographs of 40 people, ten of each, 1x64x64: 300 + 100, in 243 grey levels; downloaded if missing.

    The set has no published split. This one is by person, so that test images show people who are not in the training
    set: the first 30 are for training, the last 10 for testing. There are no labels, because no person is on both
    sides. Validation images show people who are also in the training set.

    Args:
        root: folder of `olivettifaces.mat`, which holds an array "faces", 4096 x 400 uint8, with a face per column,
            column by column of the picture.

    Raises:
        ZooError: the file is missing and cannot be downloaded, or has another format.

    Source: AT&T Laboratories Cambridge; F. Samaria, A. Harter, Parameterisation of a stochastic model for
    human face identification, 1994. Downloaded by scikit-learn.
    """
    from scipy.io import loadmat

    path = download(Path(root), [Path(FACES_FILE)], FACES_PAGE, _fetch_faces) / FACES_FILE
    try:
        columns = loadmat(path)["faces"]
        if columns.shape != (64 * 64, 400) or columns.dtype != np.uint8 or columns.max() != FACES_WHITE:
            raise ValueError(f"{columns.dtype} of shape {columns.shape}, at most {columns.max()}")
    except Exception as error:  # scipy raises many types for a corrupt file
        raise ZooError(
            f"{path}: not the Olivetti faces ({error}), an array faces of uint8 and shape (4096, 400), at most "
            f"{FACES_WHITE:.0f}; delete it and run again to download it"
        ) from error
    pixels = torch.from_numpy(columns).T.reshape(400, 1, 64, 64).transpose(2, 3).contiguous()
    labels = torch.zeros(400, dtype=torch.int64)
    train = Images(pixels[:300], labels[:300], FACES_WHITE)
    test = Images(pixels[300:], labels[300:], FACES_WHITE)
    return Source("faces", train, test)


def _fetch_faces(folder: str) -> None:
    """Download the faces with scikit-learn and write them in the published format."""
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
    """Square patches at random positions of the two photographs, 427x640, included in scikit-learn.

    Training patches are from the left three quarters of a photograph, test patches from the right quarter, so that they
    share no pixel. Training patches overlap, so that validation patches are closer to them than test patches are. The
    label is the photograph.

    Whitening is ZCA, fitted on the training patches (mean m, covariance C = E diag(l) E'):

        w = E diag(l + epsilon mean(l))^(-1/2) E' (x - m),    pixel = clip(1/2 + w / 10, 0, 1)

    so that [0, 1] spans five standard deviations of w in each direction.

    Args:
        size: height and width of a patch, in pixels, 2 to 160.
        n_train: number of training patches.
        n_test: number of test patches.
        colour: red, green and blue; otherwise their luma 0.299 R + 0.587 G + 0.114 B.
        whiten: decorrelate the pixels.
        epsilon: added to each eigenvalue, as a fraction of their mean; limits the amplification of noise.
        seed: determines the positions.

    Raises:
        ZooError: a number out of range.

    Source: B. Olshausen, D. Field, Emergence of simple-cell receptive field properties by learning a sparse
    code for natural images, 1996 (the setting); A. Bell, T. Sejnowski, The independent components of natural
    scenes are edge filters, 1997 (ZCA).
    """
    from sklearn.datasets import load_sample_images

    if not 2 <= size <= 160:
        raise ZooError(f"data.source.size={size}: must be from 2 to 160, the width of the test regions")
    if n_train < 2 or n_test < 1:
        raise ZooError(f"data.source.n_train={n_train}, n_test={n_test}: must be at least 2 and 1")
    check_positive(epsilon, "data.source.epsilon")
    needed = (n_train + n_test) * (3 if colour else 1) * size**2 * (9 if whiten else 1)
    check_room(needed, f"data=patches of data.source.size={size}", "choose a smaller size, or fewer images")
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
    """`n` square patches at random positions of regions: (R, C, H, W), labelled by their region."""
    windows = regions.unfold(2, size, 1).unfold(3, size, 1)
    label, row, column = (
        torch.randint(places, (n,), generator=generator)
        for places in (len(regions), windows.shape[2], windows.shape[3])
    )
    return Images(windows[label, :, row, column].contiguous(), label)


def _whitened(train: Images, test: Images, epsilon: float) -> tuple[Images, Images]:
    """Both sets after the ZCA whitening fitted on the first, see `patches`: float32 pixels in [0, 1]."""
    x = train[:].flatten(1).double()
    mean = x.mean(0)
    eigenvalues, vectors = torch.linalg.eigh(torch.cov((x - mean).T, correction=0))
    whitening = vectors * (eigenvalues + epsilon * eigenvalues.mean()).rsqrt() @ vectors.T

    def whitened(images: Images) -> Images:
        w = (images[:].flatten(1).double() - mean) @ whitening
        return Images((0.5 + w / 10).clamp(0, 1).float().view(images.pixels.shape), images.labels, scale=1.0)

    return whitened(train), whitened(test)
