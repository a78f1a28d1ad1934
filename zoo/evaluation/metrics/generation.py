"""Comparison of decoded samples with test images, as sets, in the features of a small classifier.

Samples are decoded from draws of a density, as many as there are test images and at most 10,000, and clipped to [0, 1].
The densities are fitted to the training codes, or are the model's own prior. A draw of a density for a discrete or a
sparse code is moved to the nearest code that the model emits. Each comparison gives three metrics:

- <name>: the value is that of the Gaussian mixture; the curve shows all densities without stochastic gradients,
  reconstructions of the test images and, as the floor, training images;
- prior_<name>: the model's own prior, where it has one;
- learned_<name>: the value is that of the flow; the curve shows all densities fitted by stochastic gradients.

Intervals are over test images and draws; features, density and model are fixed.

The entries of a discrete code also have an autoregressive density, with a metric of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from zoo.evaluation.measures.distances import Compared, Likeness, frechet_distance
from zoo.evaluation.registry import IMAGES, Curve, Direction, metric

Comparison = Callable[[Likeness], Compared]


def comparison(unit: str, direction: Direction) -> Callable[[Comparison], Comparison]:
    """Register a comparison of two sets as three metrics: of fast densities, the prior, and learned densities."""

    def register(compare: Comparison) -> Comparison:
        def of_densities(sample_likeness: dict[str, Likeness]) -> Curve:
            return curve(compare, sample_likeness, "mixture")

        def of_prior(prior_likeness: dict[str, Likeness]) -> Curve:
            return curve(compare, prior_likeness, "prior")

        def of_learned(learned_likeness: dict[str, Likeness]) -> Curve:
            return curve(compare, learned_likeness, "flow")

        for prefix, group, function, about in (
            ("", "generation", of_densities, ""),
            ("prior_", "generation", of_prior, " Samples are drawn from the model's prior."),
            ("learned_", "learned_generation", of_learned, " Samples are drawn from a normalising flow."),
        ):
            first, *more = str(compare.__doc__).split("\n\n")
            function.__name__ = prefix + compare.__name__
            function.__doc__ = "\n\n".join([first + about, *more])
            metric(group, unit, direction, version=3, kinds=IMAGES)(function)
        return compare

    return register


def curve(compare: Comparison, sets: dict[str, Likeness], shown: str) -> Curve:
    """One comparison for all sets, by their origin."""
    n = sets[shown].manifold.n if shown in sets else None
    return compared({name: compare(each) for name, each in sets.items()}, shown, n)


def compared(values: dict[str, Compared], shown: str, n: int | None) -> Curve:
    """As `table`, with what the interval of the shown value follows from."""
    found = table({name: each.value for name, each in values.items()}, shown, n)
    return replace(found, influence=(values[shown].real, values[shown].fake)) if shown in values else found


def table(values: dict[str, float], shown: str, n: int | None) -> Curve:
    """All values by the samples' origin, with the value of the origin `shown`; each rests on n samples."""
    reason = "" if shown in values else f"the value is that of the density {shown}, which is not among those chosen"
    return Curve(values.get(shown), {"samples": list(values), "value": list(values.values())}, n, reason)


@metric("generation", "fraction", "none", kinds=IMAGES)
def feature_network_accuracy(test_logits: Tensor, test_labels: Tensor) -> Tensor:
    """Accuracy on test images of the classifier whose features are used; the same for every model.

        1/N sum_n [argmax_c l_c(x_n) = y_n], l_c the classifier's logit of class c, y_n the label

    Misleads: it describes the classifier, not a model. Where it is low, every metric in this feature space says little.

    Args:
        test_logits: (N, classes), of the test images.
        test_labels: (N,).
    """
    return test_logits.argmax(1) == test_labels


@comparison("squared feature distance", "lower")
def frechet(sets: Likeness) -> Compared:
    """Frechet distance between Gaussians fitted to the features of samples and of test images.

        |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)), m and S mean and covariance of the features of each set

    The features are those of a small classifier of this data set, standardised on its training images, not those of
    Inception: values are comparable within a data set only.

    Misleads: only means and covariances of the features are compared, a small number of samples makes it too large, and
    the features only represent what separates the classes of this data set.
    """
    return sets.frechet


