"""Whether each unit of the code represents one factor of variation; for data whose factors are known.

Definitions follow F. Locatello et al., "Challenging common assumptions in the unsupervised learning of disentangled
representations", 2019, arXiv:1811.12359, appendix B; docstrings say where they differ. Codes are deterministic: of a
VAE, the means of its posteriors. Units that are not in use count as constant in all metrics (there in factor_vae_score
alone): those whose means have a standard deviation of less than 5 % of that of samples of the posteriors.

Beside its value, each metric shows the value for shuffled codes, the level of chance; all but dci_disentanglement also
show both for each factor. But for ties, such as of equally good splits of a tree, no value depends on the scale, the
sign or the order of units.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from zoo.evaluation.measures.factor_scores import (
    FITTED,
    TESTED,
    Importances,
    concentration,
    gap,
    majority_vote,
    mutual_information,
    predictability,
    shuffled,
)
from zoo.evaluation.registry import Curve, metric

GROUP = "disentanglement"


@metric(GROUP, "1", "higher", version=2)
def mig(used_test_codes: Tensor, test_factors: Tensor, factor_names: Sequence[str]) -> Curve:
    """Information on a factor in its best unit minus that in the second best, over its entropy; mean over factors.

        mutual information gap = (I(u1; v) - I(u2; v)) / H(v)

    From 0 to 1; units in 20 bins of equal width, of the first 10,000 test samples, so that a factor of K > 20 values
    reaches log 20 / log K at most. R. Chen et al., "Isolating sources of disentanglement in VAEs", 2018,
    arXiv:1802.04942, eq. 6.

    Misleads: a factor that two units share equally scores 0 even if no information is lost; a periodic factor, such as
    the angle of a shape that looks the same after a part of a turn, needs two units.

    Args:
        used_test_codes: (N, D).
        test_factors: (N, F).
        factor_names: F names.
    """

    def gaps(codes: Tensor) -> Tensor:
        information, entropies = mutual_information(codes[:FITTED], test_factors[:FITTED])
        return gap(information) / entropies

    return by_factor(
        factor_names, gaps(used_test_codes), gaps(shuffled(used_test_codes)), min(FITTED, len(used_test_codes))
    )


@metric(GROUP, "1", "higher", version=3)
def sap(
    used_train_codes: Tensor,
    train_factors: Tensor,
    used_test_codes: Tensor,
    test_factors: Tensor,
    factor_names: Sequence[str],
) -> Curve:
    """How well one unit predicts a factor (1: always, 0: chance), best unit minus second best; mean over factors.

        s(u1; v) - s(u2; v), s = (a - 1/K) / (1 - 1/K), u1 and u2 the units with the largest s for factor v

    Separated attribute predictability. A factor of K values is predicted by K - 1 thresholds on the unit (a decision
    tree with K leaves) that are fitted to 10,000 training codes. a is the mean accuracy over the values in 5,000 test
    codes. A. Kumar, P. Sattigeri, A. Balakrishnan, "Variational inference of disentangled latent concepts from
    unlabeled observations", 2018, arXiv:1711.00848, section 3.

    Where this differs from Locatello et al. 2019: they use a linear classifier of one value against the rest, which
    cannot separate a value in the middle of a unit's range, so that codes equal to the factors would not reach 1. Here
    accuracy is counted above chance.

    Misleads: a factor that two units share equally scores 0 even if no information is lost; a periodic factor, such as
    the angle of a shape that looks the same after a part of a turn, needs two units.

    Args:
        used_train_codes: (N, D).
        train_factors: (N, F).
        used_test_codes: (M, D).
        test_factors: (M, F).
        factor_names: F names.
    """
    factors = train_factors[:FITTED], test_factors[:TESTED]

    def gaps(train: Tensor, test: Tensor) -> Tensor:
        return gap(predictability(train[:FITTED], factors[0], test[:TESTED], factors[1]))

    floor = gaps(shuffled(used_train_codes), shuffled(used_test_codes))
    return by_factor(factor_names, gaps(used_train_codes, used_test_codes), floor, min(TESTED, len(used_test_codes)))


@metric(GROUP, "fraction", "higher", version=3)
def factor_vae_score(
    used_train_codes: Tensor,
    train_factors: Tensor,
    used_test_codes: Tensor,
    test_factors: Tensor,
    factor_names: Sequence[str],
) -> Curve:
    """How often the unit that varies least among 64 samples with one factor in common identifies this factor.

        1/F sum_v P(f(argmin_i Var_B(z_i) / Var(z_i)) = v), B 64 test samples that agree in factor v, f(i) the factor of
        the most batches of training samples in which unit i varies least

    Variances are relative to those of all training codes. A unit is assigned to the factor for which it most often
    varies least in 10,000 batches of training samples; the score is the mean over factors of the share of right
    batches, of 5,000 batches of test samples in all. Chance is about 1 / F for F factors. H. Kim, A. Mnih,
    "Disentangling by factorising", 2018, arXiv:1802.05983, section 4.

    Where this differs from Locatello et al. 2019: batches are drawn from the samples of the data set, not generated.

    Misleads: only the unit that varies least is looked at: further units that mix several factors cost nothing.

    Args:
        used_train_codes: (N, D).
        train_factors: (N, F).
        used_test_codes: (M, D).
        test_factors: (M, F).
        factor_names: F names.
    """
    found = majority_vote(used_train_codes, train_factors, used_test_codes, test_factors)
    floor = majority_vote(shuffled(used_train_codes), train_factors, shuffled(used_test_codes), test_factors)
    return by_factor(factor_names, found, floor)


@metric(GROUP, "1", "higher", version=2)
def dci_disentanglement(factor_importances: Importances, shuffled_importances: Importances) -> Curve:
    """1 - H / log F of a unit's importances for predicting F factors, mean over units weighted by their importance.

        sum_i R_i (1 - H_i / log F) / sum_i R_i, H_i = -sum_k p_ik log p_ik, p_ik = R_ik / R_i, R_i = sum_k R_ik

    1 where each unit predicts one factor only. For all metrics `dci_*`, random forests are fitted from 10,000
    training codes to each factor: 10 trees of depth 8 that may split on any unit. An importance R_ik is the share of
    unit i in the decrease of impurity for factor k. C. Eastwood, C. Williams, "A framework for the quantitative
    evaluation of disentangled representations", 2018, section 2.

    Where this differs from Locatello et al. 2019: they use gradient boosted trees, which predict better and take far
    longer: informativeness does not compare with theirs.

    Misleads: units may be pure and yet predict badly: read it together with dci_informativeness.

    Args:
        factor_importances: of units for factors, (D, F).
        shuffled_importances: those of shuffled codes.
    """
    found, floor = (of_units(each.matrix) for each in (factor_importances, shuffled_importances))
    return Curve(found, {"codes": ["measured", "shuffled"], "all": [found, floor]}, factor_importances.n)


@metric(GROUP, "1", "higher", version=2)
def dci_completeness(
    factor_importances: Importances, shuffled_importances: Importances, factor_names: Sequence[str]
) -> Curve:
    """1 - H / log D of the importances of D units for predicting a factor, mean over factors.

        1/F sum_k (1 - H_k / log D), H_k = -sum_i R_ik log R_ik, R_ik the importance of unit i for factor k

    1 where each factor is predicted from one unit only.

    Misleads: a periodic factor, such as the angle of a shape that looks the same after a part of a turn, needs two
    units and scores low however well it is represented. D counts units that are not in use, so that the same units
    beside more unused ones score higher.

    Args:
        factor_importances: of units for factors, (D, F).
        shuffled_importances: those of shuffled codes.
        factor_names: F names.
    """
    found, floor = (concentration(each.matrix, 0) for each in (factor_importances, shuffled_importances))
    return by_factor(factor_names, found, floor, factor_importances.n)


@metric(GROUP, "fraction", "none", version=2)
def dci_informativeness(
    factor_importances: Importances, shuffled_importances: Importances, factor_names: Sequence[str]
) -> Curve:
    """Accuracy of random forests that predict a factor from codes, mean over factors.

        1/F sum_k 1/N sum_n [v_k(z_n) = v_nk], v_k(z) the forest's prediction of factor k, v_nk its value

    On the first 5,000 test codes.

    Misleads: it says nothing about disentanglement, and so has no direction here. Trees split along single units, so a
    rotated code scores lower with the same information.

    Args:
        factor_importances: of units for factors, (D, F).
        shuffled_importances: those of shuffled codes.
        factor_names: F names.
    """
    found, floor = factor_importances.accuracy, shuffled_importances.accuracy
    return by_factor(factor_names, found, floor, factor_importances.n)


def of_units(importance: Tensor) -> float:
    """Mean concentration of the rows of importances (D, F), weighted by their sums; 0 without any importance."""
    weights = importance.sum(1)
    total = weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
    return float((concentration(importance, 1) * weights).sum() / total)


def by_factor(names: Sequence[str], values: Tensor, floor: Tensor, n: int | None = None) -> Curve:
    """The mean of values (F,), and a table of them and of those of shuffled codes."""
    means = [values.double().mean().item(), floor.double().mean().item()]
    columns = {name: [v, f] for name, v, f in zip(names, values.tolist(), floor.tolist(), strict=True)}
    return Curve(means[0], {"codes": ["measured", "shuffled"], "all": means, **columns}, n)
