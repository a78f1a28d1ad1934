"""The model, its data, and what nearly every metric uses: images, codes, reconstructions, labels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import repeat
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.data.images import HELD, Images
from zoo.errors import ZooError
from zoo.evaluation.batches import BATCH, in_batches, joined
from zoo.evaluation.chosen_densities import ChosenDensities
from zoo.evaluation.measures.rate_distortion import RateDistortion
from zoo.evaluation.references import References, references
from zoo.evaluation.registry import NotApplicable
from zoo.model.autoencoder import Autoencoder

if TYPE_CHECKING:
    from zoo.data.splits import Splits


MOST_CODES = 1 << 18  # of training or validation images
LARGE = 1 << 26  # bytes
RELEASED = {"x", "x_hat"}  # which are computed again if needed


class Encoded:
    """Images, codes, reconstructions and labels of a fitted model under evaluation, see `Subject`.

    Args:
        model: in evaluation mode.
        data: the splits.
        fit: what the fit reported: at least "seconds" and "epochs".
        cache: folder that keeps the feature network's weights; None keeps them in this process.
        chosen: the densities of codes; None for all options as their files have them.
        outside: {name: test images of another data set}, as outliers.
        siblings: {seed: file} of saved models that differ only in the seed.
        judgements: folder with your own files of judgements of words; None for those of gensim.
    """

    def __init__(
        self,
        model: Autoencoder,
        data: Splits,
        fit: Mapping[str, Any],
        cache: Path | None = None,
        chosen: ChosenDensities | None = None,
        outside: Mapping[str, Images] = MappingProxyType({}),
        siblings: Mapping[int, Path] = MappingProxyType({}),
        judgements: Path | None = None,
    ) -> None:
        self.model, self.data, self.fit, self.cache = model, data, fit, cache
        self.chosen = ChosenDensities() if chosen is None else chosen
        self.outside, self.siblings, self.judgements = outside, siblings, judgements

    @cached_property
    def device(self) -> torch.device:
        """The model's device."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    @cached_property
    def references(self) -> References:
        """What depends on the data set alone."""
        return references(self.data, self.cache)

    @cached_property
    def x(self) -> Tensor:
        """The test images: (N, C, H, W)."""
        return self.data.test[:]

    @cached_property
    def x_hat(self) -> Tensor:
        """Their reconstructions from deterministic codes: (N, C, H, W), not clipped."""
        return self.decode(self.test_codes)

    @cached_property
    def batch(self) -> Tensor:
        """The first 512 test images, on the model's device."""
        return self.data.test[:BATCH].to(self.device)

    @cached_property
    def image(self) -> Tensor:
        """The first test image, on the model's device: (1, C, H, W)."""
        return self.data.test[:1].to(self.device)

    @cached_property
    def train(self) -> Images:
        """The training images that are encoded, see `limited`."""
        return self.limited(self.data.train)

    @cached_property
    def validation(self) -> Images:
        """The validation images that are encoded, see `limited`."""
        return self.limited(self.data.validation)

    def limited(self, images: Images) -> Images:
        """Evenly spaced images, at most 262,144 and 256 MiB of codes; all of a smaller set."""
        most = min(MOST_CODES, HELD // (4 * self.test_codes.shape[1]))
        step = math.ceil(len(images) / most)
        return images if step <= 1 else images.subset(torch.arange(0, len(images), step))

    @cached_property
    def train_codes(self) -> Tensor:
        """Deterministic codes of training images: (N, D)."""
        return self.encode(self.train)

    @cached_property
    def validation_codes(self) -> Tensor:
        """Deterministic codes of validation images: (N, D)."""
        return self.encode(self.validation)

    @cached_property
    def test_codes(self) -> Tensor:
        """Deterministic codes of the test images: (N, D)."""
        return self.encode(self.data.test)

    @property
    def is_large(self) -> bool:
        """Whether the test images take more than 64 MiB as float32."""
        return 4 * len(self.data.test) * math.prod(self.data.shape) > LARGE

    def release(self, names: Iterable[str]) -> None:
        """Forget test images and reconstructions, if large, which no further metric asks for by these names."""
        for name in RELEASED.intersection(names, vars(self)) if self.is_large else ():
            delattr(self, name)

    @property
    def train_maps(self) -> Tensor:
        """The training codes by feature map: (N, M, places); without places, each unit is a map of its own."""
        return self.train_codes.view(len(self.train_codes), -1, self.model.bottleneck.places)

    @property
    def test_maps(self) -> Tensor:
        """The test codes by feature map: (N, M, places)."""
        return self.test_codes.view(len(self.test_codes), -1, self.model.bottleneck.places)

    def encode(self, images: Images | Tensor, mask: Tensor | None = None) -> Tensor:
        """Deterministic codes of images (N, C, H, W): (N, D).

        Args:
            images: the encoder's input.
            mask: (N, 1, H, W), one on masked pixels, for encoders that read masks; None where nothing is masked.

        Raises:
            NotApplicable: the codes are not finite.
        """
        masks = repeat(None) if mask is None else torch.split(mask.to(self.device), BATCH)
        inputs = zip(in_batches(images), masks, strict=False)
        codes = (self.model.encode(x.to(self.device), hidden) for x, hidden in inputs)
        return joined(checked(codes, "codes"), len(images))

    def decode(self, codes: Tensor) -> Tensor:
        """The decoded images of codes (N, D): (N, C, H, W).

        Raises:
            NotApplicable: the images are not finite.
        """
        images = (self.model.decode(z.to(self.device)) for z in torch.split(codes, BATCH))
        return joined(checked(images, "decoded images"), len(codes))

    @property
    def train_labels(self) -> Tensor:
        """Labels of the training images that are encoded: (N,)."""
        return self.labels(self.train)

    @property
    def validation_labels(self) -> Tensor:
        """Labels of the validation images that are encoded: (N,)."""
        return self.labels(self.validation)

    @property
    def test_labels(self) -> Tensor:
        """Labels of the test images: (N,)."""
        return self.labels(self.data.test)

    def labels(self, images: Images) -> Tensor:
        """Labels of `images`: (N,); NotApplicable where the data set has none."""
        _ = self.references.n_classes
        return images.labels

    @property
    def pixel_probe(self) -> Tensor:
        """Whether a linear probe on raw pixels predicts each test image's label: (N,)."""
        return self.references.pixel_probe

    @property
    def few_label_pixel_probes(self) -> dict[int, Tensor]:
        """How often probes with few labels predict the label of each test sample: {labels per class: (N,)}."""
        return self.references.few_label_pixel_probes

    @property
    def test_logits(self) -> Tensor:
        """The feature network's logits of the test images: (N, classes)."""
        return self.references.test_logits

    @property
    def test_features(self) -> Tensor:
        """Features of the test images: (N, 64)."""
        return self.references.test_features

    @property
    def pca_curve(self) -> RateDistortion:
        """Rate and distortion of PCA."""
        return self.references.pca_curve

    @property
    def jpeg_curve(self) -> RateDistortion:
        """Rate and distortion of JPEG."""
        return self.references.jpeg_curve

    @property
    def webp_curve(self) -> RateDistortion:
        """Rate and distortion of lossy WebP."""
        return self.references.webp_curve


@contextmanager
def not_applicable() -> Iterator[None]:
    """Turn the ZooError of a density that cannot be fitted to some codes into NotApplicable."""
    try:
        yield
    except ZooError as error:
        raise NotApplicable(str(error)) from error


def checked(parts: Iterable[Tensor], what: str) -> Iterator[Tensor]:
    """The same parts of the model's codes or images, each checked as it comes: a check of all at once copies them.

    Raises:
        NotApplicable: a value is not finite.
    """
    for part in parts:
        if not part.isfinite().all():
            raise NotApplicable(f"the model's {what} are not finite")
        yield part
