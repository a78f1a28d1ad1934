"""How good decoded points are between and beyond the data.

2,000 points of each kind: halfway between two test codes, straight and along a great circle around the mean training
code; draws from the Gaussian fitted to the training codes; uniform draws from the box that encloses them.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.holes import Holes
from zoo.evaluation.metrics.registry import Curve, metric


@metric("holes", "distance of test images", "lower")
def hole_feature_distance(holes: Holes) -> Curve:
    """Distance of decoded points to the nearest training image in feature space, over that of the test images.

    1 where points are as near to real images as unseen real images are. Mean over four kinds of points; the curve shows
    each, and reconstructions of test images.
    """
    return curve("distance", holes.distance)


@metric("holes", "standard deviations of the code", "lower")
def hole_reencoding_shift(holes: Holes) -> Curve:
    """|encode(decode(z)) - z| over the root mean squared distance of training codes from their mean.

    Mean over four kinds of points; the curve shows each, and the codes of test images.
    """
    return curve("shift", holes.shift)


def curve(name: str, values: dict[str, Tensor]) -> Curve:
    """Means by kind of point, with the mean over all kinds but the test images as value."""
    means = {kind: value.double().mean().item() for kind, value in values.items()}
    invented = [mean for kind, mean in means.items() if kind != "test images"]
    table: dict[str, list[float] | list[str]] = {"points": list(means), name: list(means.values())}
    return Curve(sum(invented) / len(invented), table, min(map(len, values.values())))
