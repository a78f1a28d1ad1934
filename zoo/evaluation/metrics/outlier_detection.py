"""How well a score of each sample separates outliers from test samples.

There are three sets of outliers, and at most 5,000 of a set and as many inliers:

- "other": images of another data set, evaluation.outliers;
- "left_out": those of a class that was left out of training, data.source.without;
- "corrupted": test images under each corruption of the group robustness at its weakest level, on an equal share of the
  images, and as 8-bit images are stored: Gaussian noise of std 0.1, black or white pixels at rate 0.05, blocks of 2x2
  pixels, a masked block of a quarter of the height and width, masked pixels at rate 0.1, two blots and a crease. The
  inliers are different images, and images that a corruption does not change are left out.

Each set is measured by the area under the ROC curve and by average precision, each of four scores: the reconstruction
error, the bound on the log-likelihood, the density of codes, and the best of six scores of pixels that need no model:

- four detectors, fitted to the same training images as the models (evenly spaced ones of more than 50,000, or of large
  images): isolation forest, local outlier factor, kernel density and nearest neighbours
  (`zoo.evaluation.measures.pixel_detectors`);
- two trivial scores, by which an image is unusual if its mean value, or the length of its compressed pixels, is far
  from the mean of training images: J. Serra et al., "Input complexity and out-of-distribution detection with
  likelihood-based generative models", 2020, arXiv:1909.11480.

The curve of outlier_auroc_<set> has the AUROC and average precision of every score. By chance, an AUROC is 0.5, and an
average precision 0.5, or a little more of few samples (0.53 of 36). Intervals are over inliers, and outliers of each
kind; the model is taken as given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from zoo.evaluation.measures.detection import Detection, auroc, average_precision
from zoo.evaluation.measures.distances import Compared
from zoo.evaluation.measures.pixel_detectors import DETECTORS
from zoo.evaluation.registry import IMAGES, REAL, Curve, Direction, metric

GROUP, VERSION = "outliers", 3
Score = Callable[[Detection, Callable[[Detection, str], Curve]], Curve]
ERROR, BOUND, DENSITY = "reconstruction error", "likelihood bound", "code density"
SETS = {
    "other": "images of another data set, evaluation.outliers,",
    "left_out": "images of a class left out of training, data.source.without,",
    "corrupted": "test images under weak corruptions, six kinds,",
}
MISLEADS = {
    "other": "another data set may differ in something trivial, such as the brightness of the border: compare with the "
    "scores of pixels",
    "left_out": "an image that resembles a known class is reconstructed as well as that class; compare with the scores "
    "of pixels",
    "corrupted": "it is a mean over kinds that a score may find or miss, of which the curve has each; and a method "
    "that is fitted to corrupted images, such as denoising_ae, knows some of these outliers",
}


@dataclass(frozen=True)
class Measured:
    """What one number says of the scores of inliers and outliers, in words for docstrings.

    Attributes:
        name: at the beginning of a sentence.
        formula: of the score s.
        means: what the number is.
        misleads: empty, or a sentence.
        function: (scores of inliers, scores of outliers) -> the number.
    """

    name: str
    formula: str
    means: str
    misleads: str
    function: Callable[..., Compared]


MEASURES = {
    "auroc": Measured(
        "Area under the ROC curve",
        "P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2",
        "It is the probability that an outlier has a higher score than an inlier; by chance, 0.5.",
        "",
        auroc,
    ),
    "precision": Measured(
        "Average precision",
        "1/M sum_m #(outliers n with s_n >= s_m) / #(samples n with s_n >= s_m), over the M outliers m",
        "It is the precision at each outlier, averaged; by chance, about 0.5, as half of the samples are outliers. "
        "Unlike the AUROC, it weighs the highest scores most.",
        "Outliers are much rarer in practice, and precision falls with their share: of two normal scores 1.8 standard "
        "deviations apart, the AUROC is 0.90, and average precision 0.90, 0.57 and 0.20 where 50, 9 and 1 % are "
        "outliers. ",
        average_precision,
    ),
}


def of_each(score: str, direction: Direction = "higher") -> Callable[[Score], Score]:
    """Register a score as six metrics, by two measures of three sets of outliers; its docstring is their template.

    Args:
        score: the end of the names.
        direction: of the metrics.
    """

    def register(function: Score) -> Score:
        for measure, measured in MEASURES.items():
            for outliers in SETS:
                name = f"outlier_{measure}_{outliers}{score}"
                document = str(function.__doc__).format(
                    area=measured.name,
                    formula=measured.formula,
                    means=measured.means,
                    outliers=SETS[outliers],
                    rare=measured.misleads,
                    misleads=MISLEADS[outliers],
                )
                register_one(function, name, document, outliers, measure, direction)
        return function

    return register


def register_one(score: Score, name: str, document: str, outliers: str, measure: str, direction: Direction) -> None:
    """Register a score as one metric, which needs the scores of one set of outliers."""

    def measured(found: Detection, method: str) -> Curve:
        usual, unusual = found.by(method)
        area = MEASURES[measure].function(usual, unusual)
        table = found.table() if (measure, method) == ("auroc", ERROR) else {}
        n = len(usual) + len(unusual)
        return Curve(area.value, table, n, influence=(area.real, found.within_kinds(area.fake)))

    def of_other(other_outliers: Detection) -> Curve:
        return score(other_outliers, measured)

    def of_left_out(left_out_outliers: Detection) -> Curve:
        return score(left_out_outliers, measured)

    def of_corrupted(corrupted_outliers: Detection) -> Curve:
        return score(corrupted_outliers, measured)

    function = {"other": of_other, "left_out": of_left_out, "corrupted": of_corrupted}[outliers]
    function.__name__, function.__doc__ = name, document
    metric(GROUP, "1", direction, VERSION, kinds=REAL if outliers == "left_out" else IMAGES)(function)


@of_each("")
def by_error(found: Detection, measured: Callable[[Detection, str], Curve]) -> Curve:
    """{area} of the squared reconstruction error: {outliers} against as many other test images.

        {formula}, s the squared reconstruction error

    {means}

    Misleads: {rare}{misleads}. Models of binary pixels receive images binarised at 0.5, and grey counts as an error,
    whatever they have learned.
    """
    return measured(found, ERROR)


@of_each("_by_bound")
def by_bound(found: Detection, measured: Callable[[Detection, str], Curve]) -> Curve:
    """{area} of minus the bound on the log-likelihood: {outliers} against as many other test images.

        {formula}, s = -log 1/16 sum_k p(x, z_k) / q(z_k | x), z_k ~ q

    {means}

    For variational models: Y. Burda et al. 2015, arXiv:1509.00519. As for the group likelihood, models of binary pixels
    receive images binarised at 0.5, and others images with uniform noise of one grey level, under the standard
    deviation that suits validation images best. `Model.score_samples` takes the model as it was fitted, and ranks
    samples in another order.

    Misleads: {rare}{misleads}. Models of binary pixels see no difference between grey levels on the same side of 0.5.
    Models can assign images that are simpler than those they were fitted to a higher likelihood, such as MNIST under a
    model of Fashion-MNIST: E. Nalisnick et al., "Do deep generative models know what they don't know?", 2018,
    arXiv:1810.09136. A high value in one direction says nothing of the other.
    """
    return measured(found, BOUND)


@of_each("_by_density")
def by_density(found: Detection, measured: Callable[[Detection, str], Curve]) -> Curve:
    """{area} of minus the log density of codes: {outliers} against as many other test images.

        {formula}, s = -log p(z), p the mixture of codes

    {means}

    Misleads: {rare}{misleads}. Outliers whose codes fall among the usual ones are not found: the bottleneck may discard
    exactly what makes them unusual.
    """
    return measured(found, DENSITY)


@of_each("_of_pixels", "none")
def of_pixels(found: Detection, measured: Callable[[Detection, str], Curve]) -> Curve:
    """{area} of the best of six scores of pixels that need no model, a reference: {outliers} against others.

        max over scores of {formula}, s a score of pixels

    {means} The scores are those of four detectors and two trivial ones; the curve of outlier_auroc_<set> has each.

    Misleads: {rare}It is the best of six, chosen by this very value, and so a little too high.
    """
    return max((measured(found, name) for name in DETECTORS), key=lambda curve: curve.value or 0)
