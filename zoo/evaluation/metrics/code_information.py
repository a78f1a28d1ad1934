"""Information of a variational code about its sample, and the divergence of all codes together from the prior.

    E KL(q(z | x) || p(z)) = I(x; z) + KL(q(z) || p(z)),   q(z) = E_x q(z | x)

M. Hoffman, M. Johnson, "ELBO surgery: yet another way to carve up the variational evidence lower bound", 2016. q(z) is
estimated by a mixture of M posteriors: that of the test sample itself, and those of M - 1 training samples.
"""

from __future__ import annotations

import math

from zoo.evaluation.measures.aggregate_posterior import AggregateBounds
from zoo.evaluation.registry import Curve, metric

GROUP, UNIT = "likelihood", "nats per sample"


@metric(GROUP, UNIT, "none")
def mutual_information(aggregate_bounds: AggregateBounds) -> Curve:
    """I(x; z) of a variational code and its sample: a lower bound from M encoded samples, which is at most log M.

        E[log q(z | x) - log 1/M (q(z | x) + sum_j q(z | x_j))], z ~ q(z | x), x a test and x_j M - 1 training samples

    The bias: a code with more information than log M has a value near log M (10.9 nats for the 54,000 training images
    of MNIST). The curve shows the lower bound for M = 100, 1,000, 10,000 and all samples, log M, and an upper bound:
    that with the sample itself left out of the mixture, or E KL(q(z | x) || p(z)) where this is smaller. The estimate
    has settled where both bounds agree. B. Poole et al. 2019, arXiv:1905.06922; see
    zoo.evaluation.measures.aggregate_posterior.

    Misleads: it cannot exceed log M, so a very informative code looks as informative as the bound allows.

    Raises:
        NotApplicable: the model is not variational, or its q(z | x) has no closed form.
    """
    least, most = aggregate_bounds.lower, aggregate_bounds.upper
    most_known = [math.log(size) for size in aggregate_bounds.sizes]
    columns = {"lower bound": least, "upper bound": most, "log samples": most_known}
    return by_size(least[-1], columns, aggregate_bounds)


@metric(GROUP, UNIT, "none")
def aggregate_kl(aggregate_bounds: AggregateBounds) -> Curve:
    """KL(q(z) || p(z)) of the codes of all samples together from the prior: an upper bound, E KL(q(z | x) || p(z)) - I.

    I is mutual_information, from the same codes. The bias: where I is near log M, the value is too large, and the truth
    lies anywhere between it and the lower bound that the curve shows for M = 100, 1,000, 10,000 and all samples.

    Misleads: where mutual_information is near its limit log M, the value is too large.

    Raises:
        NotApplicable: as for mutual_information.
    """
    kl = aggregate_bounds.kl
    most = [kl - information for information in aggregate_bounds.lower]
    least = [kl - information for information in aggregate_bounds.upper]
    return by_size(most[-1], {"lower bound": least, "upper bound": most}, aggregate_bounds)


def by_size(value: float, columns: dict[str, list[float]], bounds: AggregateBounds) -> Curve:
    """A value with a table of bounds, one row for each size of the mixture."""
    return Curve(value, {"samples": [float(size) for size in bounds.sizes], **columns}, bounds.n)
