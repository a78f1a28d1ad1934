"""How decoded samples compare with test images, as sets, in the features of a small classifier.

Samples are `decode(density.sample(n, seed))`, as many as test images and at most 10,000, of densities fitted to the
training codes, or of the model's own prior. One comparison makes three metrics:

- <name>: the value is that of the Gaussian mixture; the curve shows the densities that take no time to fit,
  reconstructions of the test images and, as the floor, training images;
- prior_<name>: the model's own prior, where it has one;
- learned_<name>: the value is that of the flow; the curve shows all densities that are fitted by stochastic gradients.

The indices of a discrete code have an autoregressive prior besides, with a metric of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from zoo.evaluation.distances import Likeness, frechet_distance
from zoo.evaluation.metrics.registry import Curve, Direction, metric

Comparison = Callable[[Likeness], float]


def comparison(unit: str, direction: Direction) -> Callable[[Comparison], Comparison]:
    """Register a comparison of two sets as the three metrics that it makes."""

    def register(compare: Comparison) -> Comparison:
        def of_densities(sample_likeness: dict[str, Likeness]) -> Curve:
            return curve(compare, sample_likeness, "mixture")

        def of_prior(prior_likeness: dict[str, Likeness]) -> Curve:
            return curve(compare, prior_likeness, "prior")

        def of_learned(learned_likeness: dict[str, Likeness]) -> Curve:
            return curve(compare, learned_likeness, "flow")

        for prefix, group, asked, about in (
            ("", "generation", of_densities, ""),
            ("prior_", "generation", of_prior, " Samples are the prior's."),
            ("learned_", "learned_generation", of_learned, " Samples are a normalising flow's."),
        ):
            first, *more = str(compare.__doc__).split("\n\n")
            asked.__name__ = prefix + compare.__name__
            asked.__doc__ = "\n\n".join([first + about, *more])
            metric(group, unit, direction)(asked)
        return compare

    return register


def curve(compare: Comparison, sets: dict[str, Likeness], shown: str) -> Curve:
    """One comparison for all sets, by where they come from."""
    return table({name: compare(each) for name, each in sets.items()}, shown, sets[shown].manifold.n)


def table(values: dict[str, float], shown: str, n: int) -> Curve:
    """All values by where samples come from, with the one that stands for them; each rests on n samples."""
    return Curve(values[shown], {"samples": list(values), "value": list(values.values())}, n)


@metric("generation", "fraction", "none")
def feature_network_accuracy(test_logits: Tensor, test_labels: Tensor) -> Tensor:
    """Test images whose label the classifier tells in whose features samples are compared; no model changes it.

    Args:
        test_logits: (N, classes), of the test images.
        test_labels: (N,).
    """
    return test_logits.argmax(1) == test_labels


@comparison("squared feature distance", "lower")
def frechet(sets: Likeness) -> float:
    """Frechet distance between Gaussians fitted to the features of samples and of test images.

    The features are those of a small classifier of this data set, standardised on its training images, not
    Inception's: compare within a data set only.
    """
    return sets.frechet


@metric("generation", "squared feature distance", "lower")
def frechet_autoregressive(test_features: Tensor, index_samples: Tensor) -> float:
    """Frechet distance, as `frechet`, of samples that an autoregressive prior over a discrete code's indices gives.

    Args:
        test_features: (N, 64).
        index_samples: (M, 64), features of the samples.
    """
    return frechet_distance(test_features, index_samples)


@metric("inception", "squared feature distance", "lower")
def frechet_inception(inception_sets: dict[str, Tensor]) -> Curve:
    """Frechet Inception distance of samples from test images, by the weights of torch-fidelity.

    Args:
        inception_sets: {where images come from: (M, 2048)}, "test images" among them.
    """
    test = inception_sets["test images"]
    values = {name: frechet_distance(test, fake) for name, fake in inception_sets.items() if fake is not test}
    return table(values, "mixture", len(test))


@comparison("squared kernel distance", "lower")
def kernel_mmd(sets: Likeness) -> float:
    """Unbiased squared maximum mean discrepancy of features under the kernel (u.v / 64 + 1)^3 (the kernel distance)."""
    return sets.kernel


@comparison("fraction", "higher")
def precision(sets: Likeness) -> float:
    """Samples within the reach of some test image's 5th nearest neighbour in feature space."""
    return sets.manifold.precision


@comparison("fraction", "higher")
def recall(sets: Likeness) -> float:
    """Test images within the reach of some sample's 5th nearest neighbour among samples in feature space."""
    return sets.manifold.recall


@comparison("1", "higher")
def density(sets: Likeness) -> float:
    """Test images within whose 5th neighbour's reach a sample lies, over 5; above 1 where samples crowd."""
    return sets.manifold.density


@comparison("fraction", "higher")
def coverage(sets: Likeness) -> float:
    """Test images with a sample within the reach of their 5th nearest neighbour in feature space."""
    return sets.manifold.coverage


@metric("learned_generation", "nats per code", "none")
def code_log_likelihood(code_log_likelihoods: dict[str, Tensor]) -> Curve:
    """Mean log density of the first 500 test codes under the flow; the curve shows every density.

    It tells which density suits the codes of one model, and nothing across models, whose codes have no common unit.
    """
    values = {name: each.mean().item() for name, each in code_log_likelihoods.items()}
    return table(values, "flow", len(code_log_likelihoods["flow"]))
