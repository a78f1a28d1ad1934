"""How decoded samples compare with test images, as sets, in the features of a small classifier.

Samples are `decode(density.sample(n, seed))`, as many as test images and at most 10,000, for each density of codes in
`zoo.density`, fitted to the training codes. Each metric's value is that of the Gaussian mixture; its curve shows all
densities, reconstructions of the test images and, as the floor, training images. The indices of a discrete code have
an autoregressive prior besides, with a metric of its own.
"""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.distances import Manifold, frechet_distance, kernel_distance
from zoo.evaluation.metrics.registry import Curve, metric

SHOWN = "mixture"


@metric("generation", "fraction", "none")
def feature_network_accuracy(test_logits: Tensor, test_labels: Tensor) -> Tensor:
    """Test images whose label the classifier tells in whose features samples are compared; no model changes it.

    Args:
        test_logits: (N, classes), of the test images.
        test_labels: (N,).
    """
    return test_logits.argmax(1) == test_labels


@metric("generation", "squared feature distance", "lower")
def frechet(test_features: Tensor, sample_features: dict[str, Tensor]) -> Curve:
    """Frechet distance between Gaussians fitted to the features of samples and of test images.

    The features are those of a small classifier of this data set, standardised on its training images, not
    Inception's: compare within a data set only.

    Args:
        test_features: (N, 64).
        sample_features: {where samples come from: (M, 64)}.
    """
    return curve({name: frechet_distance(test_features, fake) for name, fake in sample_features.items()})


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
    sets = {name: fake for name, fake in inception_sets.items() if fake is not test}
    return curve({name: frechet_distance(test, fake) for name, fake in sets.items()}, len(test))


@metric("generation", "squared kernel distance", "lower")
def kernel_mmd(test_features: Tensor, sample_features: dict[str, Tensor]) -> Curve:
    """Unbiased squared maximum mean discrepancy of features under the kernel (u.v / 64 + 1)^3 (the kernel distance).

    Args:
        test_features: (N, 64).
        sample_features: {where samples come from: (M, 64)}.
    """
    return curve({name: kernel_distance(test_features, fake) for name, fake in sample_features.items()})


@metric("generation", "fraction", "higher")
def precision(manifolds: dict[str, Manifold]) -> Curve:
    """Samples within the reach of some test image's 5th nearest neighbour in feature space."""
    return curve({name: m.precision for name, m in manifolds.items()}, manifolds[SHOWN].n)


@metric("generation", "fraction", "higher")
def recall(manifolds: dict[str, Manifold]) -> Curve:
    """Test images within the reach of some sample's 5th nearest neighbour among samples in feature space."""
    return curve({name: m.recall for name, m in manifolds.items()}, manifolds[SHOWN].n)


@metric("generation", "1", "higher")
def density(manifolds: dict[str, Manifold]) -> Curve:
    """Test images within whose 5th neighbour's reach a sample lies, over 5; above 1 where samples crowd."""
    return curve({name: m.density for name, m in manifolds.items()}, manifolds[SHOWN].n)


@metric("generation", "fraction", "higher")
def coverage(manifolds: dict[str, Manifold]) -> Curve:
    """Test images with a sample within the reach of their 5th nearest neighbour in feature space."""
    return curve({name: m.coverage for name, m in manifolds.items()}, manifolds[SHOWN].n)


def curve(values: dict[str, float], n: int | None = None) -> Curve:
    """All values by where samples come from, with the Gaussian mixture's as the one that stands for them."""
    return Curve(values[SHOWN], {"samples": list(values), "value": list(values.values())}, n)
