"""Kernel distance between a batch of codes and the standard normal prior."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.types import Step

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class MaximumMeanDiscrepancy:
    """`mmd`: squared maximum mean discrepancy between the codes z of a batch and as many draws from N(0, I).

    The estimate is unbiased, so that it can be negative for equal distributions. The kernel is inverse multiquadratic,
    summed over scales s: k(a, b) = sum_s 2 D s / (2 D s + |a - b|^2), D the width of the code. I. Tolstikhin et al.,
    "Wasserstein auto-encoders", 2018, arXiv:1711.01558, algorithm 2 and section 4; S. Zhao et al., "InfoVAE", 2017,
    arXiv:1706.02262, section 3.2. A. Gretton et al., "A kernel two-sample test", JMLR 13, 2012, eq. 3.

    Args:
        seed: determines the draws, which differ from call to call.
    """

    def __init__(self, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
        """{"mmd": (B,)}, the same value for all images of the batch; x: (B, C, H, W).

        Raises:
            ZooError: a batch of one image.
        """
        z = step.code.z.float()
        prior = torch.randn(z.shape, generator=self.generator).to(z.device)
        return {"mmd": squared_mmd(z, prior).expand(len(x))}


def squared_mmd(a: Tensor, b: Tensor) -> Tensor:
    """Unbiased estimate of the squared MMD of two samples, a: (M, D) and b: (N, D), M and N of 2 or more.

    Raises:
        ZooError: a sample of one point.
    """
    if min(len(a), len(b)) < 2:
        raise ZooError("objective.terms=mmd: needs at least two codes per batch; choose a larger budget.batch_size")
    return mean_of_pairs(a) + mean_of_pairs(b) - 2 * kernel(a, b).mean()


def mean_of_pairs(a: Tensor) -> Tensor:
    """Mean of the kernel over pairs of different rows of (N, D): a scalar."""
    n = len(a)
    return (kernel(a, a).sum() - n * len(SCALES)) / (n * (n - 1))


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """Inverse multiquadratic kernel of (M, D) and (N, D): (M, N)."""
    squares = (a[:, None] - b).square().sum(2)
    return torch.stack([2 * a.shape[1] * s / (2 * a.shape[1] * s + squares) for s in SCALES]).sum(0)
