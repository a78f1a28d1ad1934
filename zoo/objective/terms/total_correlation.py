"""A VAE's KL term in three parts; the total correlation is the dependence between the units of the code."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.types import HasPosterior, Step


def total_correlation(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """Three parts that add up to log q(z | x) - log p(z) at each sample: (B,) each, in nats.

        mutual_information = log q(z | x) - log q(z)
        total_correlation  = log q(z) - sum_i log q(z_i)
        dimension_wise_kl  = sum_i log q(z_i) - log p(z)

    with q(z) = 1/N sum_n q(z | x_n) over the N training images, estimated at a sample z of q(z | x_i) by

        1/N q(z | x_i) + (N - 1)/N mean_(j != i) q(z | x_j)

    over the other images j of the batch: the image itself is one of N and not one of B, so that a small batch does not
    overestimate how much of q(z) is its own. R. Chen et al., "Isolating sources of disentanglement in VAEs", 2018,
    arXiv:1802.04942, eq. 2, and appendix C.2, minibatch stratified sampling; there, one of the other images, at random,
    takes the remaining weight, and this is the mean over which one.

    Limitations: where the posteriors of a batch do not overlap, log q(z) is log q(z | x) - log N, which holds no
    information on the dependence of units: mutual_information is log N then, and the penalty acts like a KL term.

    Raises:
        ZooError: no posterior of independent units, or more than one sample per image.
    """
    q, z, bottleneck = step.code.posterior, step.code.z, model.bottleneck
    if q is None or not isinstance(bottleneck, HasPosterior) or len(z) != len(x):
        raise ZooError(
            "objective.terms=total_correlation: needs one sample per image from a posterior of independent units; "
            "choose bottleneck=gaussian_posterior"
        )
    each = q.log_prob(z[:, None])  # (B, B, D): unit i of sample b under the posterior of image j
    weights = log_weights(len(x), step.images or len(x), each)
    log_q = (each.sum(2) + weights).logsumexp(1)
    log_units = (each + weights[:, :, None]).logsumexp(1).sum(1)
    return {
        "mutual_information": q.log_prob(z).sum(1) - log_q,
        "total_correlation": log_q - log_units,
        "dimension_wise_kl": log_units - bottleneck.log_prior(z),
    }


def log_weights(batch: int, images: int, like: Tensor) -> Tensor:
    """Log weights of a batch's images in q(z) at the sample of each: (B, B), 1/N on the diagonal.

    Args:
        batch: B.
        images: N, of which the batch is drawn; at least B.
        like: a tensor of the type and on the device of the result.
    """
    if batch == 1:
        return like.new_zeros(1, 1)
    own, other = -math.log(images), math.log1p(-1 / images) - math.log(batch - 1)
    return torch.eye(batch, dtype=like.dtype, device=like.device) * (own - other) + other
