"""Quality of decoded points in the gaps of the code space, between and beyond the codes of images.

There are 2,000 points of each kind: halfway between two test codes, on a straight line and on a great circle around the
mean training code; samples of the Gaussian fitted to the training codes; uniform samples of the box that encloses them,
most of which are far from all codes. Of discrete and sparse codes, points are moved to the nearest codes that the
bottleneck can emit.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.measures.code_points import GapPoints
from zoo.evaluation.registry import IMAGES, Curve, metric

INSIDE = ("straight", "spherical", "density")  # the kinds whose mean is the value


@metric("gaps", "fraction", "none", version=3, kinds=IMAGES)
def gap_realism(gap_points: GapPoints) -> Curve:
    """Fraction of decoded points in gaps that are as far from the nearest training image as test images usually are.

        P(l <= d(decode(z)) <= h), d(x) = min_j |f(x) - f(x_j)|, f the features and x_j the training images,
        l and h the 2.5 % and 97.5 % quantiles of d over test images

    "Usually" is the central 95 % of test images, in feature space: garbage is farther from every training image, and a
    blur of several is nearer than a real image. Mean over points halfway between codes, straight and spherical, and
    samples of the Gaussian. The curve shows each kind, points of the box, reconstructions, and test images: 0.95.

    Methods are not ranked by it: above 0.95, points are nearer to training images than real images are, as blurs are.

    Misleads: a point halfway between two codes need not lie in a gap: where all codes form one cluster, this is hardly
    more than the realism of reconstructions. A realistic image of the wrong class counts, too.
    """
    return curve("realism", gap_points.realism)


@metric("gaps", "distance of test images", "none", version=4, kinds=IMAGES)
def gap_feature_distance(gap_points: GapPoints) -> Curve:
    """Distance of decoded points in gaps to the nearest training image in feature space, over that of test images.

        mean d(decode(z)) / mean d(x), d(x) = min_j |f(x) - f(x_j)|, f the features and x_j the training images

    Neither a large nor a small value is good: see gap_realism, also for the points z. The curve shows each kind.

    Misleads: a small distance may be a blur of several images, and a large one either novelty or garbage.
    """
    return curve("distance", gap_points.distance)


@metric("gaps", "standard deviations of the code", "none", version=4, kinds=IMAGES)
def gap_reencoding_shift(gap_points: GapPoints) -> Curve:
    """|encode(decode(z)) - z| of points z in gaps, over the root mean square distance of training codes to their mean.

    It is 0 for every linear code that its encoder inverts, so methods are not ranked by it. The curve shows each kind
    of point, and the codes of test images ("reconstructions").

    Misleads: a decoder that draws a realistic image from every gap moves the code far, which is not an error.
    """
    return curve("shift", gap_points.shift)


def curve(name: str, values: dict[str, Tensor]) -> Curve:
    """Means by kind of point; the value is their mean over the kinds `INSIDE`."""
    means = {kind: value.double().mean().item() for kind, value in values.items()}
    table: dict[str, list[float] | list[str]] = {"points": list(means), name: list(means.values())}
    return Curve(sum(means[kind] for kind in INSIDE) / len(INSIDE), table, min(map(len, values.values())))
