"""The tab Train: a small autoencoder that learns in the browser, and PCA's error as the line to cross."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.catalogue import title_of
from zoo.data.splits import Splits
from zoo.linear_algebra import principal_axes
from zoo.report.page.explore import ACROSS, sprite

WIDEST = 8  # units of the code
PICTURED = 10  # classes, of each of which one test image and its reconstruction are shown


def content(data: Splits) -> dict[str, Any]:
    """What the tab needs: images, training ones first, and the test error of PCA at each width."""
    train, test = data.train, data.test
    return {
        "title": title_of(data.name),
        "height": data.shape[1],
        "width": data.shape[2],
        "ink": True,
        "across": ACROSS,
        "train": len(train),
        "test": len(test),
        "labels": [*train.labels.tolist(), *test.labels.tolist()],
        "pictured": [int((test.labels == label).nonzero()[0]) for label in range(PICTURED)],
        "sprite": sprite(torch.cat([train[:], test[:]])),
        "pca": pca_errors(train[:].flatten(1).double(), test[:].flatten(1).double()),
    }


def pca_errors(train: Tensor, test: Tensor) -> list[float]:
    """The mean squared error per test image of PCA with 1, 2, ... components of the training images: (N, P) each."""
    mean, _, axes = principal_axes(train)
    left = (test - mean).square().sum() - ((test - mean) @ axes[:, :WIDEST]).square().sum(0).cumsum(0)
    return [round(error, 4) for error in (left / len(test)).tolist()]
