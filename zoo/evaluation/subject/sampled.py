"""Densities of the codes, and decoded samples."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from zoo.evaluation.batches import BATCH, joined
from zoo.evaluation.chosen_densities import Kind
from zoo.evaluation.measures.distances import Likeness, likeness
from zoo.evaluation.measures.inception import inception_features, inception_network
from zoo.evaluation.references import SAMPLES
from zoo.evaluation.registry import NotApplicable
from zoo.evaluation.subject.encoded import Encoded, not_applicable
from zoo.spacing import evenly, spaced
from zoo.types import Density, Discrete, HasPrior

SCORED = 500
SEED = 0


class Codebook:
    """A discrete bottleneck that takes and returns tensors on the CPU, and works batch by batch on its own device."""

    def __init__(self, bottleneck: Discrete, device: torch.device) -> None:
        self.bottleneck, self.device = bottleneck, device
        self.codebook_size, self.codebooks = bottleneck.codebook_size, bottleneck.codebooks

    def indices(self, point: Tensor) -> Tensor:
        """The entries of codes (N, D): (N, M) int64."""
        return joined((self.bottleneck.indices(z.to(self.device)) for z in torch.split(point, BATCH)), len(point))

    def points(self, indices: Tensor) -> Tensor:
        """The codes of entries (N, M): (N, D)."""
        return joined((self.bottleneck.points(i.to(self.device)) for i in torch.split(indices, BATCH)), len(indices))


class Sampled(Encoded):
    """Densities of the codes, decoded samples of them, and how these compare with test images.

    Attributes:
        RESTS_ON: {property: the kinds of densities that its value depends on}.
    """

    RESTS_ON: ClassVar[Mapping[str, tuple[Kind, ...]]] = {
        "fast_densities": ("fast",),
        "learned_densities": ("learned",),
        "code_log_likelihoods": ("fast", "learned"),
        "sample_images": ("fast",),
        "sample_likeness": ("fast",),
        "learned_likeness": ("learned",),
        "inception_sets": ("fast",),
    }

    @cached_property
    def fast_densities(self) -> dict[str, Density]:
        """Densities without stochastic gradients, fitted to the training codes."""
        return self.fitted("fast")

    @cached_property
    def learned_densities(self) -> dict[str, Density]:
        """Densities fitted to the training codes by stochastic gradients."""
        return self.fitted("learned")

    def fitted(self, kind: Kind) -> dict[str, Density]:
        """The densities of a kind, fitted to the training codes; NotApplicable where one cannot be."""
        with not_applicable():
            return {name: density.fit(self.train_codes) for name, density in self.chosen.of_kind(kind).items()}

    @cached_property
    def code_log_likelihoods(self) -> dict[str, Tensor]:
        """Log densities of 500 evenly spaced test codes: {density: (M,)}."""
        codes = spaced(self.test_codes, SCORED)
        densities = {**self.fast_densities, **self.learned_densities}
        return {name: density.log_prob(codes) for name, density in densities.items()}

    @property
    def samples(self) -> int:
        """Number of samples drawn: as many as there are test images, at most 10,000."""
        return min(len(self.data.test), SAMPLES)

    @cached_property
    def sample_images(self) -> dict[str, Tensor]:
        """Decoded samples, and reconstructions: {origin: (M, C, H, W)}."""
        return self.drawn(self.fast_densities) | {"reconstructions": self.x_hat[: self.samples]}

    def drawn(self, densities: Mapping[str, Density]) -> dict[str, Tensor]:
        """Decoded samples of densities: {density: (M, C, H, W)}."""
        draws = {name: density.sample(self.samples, SEED) for name, density in densities.items()}
        return {name: self.decode(self.feasible(z)) for name, z in draws.items()}

    @cached_property
    def codebook(self) -> Discrete:
        """The bottleneck, if its codes are discrete; NotApplicable otherwise."""
        if not isinstance(self.model.bottleneck, Discrete):
            raise NotApplicable("the code is not discrete: it has no codebook")
        return Codebook(self.model.bottleneck, self.device)

    def feasible(self, z: Tensor) -> Tensor:
        """Draws (N, D), moved to the nearest codes that the bottleneck can emit."""
        from zoo.density.feasible import feasible

        bottleneck = self.model.bottleneck
        return feasible(
            z, self.train_codes, self.codebook if isinstance(bottleneck, Discrete) else None, bottleneck.places
        )

    @cached_property
    def sample_likeness(self) -> dict[str, Likeness]:
        """How each of `sample_images`, and training images, compare with the test images: {origin: Likeness}."""
        return self.likeness(self.sample_images) | {"training images": self.references.train_likeness}

    @cached_property
    def prior_likeness(self) -> dict[str, Likeness]:
        """How samples from the model's own prior compare with the test images; NotApplicable where it has none."""
        if not isinstance(self.model.bottleneck, HasPrior):
            raise NotApplicable("the model has no prior to sample from")
        generator = torch.Generator(self.device).manual_seed(SEED)
        return self.likeness({"prior": self.decode(self.model.bottleneck.sample(self.samples, generator))})

    @cached_property
    def learned_likeness(self) -> dict[str, Likeness]:
        """How samples of `learned_densities` compare with the test images: {density: Likeness}."""
        return self.likeness(self.drawn(self.learned_densities))

    def likeness(self, images: Mapping[str, Tensor]) -> dict[str, Likeness]:
        """How sets of images (M, C, H, W) compare with the test images, in features."""
        references = self.references
        return {name: likeness(references.reals, references.features(x)) for name, x in images.items()}

    @property
    def inception_sets(self) -> dict[str, Tensor]:
        """Inception's features of `sample_images` and of test images: {origin: (M, 2048)}."""
        network = inception_network()
        train = self.data.train
        given = {"training images": train[evenly(self.samples, len(train))], "test images": spaced(self.x, SAMPLES)}
        sets = {**self.sample_images, **given}
        return {name: inception_features(network, images, self.device) for name, images in sets.items()}
