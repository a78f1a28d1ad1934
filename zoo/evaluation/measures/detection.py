"""How well scores separate outliers from inliers; a higher score means more unusual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zoo.evaluation.measures.distances import Compared
from zoo.evaluation.registry import NotApplicable


@dataclass(frozen=True)
class Detection:
    """Scores of N inliers and N outliers by several methods.

    Attributes:
        usual: {method: (N,)}, scores of the inliers.
        unusual: {method: (N,)}, scores of the outliers.
        kinds: {kind of outlier: (M,) int64}, which of the outliers are of that kind.
        lacking: {method: why it has no scores}.
    """

    usual: Mapping[str, Tensor]
    unusual: Mapping[str, Tensor]
    kinds: Mapping[str, Tensor]
    lacking: Mapping[str, str]

    def by(self, method: str) -> tuple[Tensor, Tensor]:
        """The scores of the inliers and of the outliers by a method.

        Raises:
            NotApplicable: it has none.
        """
        if method in self.lacking:
            raise NotApplicable(self.lacking[method])
        return self.usual[method], self.unusual[method]

    def within_kinds(self, influence: Tensor) -> Tensor:
        """Influences of outliers (N,) less the mean of their kind: how many there are of a kind is fixed, not drawn."""
        found = influence.clone()
        for index in self.kinds.values():
            found[index] -= influence[index].mean()
        return found

    def table(self) -> dict[str, list[float] | list[str]]:
        """AUROC and average precision of each method, and the AUROC of each kind of outlier where there are several.

        Outliers of each kind are compared with all inliers, so that the AUROC is the mean over kinds of one size.
        """
        pairs = {method: self.by(method) for method in self.usual}
        found: dict[str, list[float] | list[str]] = {
            "score": list(pairs),
            "AUROC": [auroc(*pair).value for pair in pairs.values()],
            "average precision": [average_precision(*pair).value for pair in pairs.values()],
        }
        if len(self.kinds) > 1:
            for kind, index in self.kinds.items():
                found[kind] = [auroc(usual, unusual[index]).value for usual, unusual in pairs.values()]
        return found


def auroc(usual: Tensor, unusual: Tensor) -> Compared:
    """Area under the ROC curve: the probability that an outlier scores higher than an inlier, ties counting half.

    The influence of an inlier is the fraction of outliers above it, that of an outlier the fraction of inliers below
    it, both minus their mean. E. DeLong, D. DeLong, D. Clarke-Pearson, "Comparing the areas under two or more
    correlated ROC curves", 1988; by ranks, X. Sun, W. Xu, "Fast implementation of DeLong's algorithm", 2014.

    Args:
        usual: (N,), scores of inliers.
        unusual: (M,), scores of outliers.
    """
    from scipy.stats import rankdata

    _, scores = joint(usual, unusual)
    ranks, n = rankdata(scores), len(usual)
    lower = (ranks[:n] - rankdata(scores[:n])) / len(unusual)  # fraction of outliers below each inlier
    above = (ranks[n:] - rankdata(scores[n:])) / n  # fraction of inliers below each outlier
    return Compared.of(float(above.mean()), torch.from_numpy(-lower), torch.from_numpy(above))


def average_precision(usual: Tensor, unusual: Tensor) -> Compared:
    """Mean over outliers of the fraction of outliers among all that score at least as high; arguments as for `auroc`.

        1/M sum_m a_m / (a_m + b_m)

    with a_m outliers and b_m inliers that score at least as high as outlier m. Of a constant score it is M / (N + M),
    of random ones a little more. The influences are its derivatives by the weights of the samples: another inlier at or
    above m lowers the m-th term by a_m / (a_m + b_m)^2, another outlier raises it by b_m / (a_m + b_m)^2.
    """
    inliers, outliers = usual.double().sort().values, unusual.double().sort().values
    a, b = (len(each) - torch.searchsorted(each, outliers).double() for each in (outliers, inliers))
    precision = a / (a + b)

    def summed(terms: Tensor, scores: Tensor) -> Tensor:
        """Sum of the terms of outliers that score no higher than each of some scores."""
        return torch.cat([terms.new_zeros(1), terms.cumsum(0)])[torch.searchsorted(outliers, scores, right=True)]

    raised = summed(b / (a + b).square(), unusual.double())
    lowered = summed(a / (a + b).square(), usual.double()) * len(usual) / len(unusual)
    own = precision[torch.searchsorted(outliers, unusual.double())]
    return Compared.of(precision.mean().item(), -lowered, own + raised)


def joint(usual: Tensor, unusual: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Zeros for inliers and ones for outliers: (N + M,), and their scores: (N + M,) float64."""
    truth = np.repeat([0, 1], [len(usual), len(unusual)])
    return truth, torch.cat([usual.double(), unusual.double()]).numpy()
