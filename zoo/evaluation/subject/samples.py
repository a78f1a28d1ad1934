"""Decoded samples, and decoded points where no image was encoded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from zoo.density import DENSITIES, LEARNED, Density
from zoo.evaluation.distances import Likeness, likeness
from zoo.evaluation.holes import Holes, in_box, pairs, spherical, straight
from zoo.evaluation.inception import inception_features, inception_network
from zoo.evaluation.metrics.registry import NotApplicable
from zoo.evaluation.neighbours import nearest
from zoo.evaluation.references import BATCH
from zoo.evaluation.subject.basis import Basis, not_applicable

SAMPLES = 10_000
POINTS = 2_000
JUDGED = 500
SEED = 0


@runtime_checkable
class Generative(Protocol):
    """A bottleneck with a prior that codes can be drawn from."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws from the prior: (n, D)."""
        ...


class Samples(Basis):
    """Densities of the codes, decoded samples of them, and how these compare with test images."""

    @property
    def test_logits(self) -> Tensor:
        """The feature network's logits for the test images: (N, classes)."""
        return self.references.test_logits

    @property
    def test_features(self) -> Tensor:
        """Features of the test images: (N, 64)."""
        return self.references.test_features

    def in_features(self, images: Tensor) -> Tensor:
        """Features of images (N, C, H, W): (N, 64)."""
        return torch.cat([self.references.network.features(x) for x in torch.split(images, BATCH)])

    @cached_property
    def densities(self) -> dict[str, Density]:
        """Densities fitted to the training codes."""
        return self.fitted(DENSITIES)

    @cached_property
    def learned_densities(self) -> dict[str, Density]:
        """Densities fitted to the training codes by stochastic gradients."""
        return self.fitted(LEARNED)

    def fitted(self, densities: Mapping[str, Callable[[], Density]]) -> dict[str, Density]:
        """Each density fitted to the training codes; NotApplicable where they have none."""
        with not_applicable():
            return {name: build().fit(self.train_codes) for name, build in densities.items()}

    @cached_property
    def code_log_likelihoods(self) -> dict[str, Tensor]:
        """Log densities of the first 500 test codes: {density: (M,)}."""
        codes = self.test_codes[:JUDGED]
        return {name: each.log_prob(codes) for name, each in {**self.densities, **self.learned_densities}.items()}

    @property
    def samples(self) -> int:
        """How many samples are drawn: as many as there are test images, at most 10,000."""
        return min(len(self.data.test), SAMPLES)

    @cached_property
    def sample_images(self) -> dict[str, Tensor]:
        """Decoded samples, reconstructions and training images: {where from: (M, C, H, W)}."""
        given = {"reconstructions": self.x_hat[: self.samples], "training images": self.data.train[: self.samples]}
        return self.drawn(self.densities) | given

    def drawn(self, densities: Mapping[str, Density]) -> dict[str, Tensor]:
        """Decoded samples of densities: {density: (M, C, H, W)}."""
        return {name: self.decode(density.sample(self.samples, SEED)) for name, density in densities.items()}

    @cached_property
    def sample_likeness(self) -> dict[str, Likeness]:
        """How each of `sample_images` compares with the test images: {where from: Likeness}."""
        return self.likeness(self.sample_images)

    @cached_property
    def prior_likeness(self) -> dict[str, Likeness]:
        """How samples from the model's own prior compare with the test images; NotApplicable where it has none."""
        if not isinstance(self.model.bottleneck, Generative):
            raise NotApplicable("the model has no prior of its own to draw samples from")
        generator = torch.Generator(self.device).manual_seed(SEED)
        return self.likeness({"prior": self.decode(self.model.bottleneck.sample(self.samples, generator))})

    @cached_property
    def learned_likeness(self) -> dict[str, Likeness]:
        """How samples of `learned_densities` compare with the test images: {density: Likeness}."""
        return self.likeness(self.drawn(self.learned_densities))

    def likeness(self, images: Mapping[str, Tensor]) -> dict[str, Likeness]:
        """How sets of images (M, C, H, W) compare with the test images, in features."""
        return {name: likeness(self.test_features, self.in_features(x), SAMPLES) for name, x in images.items()}

    @property
    def inception_sets(self) -> dict[str, Tensor]:
        """Inception's features of `sample_images` and of test images: {where from: (M, 2048)}."""
        network = inception_network()
        sets = {**self.sample_images, "test images": self.x[:SAMPLES]}
        return {name: inception_features(network, images, self.device) for name, images in sets.items()}

    @cached_property
    def holes(self) -> Holes:
        """Decoded points where no image was encoded, and as reference the codes of test images."""
        centre, train_features = self.train_codes.mean(0), self.references.train_features
        a, b = pairs(self.test_codes, POINTS, SEED)
        points = {
            "straight": straight(a, b),
            "spherical": spherical(a, b, centre),
            "density": self.densities["gaussian"].sample(POINTS, SEED),
            "box": in_box(self.train_codes, POINTS, SEED),
            "test images": self.test_codes[:POINTS],
        }
        scale = (self.train_codes - centre).square().sum(1).mean().sqrt()
        usual = nearest(self.test_features, train_features, 1)[0].mean()
        distance, shift = {}, {}
        for kind, z in points.items():
            images = self.decode(z)
            distance[kind] = nearest(self.in_features(images), train_features, 1)[0][:, 0] / usual
            shift[kind] = (self.encode(images) - z).norm(dim=1) / scale
        return Holes(distance, shift)
