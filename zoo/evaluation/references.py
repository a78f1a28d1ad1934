"""Results that depend on the data set alone and not on the model, computed once per process."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.data.images import Images
from zoo.evaluation.batches import BATCH, joined
from zoo.evaluation.measures.cosines import directions
from zoo.evaluation.measures.distances import Likeness, Reals, likeness
from zoo.evaluation.measures.feature_network import FeatureNetwork, feature_network
from zoo.evaluation.measures.linear_probe import few_label_probe, linear_probe, smallest_class
from zoo.evaluation.measures.rate_distortion import RateDistortion, principal_rate_distortion
from zoo.evaluation.outlier_sets import OutlierSets
from zoo.evaluation.registry import NotApplicable
from zoo.files import write_atomically
from zoo.spacing import spaced

if TYPE_CHECKING:
    from zoo.data.splits import Splits

CODEC_IMAGES = 500
CLASSES = 1000  # at most
SAMPLES = 10_000  # largest number of images in a comparison of sets
VERSION = 3  # of the results that the cache keeps; raised when one of them is computed in another way
PASSES, PENALTY = 5, 0.1  # of dictionary learning
LABELS = (1, 10, 100)  # a class


class References:
    """Reference results on a data set, each computed on first use.

    Args:
        data: the splits.
        cache: folder that keeps what takes long for other processes (the feature network's weights, and rates and the
            probes of pixels); None keeps it in this one.
        key: digest of the data.
    """

    def __init__(self, data: Splits, cache: Path | None, key: str) -> None:
        self.data, self.cache, self.key = data, cache, key
        self._latest_sets: dict[str, OutlierSets] = {}

    def kept(self, name: str, compute: Callable[[], Any]) -> Any:
        """A result as plain data, from the cache where it is there."""
        if self.cache is None:
            return compute()
        path = self.cache / f"{name}-{self.key[:16]}-v{VERSION}.json"
        if not path.is_file():
            write_atomically(path, json.dumps(compute()).encode())
        return json.loads(path.read_bytes())

    @property
    def n_classes(self) -> int:
        """Number of labels.

        Raises:
            NotApplicable: the data set has none, or a single one, or more than 1,000, as time and memory grow with it.
        """
        if len(self.data.classes) < 2:
            reason = "has no labels" if not self.data.classes else f"is of one class, {self.data.classes[0]}"
            raise NotApplicable(f"the data set {self.data.name} {reason}")
        if len(self.data.classes) > CLASSES:
            count = len(self.data.classes)
            raise NotApplicable(f"the data set {self.data.name} has {count:,} classes; this is for at most {CLASSES:,}")
        return len(self.data.classes)

    @cached_property
    def network(self) -> FeatureNetwork:
        """The classifier in whose features images are compared; NotApplicable where there are no labels."""
        return feature_network(self.data.train, self.n_classes, self.cache)

    def features(self, images: Tensor) -> Tensor:
        """Features of images (N, C, H, W), clipped to [0, 1] like those that the network was fitted to: (N, 64)."""
        return joined((self.network.features(x.clamp(0, 1)) for x in torch.split(images, BATCH)), len(images))

    def logits(self, images: Tensor) -> Tensor:
        """The classifier's logits of images (N, C, H, W), clipped to [0, 1]: (N, classes)."""
        return joined((self.network(x.clamp(0, 1)) for x in torch.split(images, BATCH)), len(images))

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
    def reals(self) -> Reals:
        """The features of the test images, as sets of images are compared with them."""
        return Reals(self.test_features, SAMPLES)

    @cached_property
    def train_likeness(self) -> Likeness:
        """How training images, as many as there are test images and at most 10,000, compare with the test images.

        They are evenly spaced in the training set, in which images of a class may follow one another.
        """
        return likeness(self.reals, spaced(self.train_features, min(len(self.data.test), SAMPLES)))

    @cached_property
    def test_logits(self) -> Tensor:
        """The classifier's logits of the test images: (N, classes)."""
        test = self.data.test
        return joined((self.network(x) for x in test.batches(BATCH)), len(test))

    @cached_property
    def mean_image(self) -> Tensor:
        """Mean of the training images: (C, H, W)."""
        train = self.data.train
        total = torch.zeros(train.shape, dtype=torch.float64)
        for x in train.batches(BATCH):
            total += x.sum(0, dtype=torch.float64)
        return total.div(len(train)).float()

    @cached_property
    def pixel_probe(self) -> Tensor:
        """Whether a linear probe on raw pixels predicts each test image's label: (N,); NotApplicable without labels.

        Of large sets, the probe is fitted to evenly spaced images, as `Images.spaced` says; so is `pca_curve`.
        """
        _ = self.n_classes

        def predicted() -> list[int]:
            train, validation, test = self.data.train.spaced(), self.data.validation.spaced(), self.data.test
            rows = [part[:].flatten(1) for part in (train, validation, test)]
            return linear_probe(rows[0], train.labels, rows[1], validation.labels, rows[2]).tolist()

        return torch.tensor(self.kept("pixel-probe", predicted)).eq(self.data.test.labels)

    @cached_property
    def few_label_pixel_probes(self) -> dict[int, Tensor]:
        """How often probes with few labels predict each test sample's label from its values: {labels a class: (N,)}.

        See `few_label_probe`; NotApplicable without labels. A number is left out where a class has fewer samples.
        """
        _ = self.n_classes

        def right() -> list[tuple[int, list[float]]]:
            train, test = self.data.train.spaced(), self.data.test
            least = smallest_class(train.labels)
            rows = train[:].flatten(1), train.labels, test[:].flatten(1), test.labels
            return [(count, few_label_probe(*rows, count).tolist()) for count in LABELS if count <= least]

        kept = self.kept("few-label-pixel-probes", right)
        return {count: torch.tensor(each, dtype=torch.float64) for count, each in kept}

    @cached_property
    def pca_curve(self) -> RateDistortion:
        """Rate and distortion of PCA, with the best number of components at each rate."""
        from sklearn.decomposition import PCA

        def curve() -> RateDistortion:
            train, test = (part[:].flatten(1).numpy() for part in (self.data.train.spaced(), self.data.test))
            pca = PCA(min(train.shape), svd_solver="covariance_eigh").fit(train)
            codes, test_codes = (torch.from_numpy(pca.transform(rows)) for rows in (train, test))
            lost = float(((test - pca.inverse_transform(test_codes.numpy())) ** 2).sum(1).mean())
            return principal_rate_distortion(codes, test_codes, lost, test.shape[1])

        return self.kept_curve("pca", curve)

    @cached_property
    def learned_atoms(self) -> Tensor:
        """As many atoms as are known, by scikit-learn's dictionary learning on training images: (K, P), unit vectors.

        Five passes in mini-batches of 256, with an L1 penalty of 0.1 on centred images of mean squared length 1; of
        0.05, 0.1 and 0.2, this one recovers most atoms of data=planted. NotApplicable where no atoms are known.

        J. Mairal, F. Bach, J. Ponce, G. Sapiro, "Online dictionary learning for sparse coding", 2009.
        """
        from sklearn.decomposition import MiniBatchDictionaryLearning
        from sklearn.exceptions import ConvergenceWarning

        count = len(self.planted_atoms)
        x = self.data.train.spaced()[:].flatten(1).double()
        x = x - x.mean(0)
        x = x / x.square().sum(1).mean().sqrt()
        learner = MiniBatchDictionaryLearning(
            count,
            alpha=PENALTY,
            max_iter=PASSES,
            batch_size=256,
            fit_algorithm="cd",
            tol=0,
            max_no_improvement=None,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of single codes
            found = torch.from_numpy(learner.fit(x.numpy()).components_)
        return directions(found)

    @property
    def planted_atoms(self) -> Tensor:
        """The atoms that samples are combinations of: (K, P), unit vectors; NotApplicable where none are known."""
        if self.data.atoms is None:
            raise NotApplicable(f"the atoms that samples of {self.data.name} are made of are not known")
        return directions(self.data.atoms.flatten(1))

    def outlier_sets(self, outside: Mapping[str, Images]) -> OutlierSets:
        """Inliers and outliers: those of the last call, if it had the same images.

        Args:
            outside: {name: test images of another data set}.
        """
        left_out = {} if self.data.left_out is None else {"left out": self.data.left_out}
        key = " ".join(f"{name} {images.digest()}" for name, images in {**outside, **left_out}.items())
        if key not in self._latest_sets:
            self._latest_sets.clear()
            digest = hashlib.sha256(key.encode()).hexdigest()[:16]

            def kept(name: str, compute: Callable[[], Any]) -> Any:
                return self.kept(f"{name}-{digest}", compute)

            self._latest_sets[key] = OutlierSets(self.data, outside, kept)
        return self._latest_sets[key]

    @cached_property
    def jpeg_curve(self) -> RateDistortion:
        """Rate and distortion of JPEG on 500 evenly spaced test images; NotApplicable where it cannot store them."""
        return self.codec("JPEG")

    @cached_property
    def webp_curve(self) -> RateDistortion:
        """Rate and distortion of lossy WebP on 500 evenly spaced test images; NotApplicable if it cannot store them."""
        return self.codec("WEBP")

    def codec(self, name: str) -> RateDistortion:
        """Rate and distortion of an image codec."""
        x = self.data.test.spaced(CODEC_IMAGES)[:]
        if x.shape[1] not in (1, 3) or x.min() < 0 or x.max() > 1:
            raise NotApplicable(f"{name} stores grey and RGB images with values in [0, 1] only")
        from zoo.evaluation.measures.codecs import codec_curve

        return self.kept_curve(name.lower(), lambda: codec_curve(x, name))

    def kept_curve(self, name: str, compute: Callable[[], RateDistortion]) -> RateDistortion:
        """A curve, from the cache where it is there."""
        return RateDistortion(**self.kept(f"rate-{name}", lambda: asdict(compute())))


_latest: dict[str, References] = {}


def references(data: Splits, cache: Path | None) -> References:
    """The references of a data set: those of the last call, if it had the same images, labels and cache."""
    known = 0 if data.atoms is None else len(data.atoms)
    digest = hashlib.sha256(f"{data.name} {data.classes} {known}".encode())
    for part in (data.train, data.validation, data.test):
        digest.update(part.digest().encode())
    key = digest.hexdigest()
    if (place := f"{key} {cache}") not in _latest:
        _latest.clear()
        _latest[place] = References(data, cache, key)
    return _latest[place]