@metric("generation", "squared feature distance", "lower", version=2, kinds=IMAGES)
def frechet_autoregressive(test_features: Tensor, index_samples: Tensor) -> Curve:
    """Frechet distance, as `frechet`, of samples from an autoregressive density of a discrete code's entries.

        |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)), m and S mean and covariance of the features of each set

    Misleads: as for frechet; it judges the density and the decoder together. Fitted to about a thousand codes, as those
    of the digits, the density knows little more than how frequent entries are: the value then says more of it than of
    the code.

    Args:
        test_features: (N, 64).
        index_samples: (M, 64), features of the samples.
    """
    found = {"autoregressive": frechet_distance(test_features, index_samples)}
    return compared(found, "autoregressive", len(index_samples))


@metric("inception", "squared feature distance", "lower", version=2, kinds=IMAGES)
def frechet_inception(inception_sets: dict[str, Tensor]) -> Curve:
    """Frechet Inception distance of samples from test images, with the weights of torch-fidelity.

        |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)), m and S mean and covariance of the features of each set

    Misleads: Inception was trained on photographs, so its features suit digits and drawings badly; a small number of
    samples makes the value too large.

    Args:
        inception_sets: {origin of the images: (M, 2048)}, "test images" among them.
    """
    test = inception_sets["test images"]
    values = {name: frechet_distance(test, fake) for name, fake in inception_sets.items() if fake is not test}
    return compared(values, "mixture", len(test))


@comparison("squared kernel distance", "lower")
def kernel_mmd(sets: Likeness) -> Compared:
    """Unbiased squared maximum mean discrepancy of features under the kernel (u.v / 64 + 1)^3 (the kernel distance).

        mean k(u, u') + mean k(v, v') - 2 mean k(u, v), over pairs of different samples u and of different test images v

    Misleads: the estimate is unbiased, so it may be negative near 0; small differences are noise.
    """
    return sets.kernel


@comparison("fraction", "higher")
def precision(sets: Likeness) -> Compared:
    """Fraction of samples no farther from some test image than its 5th nearest test image, in feature space.

        1/M sum_s [some n has |f(s) - f(x_n)| <= r_n], M samples s, f the features, r_n the distance of f(x_n) to
        its 5th nearest other f(x_j)

    Misleads: samples that all show one typical image score 1: read it together with recall. An outlier among the test
    images accepts samples in a wide neighbourhood.
    """
    return sets.manifold.precision


@comparison("fraction", "higher")
def recall(sets: Likeness) -> Compared:
    """Fraction of test images no farther from some sample than its 5th nearest sample, in feature space.

        1/N sum_n [some s has |f(s) - f(x_n)| <= r_s], f the features, r_s the distance of f(s) to that of the 5th
        nearest other sample

    Misleads: a few samples far from all others have wide neighbourhoods, so garbage can raise it: read it together with
    precision.
    """
    return sets.manifold.recall


@comparison("1", "none")
def density(sets: Likeness) -> Compared:
    """Mean number of test images no farther from a sample than from their 5th nearest test image, over 5.

        1/M sum_s 1/5 sum_n [|f(s) - f(x_n)| <= r_n], M samples s, f and r_n as for precision

    Distances are in feature space; above 1 where samples concentrate among test images. Real images have about 1, so
    methods are not ranked by it.

    Misleads: samples that repeat the most typical images exceed 1: read it together with coverage.
    """
    return sets.manifold.density


@comparison("fraction", "higher")
def coverage(sets: Likeness) -> Compared:
    """Fraction of test images with a sample no farther than their 5th nearest test image, in feature space.

        1/N sum_n [some s has |f(s) - f(x_n)| <= r_n], s the samples, f and r_n as for precision

    Misleads: how often samples show a kind of image does not count: one sample near a test image is enough.
    """
    return sets.manifold.coverage


@metric("learned_generation", "nats per code", "none", version=2, kinds=IMAGES)
def code_log_likelihood(code_log_likelihoods: dict[str, Tensor]) -> Curve:
    """Mean log density of up to 500 evenly spaced test codes under the flow; the curve shows every density.

        1/M sum_n log p(z_n), p the flow's density, z_n one of M test codes

    It compares densities fitted to the codes of one model.

    Misleads: it cannot rank models. A code that is scaled by 2 loses log 2 nats for each of its units, although nothing
    about the model has changed.
    """
    values = {name: each.mean().item() for name, each in code_log_likelihoods.items()}
    n = len(code_log_likelihoods["flow"]) if "flow" in code_log_likelihoods else None
    return table(values, "flow", n)
