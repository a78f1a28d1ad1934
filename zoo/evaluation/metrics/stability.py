"""Similarity of the codes of models that differ only in their seed.

Codes are compared on at most 10,000 test samples and by the 2,048 units of largest variance. No direction is better: a
closed form gives the same code for every seed, good or bad. Two seeds measure the same pair of models, so their values
are not independent, and the interval over few seeds is too narrow.
"""

from __future__ import annotations

import statistics

from zoo.evaluation.measures.code_similarity import SeedSimilarity
from zoo.evaluation.registry import Curve, metric

GROUP = "stability"


@metric(GROUP, "1", "none")
def cka_across_seeds(seed_similarity: SeedSimilarity) -> Curve:
    """Linear centred kernel alignment of the code and the codes of other seeds, debiased; mean over the other seeds.

        h(z, z') / sqrt(h(z, z) h(z', z')), h(z, z') the debiased |z^T z'|_F^2 of centred codes

    It is 1 for codes that differ by a rotation and one scale, and 0 on average for independent ones. The curve has one
    row for each other seed. S. Kornblith et al. 2019, arXiv:1905.00414; see
    zoo.evaluation.measures.code_similarity.linear_cka.

    Misleads: it is dominated by the directions of largest variance: codes that agree there and nowhere else score high.
    """
    return over_seeds(seed_similarity.cka, {"cka": list(seed_similarity.cka.values())}, seed_similarity.n)


@metric(GROUP, "absolute correlation", "none")
def matched_units_across_seeds(seed_similarity: SeedSimilarity) -> Curve:
    """Mean absolute correlation of units with those of other seeds, matched one to one; mean over the other seeds.

        max over matchings p of 1/D sum_i |corr(z_i, z'_p(i))|

    It is 1 for codes whose units differ by their order, signs and scales. Units that never vary are left out; units
    without a partner count as 0, and D is the larger of the two numbers of units. The curve has one row for each other
    seed, and beside it the value of a random rotation of the code ("rotated"), which is well above 0 for few units. Y.
    Li et al. 2015, arXiv:1511.07543.

    Misleads: units with a common cause are correlated anyway, so that few units score high by chance: compare with the
    rotated code of the curve.
    """
    matched = list(seed_similarity.matched.values())
    columns = {"correlation": matched, "rotated": [seed_similarity.rotated] * len(matched)}
    return over_seeds(seed_similarity.matched, columns, seed_similarity.n)


def over_seeds(found: dict[int, float], columns: dict[str, list[float]], n: int) -> Curve:
    """The mean over other seeds, and a table with one row for each."""
    return Curve(statistics.mean(found.values()), {"seed": [str(seed) for seed in found], **columns}, n)
