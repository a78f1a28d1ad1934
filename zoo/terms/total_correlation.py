"""A VAE's KL term in three parts, one of which is how much the units of a code tell of one another."""

from __future__ import annotations

import math

from torch import Tensor

from zoo.autoencoder import Autoencoder
from zoo.errors import ZooError
from zoo.types import Step


def total_correlation(model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
    """The parts of log q(z | x) - log p(z), to which they add up, at each sample: (B,) each.

        mutual_information = log q(z | x) - log q(z)
        total_correlation  = log q(z) - sum_i log q(z_i)
        dimension_wise_kl  = sum_i log q(z_i) - log p(z)

    with q(z) the mean of the posteriors of the batch, q(z) ~ 1/B sum_j q(z | x_j). The minibatch-weighted estimate has
    B times the size of the data set in place of B, which moves the values by a constant and no gradient.
    R. Chen et al., "Isolating sources of disentanglement in VAEs", 2018, arXiv:1802.04942, eq. 2 and 5.

    Raises:
        ZooError: the bottleneck has not one sample from a posterior of independent units.
    """
    q, z = step.code.posterior, step.code.z
    log_prior = getattr(model.bottleneck, "log_prior", None)
    if q is None or log_prior is None or len(z) != len(x):
        raise ZooError(
            "objective.terms=total_correlation: needs one sample per image from a posterior of independent units; "
            "choose bottleneck=diagonal"
        )
    each = q.log_prob(z[:, None])  # (B, B, D): unit i of sample b under the posterior of image j
    log_q = each.sum(2).logsumexp(1) - math.log(len(x))
    log_units = (each.logsumexp(1) - math.log(len(x))).sum(1)
    return {
        "mutual_information": q.log_prob(z).sum(1) - log_q,
        "total_correlation": log_q - log_units,
        "dimension_wise_kl": log_units - log_prior(z),
    }
