"""How well a score of each sample separates outliers from test samples; no model was fitted to outliers.

There are at most 5,000 outliers and as many inliers, so an uninformative score has an AUROC of 0.5, and an average
precision of 0.5, or a little more of few samples (0.53 of 36). There are three sets of outliers: "other" are images of
another data set, evaluation.outliers; "left_out" are those of the class data.source.without; "corrupted" are test
images under each corruption of the group robustness at its weakest level, on an equal share of the images: Gaussian
noise of std 0.1, black or white pixels at rate 0.05, blocks of 2x2 pixels, a masked block of a quarter of the height
and width, masked pixels at rate 0.1, two blots and a crease; here the inliers are different images. Each set has five
metrics:

- outlier_auroc_<set>: by the reconstruction error; the curve has AUROC and average precision of every score: those of
  the model, and of four detectors on pixels (`zoo.evaluation.measures.pixel_detectors`);
- outlier_precision_<set>: average precision by the reconstruction error;
- outlier_auroc_<set>_by_bound: by the bound on the log-likelihood from 16 draws;
- outlier_auroc_<set>_by_density: by the density of codes;
- outlier_auroc_<set>_of_pixels: the best of the detectors on pixels.

Intervals are over inliers and outliers; the model is taken as given.
"""

from __future__ import annotations

from collections.abc import Callable

from zoo.evaluation.measures.detection import Detection, auroc, average_precision
from zoo.evaluation.measures.distances import Compared
from zoo.evaluation.measures.pixel_detectors import DETECTORS
from zoo.evaluation.registry import IMAGES, REAL, Curve, Direction, metric

GROUP = "outliers"
Score = Callable[[Detection], Curve]
ERROR, BOUND, DENSITY = "reconstruction error", "likelihood bound", "code density"
SETS = {
    "other": "images of another data set",
    "left_out": "a class left out of training",
    "corrupted": "corrupted images",
}
ABOUT = {
    "other": "The data set is evaluation.outliers.",
    "left_out": "The class is data.source.without.",
    "corrupted": "The corruptions are those of the group robustness, each at its weakest level and on an equal share "
    "of the images; inliers are different images.",
}
MISLEADS = {
    "other": "another data set may differ in something trivial, such as brightness, that any score finds",
    "left_out": "a good autoencoder reconstructs even a class that it has never seen, and then scores badly here",
    "corrupted": "some corruptions, such as coarse blocks, lower the error, and others raise it: the curve has each",
}


def of_each_set(name: str, direction: Direction, version: int = 1) -> Callable[[Score], Score]:
    """Register a score as three metrics, of one set of outliers each; its docstring is a template of theirs.

    Args:
        name: of the metrics, with "{set}"; in the docstring, "{outliers}" and "{about}" say what these are, and
            "{misleads}" how an error misleads about them.
        direction: of the metrics.
        version: of the metrics.
    """

    def register(score: Score) -> Score:
        def of_other(other_outliers: Detection) -> Curve:
            return score(other_outliers)

        def of_left_out(left_out_outliers: Detection) -> Curve:
            return score(left_out_outliers)

        def of_corrupted(corrupted_outliers: Detection) -> Curve:
            return score(corrupted_outliers)

        for outliers, function in zip(SETS, (of_other, of_left_out, of_corrupted), strict=True):
            function.__name__ = name.format(set=outliers)
            function.__doc__ = str(score.__doc__).format(
                outliers=SETS[outliers], about=ABOUT[outliers], misleads=MISLEADS[outliers]
            )
            metric(GROUP, "1", direction, version, kinds=REAL if outliers == "left_out" else IMAGES)(function)
        return score

    return register


@of_each_set("outlier_auroc_{set}", "higher")
def by_error(found: Detection) -> Curve:
    """Area under the ROC curve of the squared reconstruction error: {outliers} against test samples.

        P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2, s the squared reconstruction error

    The area is the probability that an outlier has a higher score than an inlier; by chance, 0.5. {about}

    Misleads: {misleads}. Compare with the detectors on pixels.
    """
    return detected(found, ERROR, auroc, found.table())


@of_each_set("outlier_precision_{set}", "higher")
def precision_by_error(found: Detection) -> Curve:
    """Average precision of the squared reconstruction error: {outliers} among as many test samples.

        1/M sum_m #(outliers n with s_n >= s_m) / #(samples n with s_n >= s_m), over the M outliers m,
        s the squared reconstruction error

    It is the precision at each outlier, averaged; by chance, about 0.5. Unlike the AUROC, it weighs the highest
    scores most.

    Misleads: outliers are much rarer in practice than one sample in two, and precision falls with their share. Also,
    {misleads}.
    """
    return detected(found, ERROR, average_precision)


@of_each_set("outlier_auroc_{set}_by_bound", "higher")
def by_bound(found: Detection) -> Curve:
    """Area under the ROC curve of minus the bound on the log-likelihood: {outliers} against test samples.

        P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2, s = -log 1/16 sum_k p(x, z_k) / q(z_k | x), z_k ~ q

    For variational models: Y. Burda et al. 2015, arXiv:1509.00519. As for the group likelihood, models of binary pixels
    receive images binarised at 0.5, and others images with uniform noise of one grey level, under the standard
    deviation that suits validation images best.

    Misleads: models of binary pixels see no difference between grey levels on the same side of 0.5. All models assign
    simple images, such as blank ones, a high likelihood whether or not they are unusual: E. Nalisnick et al., "Do deep
    generative models know what they don't know?", 2018, arXiv:1810.09136.
    """
    return detected(found, BOUND, auroc)


@of_each_set("outlier_auroc_{set}_by_density", "higher", version=2)
def by_density(found: Detection) -> Curve:
    """Area under the ROC curve of minus the log density of codes: {outliers} against test samples.

        P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2, s = -log p(z), p the mixture of codes

    Misleads: outliers whose codes fall among the usual ones are not found: the bottleneck may discard exactly what
    makes them unusual.
    """
    return detected(found, DENSITY, auroc)


@of_each_set("outlier_auroc_{set}_of_pixels", "none")
def of_pixels(found: Detection) -> Curve:
    """Best area under the ROC curve of four detectors on pixels, a reference: {outliers}.

        max_s (P(s(outlier) > s(inlier)) + P(s(outlier) = s(inlier)) / 2), s the score of a detector

    Misleads: it is the best of four detectors, chosen by this very value, and so a little too high.
    """
    return max((detected(found, name, auroc) for name in DETECTORS), key=lambda curve: curve.value or 0)


def detected(
    found: Detection,
    method: str,
    measure: Callable[..., Compared],
    table: dict[str, list[float] | list[str]] | None = None,
) -> Curve:
    """How well one score separates the two."""
    usual, unusual = found.by(method)
    area = measure(usual, unusual)
    return Curve(area.value, table or {}, len(usual), influence=(area.real, area.fake))
