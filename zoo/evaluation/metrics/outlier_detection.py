"""How well a score of each sample separates outliers from test samples; no model was fitted to outliers.

There are as many outliers as inliers, so an uninformative score has an AUROC and an average precision of 0.5.
Each set of outliers has three metrics:

- <name>: by the reconstruction error; the curve has AUROC and average precision of every score: those of the model
  (reconstruction error, bound on the log-likelihood from 16 draws, density of codes), and four on pixels;
- <name>_by_density: by the density of codes;
- <name>_of_pixels: the best of the four detectors on pixels (`zoo.evaluation.measures.pixel_detectors`).

A variational model's bound has no metric of its own: it is in the curves.
Intervals are over inliers and outliers; the model is taken as given.
"""

from __future__ import annotations

from zoo.evaluation.measures.detection import Detection, auroc
from zoo.evaluation.measures.pixel_detectors import DETECTORS
from zoo.evaluation.registry import IMAGES, REAL, Curve, metric

GROUP, UNIT = "outliers", "1"


@metric(GROUP, UNIT, "higher", kinds=IMAGES)
def outlier_auroc_other(other_outliers: Detection) -> Curve:
    """Area under the ROC curve of the squared reconstruction error: images of another data set against test samples.

        P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2, s the squared reconstruction error

    The area is the probability that an outlier has a higher score than an inlier; by chance, 0.5. For all metrics
    `outlier_auroc_*`: at most 5,000 outliers, and as many inliers. The data set is evaluation.outliers.

    Misleads: another data set may differ in something trivial, such as brightness, that any score finds: compare with
    the detectors on pixels.
    """
    return by_error(other_outliers)


@metric(GROUP, UNIT, "higher", version=2, kinds=IMAGES)
def outlier_auroc_other_by_density(other_outliers: Detection) -> Curve:
    """Area under the ROC curve of minus the log density of codes: images of another data set against test samples.

        P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2, s = -log p(z), p the mixture of codes

    Misleads: outliers whose codes fall among the usual ones are not found: the bottleneck may discard exactly what
    makes them unusual.
    """
    return detected(other_outliers, "code density")


@metric(GROUP, UNIT, "none", kinds=IMAGES)
def outlier_auroc_other_of_pixels(other_outliers: Detection) -> Curve:
    """Best area under the ROC curve of four detectors on pixels, a reference: images of another data set.

        max_s (P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2), s the score of a detector

    Misleads: it is the best of four detectors, chosen by this very value, and so a little too high.
    """
    return of_pixels(other_outliers)


@metric(GROUP, UNIT, "higher", kinds=REAL)
def outlier_auroc_left_out(left_out_outliers: Detection) -> Curve:
    """Area under the ROC curve of the squared reconstruction error: a class left out of training against test samples.

        P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2, s the squared reconstruction error

    The class is data.source.without.

    Misleads: a good autoencoder reconstructs a class that it has never seen: a low value then shows how general the
    model is, not how bad.
    """
    return by_error(left_out_outliers)


@metric(GROUP, UNIT, "higher", version=2, kinds=REAL)
def outlier_auroc_left_out_by_density(left_out_outliers: Detection) -> Curve:
    """Area under the ROC curve of minus the log density of codes: a class left out of training against test samples.

        P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2, s = -log p(z), p the mixture of codes

    Misleads: outliers whose codes fall among the usual ones are not found: the bottleneck may discard exactly what
    makes them unusual.
    """
    return detected(left_out_outliers, "code density")


@metric(GROUP, UNIT, "none", kinds=REAL)
def outlier_auroc_left_out_of_pixels(left_out_outliers: Detection) -> Curve:
    """Best area under the ROC curve of four detectors on pixels, a reference: a class left out of training.

        max_s (P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2), s the score of a detector

    Misleads: it is the best of four detectors, chosen by this very value, and so a little too high.
    """
    return of_pixels(left_out_outliers)


@metric(GROUP, UNIT, "higher", kinds=IMAGES)
def outlier_auroc_corrupted(corrupted_outliers: Detection) -> Curve:
    """Area under the ROC curve of the squared reconstruction error: corrupted test images against test samples.

        P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2, s the squared reconstruction error

    Each corruption of group robustness at its weakest level, on an equal share of the images: Gaussian noise of std
    0.1, black or white pixels at rate 0.05, blocks of 2x2 pixels, a masked block of a quarter of the height and width,
    masked pixels at rate 0.1, two blots and a crease. The curve has the AUROC of each. Inliers are different images.

    Misleads: noise raises every reconstruction error, so the score may find the noise and not the novelty: compare with
    the detectors on pixels.
    """
    return by_error(corrupted_outliers)


@metric(GROUP, UNIT, "higher", version=2, kinds=IMAGES)
def outlier_auroc_corrupted_by_density(corrupted_outliers: Detection) -> Curve:
    """Area under the ROC curve of minus the log density of codes: corrupted test images against test samples.

        P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2, s = -log p(z), p the mixture of codes

    Misleads: outliers whose codes fall among the usual ones are not found: the bottleneck may discard exactly what
    makes them unusual.
    """
    return detected(corrupted_outliers, "code density")


@metric(GROUP, UNIT, "none", kinds=IMAGES)
def outlier_auroc_corrupted_of_pixels(corrupted_outliers: Detection) -> Curve:
    """Best area under the ROC curve of four detectors on pixels, a reference: corrupted test images.

        max_s (P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2), s the score of a detector

    Misleads: it is the best of four detectors, chosen by this very value, and so a little too high.
    """
    return of_pixels(corrupted_outliers)


def by_error(found: Detection) -> Curve:
    """AUROC by reconstruction error, with the table of all scores."""
    return detected(found, "reconstruction error", found.table())


def of_pixels(found: Detection) -> Curve:
    """AUROC of the best detector on pixels."""
    return max((detected(found, name) for name in DETECTORS), key=lambda curve: curve.value or 0)


def detected(found: Detection, method: str, table: dict[str, list[float] | list[str]] | None = None) -> Curve:
    """AUROC by one score."""
    usual, unusual = found.by(method)
    area = auroc(usual, unusual)
    return Curve(area.value, table or {}, len(usual), influence=(area.real, area.fake))
