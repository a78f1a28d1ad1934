"""Kernel distance between a batch of codes and the prior."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.model.autoencoder import Autoencoder
from zoo.types import HasPrior, Step

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def mmd(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """`mmd`: squared maximum mean discrepancy between the codes z of a batch and as many draws from the prior.

    The prior is the bottleneck's own, without gradient, or N(0, I) where it has none. The estimate is unbiased, so that
    it can be negative for equal distributions. The kernel is inverse multiquadratic, summed over scales s: k(a, b) =
    sum_s 2 D s / (2 D s + |a - b|^2), D the width of the code. I. Tolstikhin et al., "Wasserstein auto-encoders", 2018,
    arXiv:1711.01558, algorithm 2 and section 4; S. Zhao et al., "InfoVAE", 2017, arXiv:1706.02262, section 3.2.
    A. Gretton et al., "A kernel two-sample test", JMLR 13, 2012, eq. 3.

    Args:
        model: its bottleneck's prior.
        x: (B, C, H, W).
        step: with the codes, and the generator of the draws.

    Returns:
        {"mmd": (B,)}, the same value for all images of the batch; 0 for a batch of one code, which has no pair.
    """
    z = step.code.z.float()
    value = squared_mmd(z, draws_from_prior(model, z, step.generator)) if len(z) > 1 else 0 * z.sum()
    return {"mmd": value.expand(len(x))}


def draws_from_prior(model: Autoencoder, z: Tensor, generator: torch.Generator | None) -> Tensor:
    """As many draws from the bottleneck's prior, or from N(0, I) where it has none, as codes z: (N, D), no gradient."""
    with torch.no_grad():
        if isinstance(model.bottleneck, HasPrior) and generator is not None:
            return model.bottleneck.sample(len(z), generator)
        return torch.randn(z.shape, generator=generator, device=z.device)


def squared_mmd(a: Tensor, b: Tensor) -> Tensor:
    """Unbiased estimate of the squared MMD of two samples, a: (M, D) and b: (N, D), M and N of 2 or more."""
    return mean_of_pairs(a) + mean_of_pairs(b) - 2 * kernel(a, b).mean()


def mean_of_pairs(a: Tensor) -> Tensor:
    """Mean of the kernel over pairs of different rows of (N, D): a scalar."""
    n = len(a)
    return (kernel(a, a).sum() - n * len(SCALES)) / (n * (n - 1))


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """Inverse multiquadratic kernel of (M, D) and (N, D): (M, N)."""
    squares = (a[:, None] - b).square().sum(2)
    return torch.stack([2 * a.shape[1] * s / (2 * a.shape[1] * s + squares) for s in SCALES]).sum(0)
