"""A warning about models that explain less of the test images than the mean image, or than PCA."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.evaluation.evaluator import deterministic
from zoo.model.corruptions import NoCorruption
from zoo.types import Discrete

if TYPE_CHECKING:
    from zoo.data.splits import Splits
    from zoo.model.autoencoder import Autoencoder

SAMPLED = 5_000  # images that are looked at, at most
BATCH = 512
LARGE = 1_000  # images or pixels up to which PCA is exact
MARGIN = 0.01  # of explained variance, below which a difference from PCA counts as none


def shortfall(model: Autoencoder, data: Splits, epochs: bool = True) -> str | None:
    """A sentence if the model explains less than the mean image or than PCA of no greater width; else None.

    Explained variance of test images x, as the metric of that name: 1 - sum |x_hat - x|^2 / sum |m - x|^2, with m the
    mean test image and deterministic codes. It is 0 for the mean image. PCA is fitted on training images; at most
    5,000 (256 MiB) of each part are used, evenly spaced.

    The mean image is compared with every model of images and vectors; for counts and for words, squared errors say
    little. PCA is compared where a code is D < P real numbers, found from clean images; it has D components, or N - 1
    where there are only N <= D training images. It is not compared with

    - discrete codes, which hold fewer bits, and codes with entries of exactly zero: sparse codes hold few numbers;
    - models of corrupted images, whose objective is another one.

    `epochs` says whether the fit has epochs, more of which may help.

    Limitation: likelihoods other than Gaussian ones and penalties of the code, as in a VAE, are fitted at the cost of
    squared errors. That such a model explains less than PCA is true, and no mistake.
    """
    if data.kind == "counts" or data.source.pairs is not None:
        return None
    train, test = data.train.spaced(SAMPLED)[:], data.test.spaced(SAMPLED)[:]
    with deterministic(model), torch.no_grad():
        batches = torch.split(test, BATCH)
        parts = [model.encode(x) for x in batches]
        lost = sum(float((model.decode(z) - x).square().sum()) for z, x in zip(parts, batches, strict=True))
    spread = float((test - test.mean(0)).square().sum())
    if spread == 0:
        return None
    explained = 1 - lost / spread
    more = "more epochs (budget.epochs=) may help" if epochs else "a smaller width may help"
    if not explained >= 0:
        return f"explains less of the test samples than the mean image (explained variance {explained:.2f}): {more}"
    codes = torch.cat(parts)
    width = codes.shape[1]
    clean = isinstance(model.corruption, NoCorruption)
    dense = not isinstance(model.bottleneck, Discrete) and bool((codes != 0).all())
    components = min(width, len(train) - 1)
    if not clean or not dense or width >= math.prod(data.shape) or components < 1:
        return None
    reached = 1 - _lost_by_pca(train, test, components) / spread
    if explained >= reached - MARGIN:
        return None
    pca = "PCA of the same width" if components == width else f"PCA with only {components} components"
    return (
        f"explains less of the test samples than {pca} "
        f"({explained:.2f} against {reached:.2f} of the variance): use pca, unless {more}"
    )


def _lost_by_pca(train: Tensor, test: Tensor, width: int) -> float:
    """The squared error of PCA on the test images."""
    from sklearn.decomposition import PCA

    n, p = len(train), train[0].numel()
    exact = "covariance_eigh" if n >= p else "full"
    solver = exact if min(n, p) <= LARGE else "randomized"
    pca = PCA(width, svd_solver=solver, random_state=0).fit(train.flatten(1).numpy())
    x = test.flatten(1).numpy()
    return float(((pca.inverse_transform(pca.transform(x)) - x) ** 2).sum(dtype="float64"))
