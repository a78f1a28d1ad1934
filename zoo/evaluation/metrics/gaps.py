"""Quality of decoded points in the gaps of the code space, between and beyond the codes of images.

There are 2,000 points of each kind: halfway between two test codes, on a straight line and on a great circle around the
mean training code; samples of the Gaussian fitted to the training codes; uniform samples of the box that encloses them.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.measures.code_points import GapPoints
from zoo.evaluation.registry import IMAGES, Curve, metric


@metric("gaps", "distance of test images", "lower", version=2, kinds=IMAGES)
def gap_feature_distance(gap_points: GapPoints) -> Curve:
    """Distance of decoded points in gaps to the nearest training image in feature space, over that of test images.

    1 where points are as near to training images as test images are. Mean over four kinds of points; the curve shows
    each kind, and reconstructions of test images.
    """
    return curve("distance", gap_points.distance)


@metric("gaps", "standard deviations of the code", "lower", kinds=IMAGES)
def gap_reencoding_shift(gap_points: GapPoints) -> Curve:
    """|encode(decode(z)) - z| of points z in gaps, over the root mean square distance of training codes to their mean.

    Mean over four kinds of points; the curve shows each kind, and the codes of test images.
    """
    return curve("shift", gap_points.shift)


def curve(name: str, values: dict[str, Tensor]) -> Curve:
    """Means by kind of point; the value is their mean over all kinds except the test images."""
    means = {kind: value.double().mean().item() for kind, value in values.items()}
    in_gaps = [mean for kind, mean in means.items() if kind != "test images"]
    table: dict[str, list[float] | list[str]] = {"points": list(means), name: list(means.values())}
    return Curve(sum(in_gaps) / len(in_gaps), table, min(map(len, values.values())))
