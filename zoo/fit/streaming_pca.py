"""PCA of data larger than memory: one pass over batches, of which only mean and covariance are kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.autoencoder import Autoencoder
from zoo.data.datamodule import ImageData
from zoo.data.images import Images
from zoo.fit import FitReport
from zoo.fit.svd import check_components, linear_layers, write_axes
from zoo.objective import Objective


@dataclass(frozen=True)
class StreamingPca:
    """encode(x) = V (x - m), decode(z) = V^T z + m, with V: (D, P) the leading eigenvectors of the covariance.

    Memory grows with the square of the pixels and not with the number of images. Methods that carry nothing but the
    leading axes from batch to batch need less, and approximate.

    Args:
        batch_size: images read at a time; the answer does not depend on it.
    """

    batch_size: int = 1024

    def __call__(self, model: Autoencoder, data: ImageData, objective: Objective, seed: int) -> FitReport:
        """Write the solution on all of `data.train` into the model's two linear layers; the objective is not read.

        Raises:
            ZooError: the model is not linear, or its code is wider than the data allow.
        """
        encoder, decoder = linear_layers(model)
        start = time.perf_counter()
        mean, _, axes = principal_axes(data.train, encoder.out_features, self.batch_size)
        write_axes(encoder, decoder, axes[: encoder.out_features], mean)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)


def principal_axes(images: Images, width: int, batch_size: int = 1024) -> tuple[Tensor, Tensor, Tensor]:
    """Mean m: (P,), variances: (P,) in descending order, and the unit axes that have them, as rows: (P, P).

    Each axis points to where its largest entry is positive, as scikit-learn's do.

    Raises:
        ZooError: `width` is more than the number of axes along which the images can vary.
    """
    check_components(width, len(images), images[:1].numel())
    mean, covariance = moments(images, batch_size)
    variances, vectors = torch.linalg.eigh(covariance)
    axes = vectors.T.flip(0)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return mean, variances.flip(0).clamp(min=0), axes * largest.sign()


def moments(images: Images, batch_size: int) -> tuple[Tensor, Tensor]:
    """Mean (P,) and covariance (P, P), divided by N, of flattened images in one pass, in float64.

    Batches are merged by the update of T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979, eq. 2.1: sums of squares about zero would cancel.
    """
    n = 0
    mean, scatter = torch.zeros(()), torch.zeros(())
    for batch in images.batches(batch_size):
        x = batch.flatten(1).double()
        centre = x.mean(0)
        x = x - centre
        shift, both = centre - mean, n + len(x)
        scatter = scatter + x.T @ x + torch.outer(shift, shift) * (n * len(x) / both)
        mean = mean + shift * (len(x) / both)
        n = both
    return mean, scatter / n
