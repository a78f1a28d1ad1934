"""PCA of data larger than memory: one pass over batches, which updates mean and covariance."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.data.images import Images
from zoo.data.splits import Splits
from zoo.fitting.closed_form import check_components, linear_layers, write_axes
from zoo.model.autoencoder import Autoencoder
from zoo.objective.objective import Objective
from zoo.types import FitReport


@dataclass(frozen=True)
class StreamingPca:
    """encode(x) = V (x - m), decode(z) = V^T z + m, with V: (D, P) the leading eigenvectors of the covariance.

    Memory grows with the square of the number of pixels, and not with the number of images. Methods that keep only the
    leading axes between batches need less memory, but are approximate.

    Args:
        batch_size: images read at a time; the result does not depend on it.
    """

    batch_size: int = 1024

    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Set the model's two linear layers to the solution on `data.train`; the objective is not used.

        Raises:
            ZooError: the model is not linear, or its code has more units than there are principal components.
        """
        encoder, decoder = linear_layers(model)
        start = time.perf_counter()
        mean, _, axes = principal_axes(data.train, encoder.out_features, self.batch_size)
        write_axes(encoder, decoder, axes[: encoder.out_features], mean)
        return FitReport(seconds=time.perf_counter() - start, epochs=1, best_epoch=1)


def principal_axes(images: Images, width: int, batch_size: int = 1024) -> tuple[Tensor, Tensor, Tensor]:
    """Mean: (P,), variances in descending order: (P,), and the unit principal axes as rows: (P, P), in float64.

    The sign of each axis makes its largest entry positive, as in scikit-learn.

    Args:
        images: the images, P pixels each.
        width: number of components that will be used.
        batch_size: images read at a time.

    Raises:
        ZooError: `width` is larger than the number of principal components.
    """
    check_components(width, len(images), images[:1].numel())
    mean, covariance = moments(images, batch_size)
    variances, vectors = torch.linalg.eigh(covariance)
    axes = vectors.T.flip(0)
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    return mean, variances.flip(0).clamp(min=0), axes * largest.sign()


def moments(images: Images, batch_size: int) -> tuple[Tensor, Tensor]:
    """Mean (P,) and covariance (P, P), divided by N, of flattened images, in one pass and in float64.

    Batches are combined by the update of T. Chan, G. Golub, R. LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances", 1979, eq. 2.1, because sums of squares about zero suffer from cancellation.
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
