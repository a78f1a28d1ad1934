"""How units of a code depend on factors of variation, factor by factor.

Codes are (N, D), factors (N, F) int64 with values 0, 1, ..., K - 1. Nothing here depends on the scale or the order of
units: codes are standardised unit by unit, and units that do not vary count as constant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

FITTED, TESTED = 10_000, 5_000  # samples, as in Locatello et al. 2019
BINS = 20  # of a unit's histogram
VOTES, CHECKS = 10_000, 5_000  # of the vote of units for factors: votes, and votes that are checked
BATCH = 64  # images that agree in one factor
TREES, DEPTH = 10, 8  # of a random forest
ROUNDING = 1e-5  # of a unit's largest value: smaller standard deviations are rounding errors
CHUNK = 1 << 24  # numbers that are gathered at once
SEED = 0


@dataclass(frozen=True)
class Importances:
    """How far units serve to predict factors.

    Attributes:
        matrix: (D, F), the importance of each unit for each factor; columns add up to 1, or to 0 for a constant code.
        accuracy: (F,), fraction of test samples whose factor is predicted.
        n: number of test samples.
    """

    matrix: Tensor
    accuracy: Tensor
    n: int


def standardised(train: Tensor, *others: Tensor) -> list[Tensor]:
    """Codes (N, D) with mean 0 and standard deviation 1 in each unit of the first; constant units are 0. float64."""
    std, mean = torch.std_mean(train.double(), 0, correction=0)
    varies = std > ROUNDING * train.double().abs().amax(0)
    scale = torch.where(varies, std, torch.inf)
    return [(codes.double() - mean) / scale for codes in (train, *others)]


def shuffled(codes: Tensor) -> Tensor:
    """The same codes in random order, so that they say nothing about factors."""
    return codes[torch.randperm(len(codes), generator=torch.Generator().manual_seed(SEED))]


def gap(scores: Tensor) -> Tensor:
    """The largest score of each column minus the second largest: (D, F) -> (F,); a missing second one is 0."""
    if len(scores) == 1:
        scores = torch.cat([scores, torch.zeros_like(scores)])
    ranked: Tensor = scores.topk(2, 0).values
    return ranked[0] - ranked[1]


def mutual_information(codes: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
    """I(u; v) of units u, each in 20 bins of equal width, and factors v: (D, F), and the entropies H(v): (F,), nats."""
    (codes,) = standardised(codes)
    low, high = codes.aminmax(dim=0)
    width = torch.where(high > low, high - low, 1.0)
    binned = ((codes - low) / width * BINS).long().clamp(max=BINS - 1)
    counts = factors.amax(0) + 1
    information = codes.new_zeros(codes.shape[1], factors.shape[1])
    for k, count in enumerate(counts.tolist()):
        cells = binned * count + factors[:, k, None]
        for unit in range(codes.shape[1]):
            joint = cells[:, unit].bincount(minlength=BINS * count).view(BINS, count)
            information[unit, k] = entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.flatten())
    return information, torch.stack([entropy(factors[:, k].bincount()) for k in range(factors.shape[1])])


def entropy(counts: Tensor) -> Tensor:
    """Entropy of a distribution in proportion to counts (K,), in nats."""
    found: Tensor = torch.special.entr(counts.double() / counts.sum()).sum()
    return found


def predictability(train: Tensor, train_factors: Tensor, test: Tensor, test_factors: Tensor) -> Tensor:
    """How well each unit alone predicts each factor: (D, F), 1 for always and 0 for as well as chance.

    A factor of K values is predicted by at most K - 1 thresholds on the unit (a decision tree with K leaves, all values
    weighted alike). The score is (a - 1/K) / (1 - 1/K), with the mean accuracy a over the values on test samples.
    """
    from sklearn.tree import DecisionTreeClassifier

    fitted, tested = (codes.numpy() for codes in standardised(train, test))
    scores = torch.zeros(train.shape[1], train_factors.shape[1], dtype=torch.float64)
    for k, factor in enumerate(train_factors.T.numpy()):
        tree = DecisionTreeClassifier(max_leaf_nodes=len(np.unique(factor)), class_weight="balanced", random_state=SEED)
        for unit in range(train.shape[1]):
            predicted = tree.fit(fitted[:, [unit]], factor).predict(tested[:, [unit]])
            scores[unit, k] = above_chance(torch.from_numpy(predicted), test_factors[:, k])
    return scores


def above_chance(predicted: Tensor, factor: Tensor) -> float:
    """(a - 1/K) / (1 - 1/K), with the mean accuracy a over the K values of a factor: (N,), (N,) -> 1 at best."""
    members = factor.bincount()
    right = factor[predicted == factor].bincount(minlength=len(members))
    accuracy = (right[members > 0] / members[members > 0]).double()
    chance = 1 / len(accuracy)
    return (accuracy.mean().item() - chance) / (1 - chance)


def importances(train: Tensor, train_factors: Tensor, test: Tensor, test_factors: Tensor) -> Importances:
    """Random forests from codes to each factor: 10 trees of depth 8 that may split on any unit.

    The importance of a unit is the decrease of the Gini impurity by splits on it, as a share of that by all splits.
    """
    from sklearn.ensemble import RandomForestClassifier

    fitted, tested = (codes.float().numpy() for codes in standardised(train, test))
    matrix, accuracy = [], []
    for k, factor in enumerate(train_factors.T.numpy()):
        forest = RandomForestClassifier(TREES, max_depth=DEPTH, max_features=None, random_state=SEED)
        forest.fit(fitted, factor)
        matrix.append(torch.from_numpy(forest.feature_importances_))
        accuracy.append(float(forest.score(tested, test_factors[:, k].numpy())))
    return Importances(torch.stack(matrix, 1), torch.tensor(accuracy, dtype=torch.float64), len(test))


def concentration(importance: Tensor, dim: int) -> Tensor:
    """1 - H(p) / log K of the shares p along `dim` of K importances: 1 where one has all, 0 where all are equal."""
    shares = importance / importance.sum(dim, keepdim=True).clamp(min=torch.finfo(importance.dtype).tiny)
    found = 1 - torch.special.entr(shares).sum(dim) / np.log(max(importance.shape[dim], 2))
    return torch.where(importance.sum(dim) > 0, found, 0.0)


def votes(codes: Tensor, factors: Tensor, n: int, seed: int) -> Tensor:
    """How often each unit varies least among 64 samples that agree in a factor: (D, F) float64, which add up to n.

    In each of n batches, a random factor has the value of a random sample; the samples are drawn with replacement from
    all with this value. Variances are relative to those of all codes; a constant unit has no vote. Units that vary
    equally little share the vote: of sparse codes, many units are 0 in all samples of a batch.

    Args:
        codes: (N, D), standardised.
        factors: (N, F).
        n: number of batches.
        seed: determines them.
    """
    generator = torch.Generator().manual_seed(seed)
    found = torch.zeros(codes.shape[1], factors.shape[1], dtype=torch.float64)
    varies = (codes != 0).any(0)
    if not varies.any():
        return found
    fixed = torch.randint(factors.shape[1], (n,), generator=generator)
    values = factors[torch.randint(len(codes), (n,), generator=generator), fixed]
    for factor in range(factors.shape[1]):
        for value, batches in enumerate(values[fixed == factor].bincount().tolist()):
            if batches:
                members = (factors[:, factor] == value).nonzero()[:, 0]
                drawn = members[torch.randint(len(members), (batches, BATCH), generator=generator)]
                for part in torch.split(drawn, max(1, CHUNK // (BATCH * codes.shape[1]))):
                    variance = codes[part].var(1).masked_fill(~varies, torch.inf)
                    least = (variance == variance.amin(1, keepdim=True)).double()
                    found[:, factor] += (least / least.sum(1, keepdim=True)).sum(0)
    return found


def majority_vote(train: Tensor, train_factors: Tensor, test: Tensor, test_factors: Tensor) -> Tensor:
    """Fraction of each factor's batches of test samples that the least varying unit names rightly: (F,).

    A unit names the factor for which it has most votes among batches of training samples, see `votes`.
    """
    train, test = standardised(train, test)
    named = votes(train, train_factors, VOTES, SEED).argmax(1)
    checked = votes(test, test_factors, CHECKS, SEED + 1)
    right = checked * (named[:, None] == torch.arange(checked.shape[1]))
    return right.sum(0) / checked.sum(0).clamp(min=1.0)
