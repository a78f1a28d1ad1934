"""Decoded points of the code space between and beyond the codes of images."""

from __future__ import annotations

from functools import cached_property

from zoo.evaluation.measures.code_points import GapPoints, in_box, pairs, spherical, straight
from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import not_applicable
from zoo.evaluation.subject.sampled import Sampled

POINTS = 2_000
SEED = 0


class BetweenCodes(Sampled):
    """Points in the gaps between codes."""

    @cached_property
    def gap_points(self) -> GapPoints:
        """Decoded points in gaps, and for comparison the codes of test images."""
        from zoo.density.gaussian import GaussianDensity

        centre, train_features = self.train_codes.mean(0), self.references.train_features
        a, b = pairs(self.test_codes, POINTS, SEED)
        with not_applicable():
            gaussian = GaussianDensity().fit(self.train_codes)
        points = {
            "straight": straight(a, b),
            "spherical": spherical(a, b, centre),
            "density": gaussian.sample(POINTS, SEED),
            "box": in_box(self.train_codes, POINTS, SEED),
        }
        points = {kind: self.feasible(z) for kind, z in points.items()} | {"reconstructions": self.test_codes[:POINTS]}
        scale = (self.train_codes - centre).square().sum(1).mean().sqrt()
        usual = nearest(self.test_features, train_features, 1)[0][:, 0]
        if not usual.any():
            raise NotApplicable("the test images are among the training images, so distances have no unit")
        low, high = usual.quantile(usual.new_tensor([0.025, 0.975]))
        distance, shift = {}, {}
        for kind, z in points.items():
            images = self.decode(z)
            distance[kind] = nearest(self.references.features(images), train_features, 1)[0][:, 0]
            shift[kind] = (self.encode(images) - z).norm(dim=1) / scale
        distance["test images"] = usual
        realism = {kind: ((low <= d) & (d <= high)).float() for kind, d in distance.items()}
        return GapPoints({kind: d / usual.mean() for kind, d in distance.items()}, realism, shift)
