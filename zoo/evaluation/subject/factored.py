"""The factors that samples were made from, and how codes depend on them."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from zoo.data.images import Images
from zoo.evaluation.batches import BATCH
from zoo.evaluation.measures.factor_scores import FITTED, TESTED, Importances, importances, shuffled
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.variational import Variational
from zoo.types import HasPosterior

LEAST = 0.05  # standard deviation of a unit that is in use, relative to that of samples of its posteriors
WIDEST = 128  # units, beyond which forests take several minutes


class Factored(Variational):
    """Factors of the samples, where they are known."""

    @property
    def train_factors(self) -> Tensor:
        """Factors of the training images that are encoded: (N, F) int64; NotApplicable where they are not known."""
        return self.factors(self.train)

    @property
    def test_factors(self) -> Tensor:
        """Factors of the test images: (N, F) int64; NotApplicable where they are not known."""
        return self.factors(self.data.test)

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the factors; NotApplicable where they are not known."""
        _ = self.test_factors
        return self.data.factors

    @cached_property
    def used_units(self) -> Tensor:
        """Which units of a code are in use: (D,) bool; all, where the model has no posterior of each unit.

        A unit whose posterior means m(x) hardly vary beside its noise is not: std(m) < 0.05 sqrt(Var(m) + E[s^2(x)]),
        over training samples, at most 10,000, s(x) the standard deviation of the posterior.
        """
        bottleneck, means = self.model.bottleneck, self.train_codes[:FITTED].double()
        if not isinstance(bottleneck, HasPosterior):
            return torch.ones(means.shape[1], dtype=torch.bool)
        noise = means.new_zeros(means.shape[1])
        for x in torch.split(self.train[: len(means)], BATCH):
            noise += bottleneck.posterior(self.hidden(x)).variance.double().sum(0).cpu()
        signal = means.var(0, correction=0)
        return signal >= LEAST**2 * (signal + noise / len(means))

    @cached_property
    def used_train_codes(self) -> Tensor:
        """Codes of the training images, 0 in units that are not in use: (N, D)."""
        return self.train_codes * self.used_units

    @cached_property
    def used_test_codes(self) -> Tensor:
        """Codes of the test images, 0 in units that are not in use: (N, D)."""
        return self.test_codes * self.used_units

    def factors(self, images: Images) -> Tensor:
        """Factors of `images`: (N, F) int64; NotApplicable where there are fewer than two, or one does not vary."""
        found = images.factors
        if found is None or found.shape[1] < 2:
            raise NotApplicable(f"the factors of variation of the data set {self.data.name} are not known")
        if (found == found[0]).all(0).any():
            raise NotApplicable("one of the factors has the same value in all samples")
        return found

    @cached_property
    def factor_importances(self) -> Importances:
        """How much each unit contributes to predicting each factor."""
        return self.importances_of(self.used_train_codes, self.used_test_codes)

    @cached_property
    def shuffled_importances(self) -> Importances:
        """The same for shuffled codes, which carry no information about factors."""
        return self.importances_of(shuffled(self.used_train_codes), shuffled(self.used_test_codes))

    def importances_of(self, train: Tensor, test: Tensor) -> Importances:
        """Of the first 10,000 training codes, and the first 5,000 test codes; NotApplicable for wide codes."""
        factors = self.train_factors[:FITTED], self.test_factors[:TESTED]
        if (width := train.shape[1]) > WIDEST:
            raise NotApplicable(f"forests on {width} units take long; codes of up to {WIDEST} units are measured")
        return importances(train[:FITTED], factors[0], test[:TESTED], factors[1])
