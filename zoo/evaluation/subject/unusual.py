"""Scores of inliers and outliers: by the model, and on pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from zoo.evaluation.chosen_densities import Kind
from zoo.evaluation.measures.bounds import SCORING
from zoo.evaluation.measures.detection import Detection
from zoo.evaluation.outlier_sets import OutlierSets
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import not_applicable
from zoo.evaluation.subject.evidence import Evidence
from zoo.evaluation.subject.quantised import Quantised
from zoo.types import Density

CODE_DENSITY = "mixture"


class Unusual(Evidence, Quantised):
    """How unusual images are: higher scores are more unusual.

    Attributes:
        RESTS_ON_OUTSIDE: properties whose value depends on which other data sets there are.
    """

    RESTS_ON_OUTSIDE: ClassVar[frozenset[str]] = frozenset({"other_outliers"})
    RESTS_ON: ClassVar[Mapping[str, tuple[Kind, ...]]] = {
        **Quantised.RESTS_ON,
        **dict.fromkeys(("other_outliers", "left_out_outliers", "corrupted_outliers"), ("fast",)),
    }

    @cached_property
    def other_outliers(self) -> Detection:
        """Test images of another data set; NotApplicable where none was given."""
        return self.detection("other")

    @cached_property
    def left_out_outliers(self) -> Detection:
        """Test images of a class that was left out of training; NotApplicable where there is none."""
        return self.detection("left_out")

    @cached_property
    def corrupted_outliers(self) -> Detection:
        """Corrupted test images."""
        return self.detection("corrupted")

    def detection(self, name: str) -> Detection:
        """Scores of a set of outliers, and of as many inliers, by the model and on pixels."""
        sets = self.outlier_sets
        found = sets.named(name)
        (usual, lacking), (unusual, lacking_too) = self.inlier_scores, self.scores(found.outliers)
        lacking = lacking | lacking_too
        usual, unusual = usual | sets.inlier_scores, unusual | sets.outlier_scores(name, found.outliers)
        methods = [method for method in usual if method not in lacking]
        return Detection(
            {method: usual[method][found.inliers] for method in methods},
            {method: unusual[method] for method in methods},
            found.kinds,
            lacking,
        )

    @cached_property
    def outlier_sets(self) -> OutlierSets:
        """The inliers and outliers of the data set."""
        return self.references.outlier_sets(self.outside)

    @cached_property
    def inlier_scores(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """`scores` of the inliers."""
        return self.scores(self.outlier_sets.inliers)

    def scores(self, x: Tensor) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Scores of images x: (N, C, H, W) by the model.

        Returns:
            {method: (N,)}, and {method: why the model has no such score}.

        Raises:
            NotApplicable: the model's codes or decoded images are not finite.
        """
        codes = self.encode(x)
        methods: dict[str, Callable[[], Tensor]] = {
            "reconstruction error": lambda: (self.decode(codes) - x).square().flatten(1).sum(1),
            "likelihood bound": lambda: -self.bounds_on(x, SCORING).iwae,
            "code density": lambda: -self.code_density.log_prob(codes),
        }
        found, lacking = {}, {}
        for method, score in methods.items():
            try:
                found[method] = finite_scores(score())
            except NotApplicable as reason:
                lacking[method] = str(reason)
        return found, lacking

    @cached_property
    def code_density(self) -> Density:
        """The density named "mixture", fitted to the training codes; NotApplicable where it cannot be."""
        chosen = self.chosen.of_kind("fast")
        if CODE_DENSITY not in chosen:
            raise NotApplicable(f"the density {CODE_DENSITY} is not among those chosen")
        with not_applicable():
            return chosen[CODE_DENSITY].fit(self.train_codes)


def finite_scores(scores: Tensor) -> Tensor:
    """The scores themselves; NotApplicable where they are not finite."""
    if not scores.isfinite().all():
        raise NotApplicable("the scores of some samples are not finite")
    return scores
