"""The factors that samples were made from, and how codes depend on them."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from zoo.data.images import Images
from zoo.evaluation.measures.factor_scores import FITTED, TESTED, Importances, importances, shuffled
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import Encoded

WIDEST = 128  # units, beyond which forests take several minutes


class Factored(Encoded):
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
        return self.importances_of(self.train_codes, self.test_codes)

    @cached_property
    def shuffled_importances(self) -> Importances:
        """The same for shuffled codes, which carry no information about factors."""
        return self.importances_of(shuffled(self.train_codes), shuffled(self.test_codes))

    def importances_of(self, train: Tensor, test: Tensor) -> Importances:
        """Of the first 10,000 training codes, and the first 5,000 test codes; NotApplicable for wide codes."""
        factors = self.train_factors[:FITTED], self.test_factors[:TESTED]
        if (width := train.shape[1]) > WIDEST:
            raise NotApplicable(f"forests on {width} units take long; codes of up to {WIDEST} units are measured")
        return importances(train[:FITTED], factors[0], test[:TESTED], factors[1])
