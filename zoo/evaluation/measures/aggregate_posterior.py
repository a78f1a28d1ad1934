"""The aggregate posterior q(z) = E_x q(z | x): its divergence from the prior, and the information of z about x."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

ENTRIES = 1 << 19  # of a block of differences, which then stays in the cache


@dataclass(frozen=True)
class AggregateBounds:
    """Bounds on I(x; z) for mixtures of growing size, in nats.

    Attributes:
        sizes: M, posteriors in the mixture.
        lower: the lower bound for each.
        upper: the upper bound for each.
        kl: E KL(q(z | x) || p(z)), estimated from the same codes, so that KL(q(z) || p(z)) is `kl` minus I(x; z).
        n: codes that are scored.
    """

    sizes: list[int]
    lower: list[float]
    upper: list[float]
    kl: float
    n: int


def aggregate_bounds(own: Tensor, log_ratio: Tensor, totals: Mapping[int, Tensor]) -> AggregateBounds:
    """Bounds on I(x; z), in nats, from codes z_i ~ q(z | x_i) and the posteriors of other samples x_j.

        E[log q(z_i | x_i) - log 1/M (q(z_i | x_i) + sum_j q(z_i | x_j))]  <=  I(x; z)
        I(x; z)  <=  min(E[log q(z_i | x_i) - log 1/(M - 1) sum_j q(z_i | x_j)], E[log q(z_i | x_i) - log p(z_i)])

    with M - 1 others x_j. The lower bound is at most log M. B. Poole, S. Ozair, A. van den Oord, A. Alemi, G. Tucker,
    "On variational bounds of mutual information", 2019, arXiv:1905.06922, section 2.3; the decomposition of the ELBO's
    KL term: M. Hoffman, M. Johnson, "ELBO surgery", 2016.

    Args:
        own: (N,), log q(z_i | x_i).
        log_ratio: (N,), log q(z_i | x_i) - log p(z_i).
        totals: {M: (N,), log of the sum of q(z_i | x_j) over the others}, M from 2 on.
    """
    kl = log_ratio.mean().item()
    lower = [(own - torch.logaddexp(own, total)).mean().item() + math.log(size) for size, total in totals.items()]
    left_out = [(own - total).mean().item() + math.log(size - 1) for size, total in totals.items()]
    return AggregateBounds(list(totals), lower, [min(each, kl) for each in left_out], kl, len(own))


def log_densities(q: Distribution, z: Tensor) -> Tensor:
    """Log q_b(z_n), summed over units: (N, B).

    By differences, because squares that are expanded into matrix products cancel where posteriors are narrow.

    Args:
        q: B x D independent distributions.
        z: (N, D).
    """
    rows = max(1, ENTRIES // q.batch_shape.numel())
    return torch.cat([q.log_prob(part[:, None]).sum(2) for part in torch.split(z, rows)])
