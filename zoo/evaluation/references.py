"""Results that depend on the data set alone and not on the model, computed once per process."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.evaluation.batches import BATCH, joined
from zoo.evaluation.measures.feature_network import FeatureNetwork, feature_network
from zoo.evaluation.measures.linear_probe import few_label_probe, linear_probe, smallest_class
from zoo.evaluation.measures.rate_distortion import RateDistortion, principal_rate_distortion
from zoo.evaluation.registry import NotApplicable

if TYPE_CHECKING:
    from zoo.data.splits import Splits

CODEC_IMAGES = 500
LABELS = (1, 10, 100)  # a class


class References:
    """Reference results on a data set, each computed on first use.

    Args:
        data: the splits.
        cache: folder that keeps the feature network's weights for other processes; None keeps them in this one.
    """

    def __init__(self, data: Splits, cache: Path | None) -> None:
        self.data, self.cache = data, cache

    @property
    def n_classes(self) -> int:
        """Number of labels.

        Raises:
            NotApplicable: the data set has none.
        """
        if len(self.data.classes) < 2:
            raise NotApplicable(f"the data set {self.data.name} has no labels")
        return len(self.data.classes)

    @cached_property
    def network(self) -> FeatureNetwork:
        """The classifier in whose features images are compared; NotApplicable where there are no labels."""
        return feature_network(self.data.train, self.n_classes, self.cache)

    def features(self, images: Tensor) -> Tensor:
        """Features of images (N, C, H, W), clipped to [0, 1] as those are that the network was fitted to: (N, 64)."""
        return joined((self.network.features(x.clamp(0, 1)) for x in torch.split(images, BATCH)), len(images))

    @cached_property
    def train_features(self) -> Tensor:
        """Features of the training images: (N, 64)."""
        train = self.data.train
        return joined((self.network.features(x) for x in train.batches(BATCH)), len(train))

    @cached_property
    def test_features(self) -> Tensor:
        """Features of the test images: (N, 64)."""
        test = self.data.test
        return joined((self.network.features(x) for x in test.batches(BATCH)), len(test))

    @cached_property
    def test_logits(self) -> Tensor:
        """The classifier's logits of the test images: (N, classes)."""
        test = self.data.test
        return joined((self.network(x) for x in test.batches(BATCH)), len(test))

    @cached_property
    def mean_image(self) -> Tensor:
        """Mean of the training images: (C, H, W)."""
        train = self.data.train
        sums = torch.stack([x.sum(0, dtype=torch.float64) for x in train.batches(BATCH)])
        return sums.sum(0).div(len(train)).float()

    @cached_property
    def pixel_probe(self) -> Tensor:
        """Whether a linear probe on raw pixels predicts each test image's label: (N,); NotApplicable without labels.

        Of large sets, the probe is fitted to evenly spaced images, as `Images.spaced` says; so is `pca_curve`.
        """
        _ = self.n_classes
        train, validation, test = self.data.train.spaced(), self.data.validation.spaced(), self.data.test
        rows = [part[:].flatten(1) for part in (train, validation, test)]
        predicted = linear_probe(rows[0], train.labels, rows[1], validation.labels, rows[2])
        return predicted.eq(test.labels)

    @cached_property
    def few_label_pixel_probes(self) -> dict[int, Tensor]:
        """How often probes with few labels predict each test sample's label from its values: {labels a class: (N,)}.

        See `few_label_probe`; NotApplicable without labels. A number is left out where a class has fewer samples.
        """
        _ = self.n_classes
        train, test = self.data.train.spaced(), self.data.test
        least = smallest_class(train.labels)
        rows = train[:].flatten(1), train.labels, test[:].flatten(1), test.labels
        return {count: few_label_probe(*rows, count) for count in LABELS if count <= least}

    @cached_property
    def pca_curve(self) -> RateDistortion:
        """Rate and distortion of PCA, with the best number of components at each rate."""
        from sklearn.decomposition import PCA

        train, test = (part[:].flatten(1).numpy() for part in (self.data.train.spaced(), self.data.test))
        pca = PCA(min(train.shape), svd_solver="covariance_eigh").fit(train)
        codes, test_codes = (torch.from_numpy(pca.transform(rows)) for rows in (train, test))
        lost = float(((test - pca.inverse_transform(test_codes.numpy())) ** 2).sum(1).mean())
        return principal_rate_distortion(codes, test_codes, lost, test.shape[1])

    @cached_property
    def jpeg_curve(self) -> RateDistortion:
        """Rate and distortion of JPEG on the first 500 test images; NotApplicable where it cannot store them."""
        return self._codec("JPEG")

    @cached_property
    def webp_curve(self) -> RateDistortion:
        """Rate and distortion of lossy WebP on the first 500 test images; NotApplicable where it cannot store them."""
        return self._codec("WEBP")

    def _codec(self, name: str) -> RateDistortion:
        x = self.data.test[:CODEC_IMAGES]
        if x.shape[1] not in (1, 3) or x.min() < 0 or x.max() > 1:
            raise NotApplicable(f"{name} stores grey and RGB images with values in [0, 1] only")
        from zoo.evaluation.measures.codecs import codec_curve

        return codec_curve(x, name)


_latest: dict[str, References] = {}


def references(data: Splits, cache: Path | None) -> References:
    """The references of a data set: those of the last call, if it had the same images, labels and cache."""
    digest = hashlib.sha256(f"{data.name} {data.classes} {cache}".encode())
    for part in (data.train, data.validation, data.test):
        digest.update(part.digest().encode())
    key = digest.hexdigest()
    if key not in _latest:
        _latest.clear()
        _latest[key] = References(data, cache)
    return _latest[key]
