"""A VAE's KL term in three parts; the total correlation is the dependence between the units of the code."""

from __future__ import annotations

import math

from torch import Tensor

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.types import HasPosterior, Step


def total_correlation(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """Three parts that add up to log q(z | x) - log p(z) at each sample: (B,) each, in nats.

        mutual_information = log q(z | x) - log q(z)
        total_correlation  = log q(z) - sum_i log q(z_i)
        dimension_wise_kl  = sum_i log q(z_i) - log p(z)

    with q(z) ~ 1/B sum_j q(z | x_j), the mean of the batch's posteriors. The minibatch-weighted estimate divides by B
    times the size of the data set instead of B, which changes the values by a constant and no gradient.
    R. Chen et al., "Isolating sources of disentanglement in VAEs", 2018, arXiv:1802.04942, eq. 2 and 5.

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
    log_q = each.sum(2).logsumexp(1) - math.log(len(x))
    log_units = (each.logsumexp(1) - math.log(len(x))).sum(1)
    return {
        "mutual_information": q.log_prob(z).sum(1) - log_q,
        "total_correlation": log_q - log_units,
        "dimension_wise_kl": log_units - bottleneck.log_prior(z),
    }
