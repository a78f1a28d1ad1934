"""What a metric may ask for: a fitted model and its data, all that is heavy computed once, on demand."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from zoo import corruption
from zoo.autoencoder import Autoencoder
from zoo.data.images import Images
from zoo.density import DENSITIES, LEARNED, Density
from zoo.density.autoregressive import Autoregressive
from zoo.density.mixture import Mixture
from zoo.errors import ZooError
from zoo.evaluation.bounds import (
    Bounds,
    Stochastic,
    Variational,
    importance_bounds,
    linear_gaussian_log_likelihood,
    marginal_log_likelihood,
)
from zoo.evaluation.distances import Likeness, likeness
from zoo.evaluation.holes import Holes, in_box, pairs, spherical, straight
from zoo.evaluation.inception import inception_features, inception_network
from zoo.evaluation.metrics.registry import NotApplicable
from zoo.evaluation.neighbours import nearest
from zoo.evaluation.rate import RateDistortion, code_lengths, rate_distortion
from zoo.evaluation.references import BATCH, ImageSplits, References, references
from zoo.evaluation.restoration import Restoration, Restorer, as_it_is, fill_with, median_filter, restore
from zoo.likelihood import FittedGaussian, Gaussian
from zoo.types import Corruption

CLUSTERED = 10_000
SAMPLES = 10_000
POINTS = 2_000
TIGHT = 500
JUDGED = 500
SEED = 0


@runtime_checkable
class Discrete(Protocol):
    """A bottleneck whose codes are entries of a codebook."""

    codebook_size: int

    def indices(self, point: Tensor) -> Tensor:
        """The entries that point codes (B, D) are made of: (B, M) int64 in 0..codebook_size-1."""
        ...

    def points(self, indices: Tensor) -> Tensor:
        """The point codes that entries (B, M) stand for: (B, D)."""
        ...


@runtime_checkable
class Clustered(Protocol):
    """A prior with one component per cluster."""

    def component(self, z: Tensor) -> Tensor:
        """The most probable component of codes: (B, D) -> (B,) int64."""
        ...


@runtime_checkable
class Generative(Protocol):
    """A bottleneck with a prior that codes can be drawn from."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws from the prior: (n, D)."""
        ...


class Subject:
    """A fitted model under evaluation. Each public property is a name that a metric may use as a parameter.

    Everything lies on the CPU but the model, `batch` and `image`, which lie where the model does.

    Args:
        model: in evaluation mode.
        data: the splits.
        fit: what the fit reported: at least "seconds" and "epochs".
        cache: folder that keeps the feature network's weights; None keeps them in this process.
    """

    def __init__(
        self, model: Autoencoder, data: ImageSplits, fit: Mapping[str, Any], cache: Path | None = None
    ) -> None:
        self.model, self.data, self.fit, self.cache = model, data, fit, cache

    @cached_property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    @cached_property
    def references(self) -> References:
        """What depends on the data set alone."""
        return references(self.data, self.cache)

    # Images, codes, reconstructions

    @cached_property
    def x(self) -> Tensor:
        """The test images: (N, C, H, W)."""
        return self.data.test[:]

    @cached_property
    def x_hat(self) -> Tensor:
        """Their reconstructions from point codes: (N, C, H, W), not clipped."""
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
    def train_codes(self) -> Tensor:
        """Point codes of the training images: (N, D)."""
        return self.encode(self.data.train)

    @cached_property
    def validation_codes(self) -> Tensor:
        """Point codes of the validation images: (N, D)."""
        return self.encode(self.data.validation)

    @cached_property
    def test_codes(self) -> Tensor:
        """Point codes of the test images: (N, D)."""
        return self.encode(self.data.test)

    def encode(self, images: Images | Tensor, hidden: Tensor | None = None) -> Tensor:
        """Point codes of images (N, C, H, W): (N, D).

        Args:
            images: what the model is shown.
            hidden: (N, 1, H, W), one where `images` have holes; the models that can use it look around them.

        Raises:
            NotApplicable: the model has diverged.
        """
        masks = repeat(None) if hidden is None else torch.split(hidden.to(self.device), BATCH)
        shown = zip(in_batches(images), masks, strict=False)
        codes = torch.cat([self.model.encode(x.to(self.device), mask).cpu() for x, mask in shown])
        if not codes.isfinite().all():
            raise NotApplicable("the model's codes are not finite")
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """The images that codes (N, D) stand for: (N, C, H, W).

        Raises:
            NotApplicable: the model has diverged.
        """
        images = torch.cat([self.model.decode(z.to(self.device)).cpu() for z in torch.split(codes, BATCH)])
        if not images.isfinite().all():
            raise NotApplicable("the model's decoded images are not finite")
        return images

    # Labels and clusters

    @property
    def train_labels(self) -> Tensor:
        """Labels of the training images: (N,)."""
        return self.labels(self.data.train)

    @property
    def validation_labels(self) -> Tensor:
        """Labels of the validation images: (N,)."""
        return self.labels(self.data.validation)

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
        """Whether the linear probe on raw pixels tells each test image's label: (N,)."""
        return self.references.pixel_probe

    @cached_property
    def kmeans_clusters(self) -> Tensor:
        """Cluster of each test code, of as many as there are classes: (N,)."""
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        kmeans = KMeans(self.references.n_classes, n_init=4, random_state=SEED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct codes than clusters
            kmeans.fit(self.train_codes[:CLUSTERED].numpy())
        return torch.from_numpy(kmeans.predict(self.test_codes.numpy())).long()

    @cached_property
    def mixture_clusters(self) -> Tensor:
        """Most probable component of each test code in a Gaussian mixture, as many as classes: (N,)."""
        with not_applicable():
            mixture = Mixture(self.references.n_classes, codes=CLUSTERED, seed=SEED).fit(self.train_codes)
        return mixture.component(self.test_codes)

    @cached_property
    def prior_clusters(self) -> Tensor:
        """Most probable component of the model's own prior for each test code: (N,); NotApplicable if it has none."""
        prior = getattr(self.model.bottleneck, "prior", None)
        if not isinstance(prior, Clustered):
            raise NotApplicable("the model has no prior with components that could be clusters")
        return torch.cat([prior.component(z.to(self.device)).cpu() for z in torch.split(self.test_codes, BATCH)])

    # The shape of the code

    @property
    def discrete(self) -> Discrete:
        """The bottleneck, if its codes are discrete; NotApplicable otherwise."""
        if not isinstance(self.model.bottleneck, Discrete):
            raise NotApplicable("the code is not discrete: it has no codebook")
        return self.model.bottleneck

    @property
    def codebook_size(self) -> int:
        """Entries of the codebook; NotApplicable where the code is not discrete."""
        return self.discrete.codebook_size

    @cached_property
    def code_indices(self) -> Tensor:
        """Codebook entries of the test images: (N, M) int64; NotApplicable where the code is not discrete."""
        return self.indices(self.test_codes)

    def indices(self, codes: Tensor) -> Tensor:
        """Codebook entries of point codes (N, D): (N, M) int64, M positions."""
        bottleneck = self.discrete
        return torch.cat([bottleneck.indices(z.to(self.device)).cpu() for z in torch.split(codes, BATCH)])

    @cached_property
    def index_density(self) -> Autoregressive:
        """The autoregressive prior, fitted to the training codes; NotApplicable where the code is not discrete."""
        bottleneck = self.discrete

        def points(indices: Tensor) -> Tensor:
            return torch.cat([bottleneck.points(i.to(self.device)).cpu() for i in torch.split(indices, BATCH)])

        with not_applicable():
            return Autoregressive(bottleneck.codebook_size, self.indices, points).fit(self.train_codes)

    @property
    def index_bits(self) -> Tensor:
        """Bits of each test image's indices under the autoregressive prior: (N,); NotApplicable likewise."""
        return -self.index_density.log_prob(self.test_codes) / math.log(2)

    @cached_property
    def index_samples(self) -> Tensor:
        """Features of decoded samples of the autoregressive prior: (M, 64); NotApplicable likewise."""
        n = min(len(self.data.test), SAMPLES)
        return self.in_features(self.decode(self.index_density.sample(n, SEED)))

    @cached_property
    def rate_curve(self) -> RateDistortion:
        """Rate and distortion of the point codes, or of the indices of a discrete code."""
        if not isinstance(self.model.bottleneck, Discrete):
            return rate_distortion(self.train_codes, self.test_codes, self.x, self.decode)
        bits, entropy = code_lengths(self.indices(self.train_codes), self.code_indices)
        mse = (self.x_hat - self.x).square().mean(dtype=torch.float64).item()
        return RateDistortion([0.0], [bits.sum().item()], [entropy.sum().item()], [mse], len(self.x))

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

    # Likelihood

    @property
    def stochastic(self) -> Stochastic:
        """The bottleneck, if it has a distribution of codes; NotApplicable otherwise."""
        if not isinstance(self.model.bottleneck, Stochastic):
            raise NotApplicable("the code has no distribution: the model is not variational")
        return self.model.bottleneck

    @property
    def judged(self) -> Tensor:
        """The test images as the likelihood takes them: binarised at 0.5 where it is one of binary pixels."""
        return (self.x > 0.5).float() if getattr(self.model.likelihood, "binary", False) else self.x

    @cached_property
    def bounds(self) -> Bounds:
        """Bounds on the log-likelihood of the test images from 50 samples each."""
        return importance_bounds(self.model, self.stochastic, self.judged.to(self.device), 50, SEED)

    @cached_property
    def tight_bounds(self) -> Bounds:
        """Bounds on the log-likelihood of the first 500 test images from 5,000 samples each."""
        return importance_bounds(self.model, self.stochastic, self.judged[:TIGHT].to(self.device), 5_000, SEED)

    @property
    def posterior_kl(self) -> Tensor:
        """KL from N(0, 1) of each unit's posterior for each test image: (N, D), in nats."""
        bottleneck, standard = self.stochastic, Normal(0.0, 1.0)
        if not isinstance(bottleneck, Variational):
            raise NotApplicable("the code's posterior is not one distribution per unit")
        posteriors = (bottleneck.posterior(self.model.encoder(x.to(self.device))) for x in in_batches(self.judged))
        return torch.cat([kl_divergence(q, standard).cpu() for q in posteriors])

    @property
    def exact_log_likelihood(self) -> Tensor:
        """Log-likelihood of the test images under the Gaussian that a linear model stands for: (N,).

        That is the model's own, where it has a prior and a noise, and otherwise that of a code with orthonormal axes.

        Raises:
            NotApplicable: the decoder is not linear; the axes are not orthonormal, or none are left.
        """
        width, shape = self.test_codes.shape[1], self.x.shape[1:]
        origin = self.decode(torch.zeros(1, width))
        axes = (self.decode(torch.eye(width)) - origin).flatten(1)
        decoded = (self.x_hat - origin).flatten(1), self.test_codes @ axes
        if close(*decoded) and (std := self.own_noise) is not None:
            return marginal_log_likelihood(self.x.flatten(1), axes, origin.flatten(), std)
        z = ((self.x - origin).flatten(1) @ axes.T, self.test_codes)
        if not all(close(*pair) for pair in (z, decoded, (axes @ axes.T, torch.eye(width)))):
            raise NotApplicable("the code is not linear with orthonormal axes, so it stands for no Gaussian")
        if width >= shape.numel():
            raise NotApplicable("the code is as wide as the image, so nothing is left to tell the noise from")
        if torch.linalg.matrix_rank(self.train_codes.double()) < width:
            raise NotApplicable("some direction of the code never varies, so it stands for no Gaussian")
        lost = (self.x - self.x_hat).square().flatten(1).sum(1)
        train = self.data.train
        seen = sum((x - origin).square().sum(dtype=torch.float64).item() for x in train.batches(BATCH)) / len(train)
        train_lost = seen - self.train_codes.double().square().sum(1).mean().item()
        return linear_gaussian_log_likelihood(self.train_codes, self.test_codes, train_lost, lost, shape.numel())

    @property
    def own_noise(self) -> Tensor | None:
        """Std of a model with standard normal codes and Gaussian pixels: (P,) or a scalar; None for other models."""
        bottleneck, likelihood = self.model.bottleneck, self.model.likelihood
        if not isinstance(bottleneck, Variational) or not isinstance(likelihood, Gaussian | FittedGaussian):
            return None
        z = self.test_codes
        if not close(bottleneck.log_prior(z.to(self.device)).cpu(), -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)):
            return None
        return torch.as_tensor(likelihood.std).flatten().cpu()

    # Damage

    @property
    def gaussian_noise(self) -> Restoration:
        """Test images under Gaussian noise."""
        damages = {std: corruption.Gaussian(std) for std in (0.1, 0.2, 0.3, 0.5, 0.75)}
        return self.restoration("std", damages, {"median filter": median_filter})

    @property
    def salt_and_pepper(self) -> Restoration:
        """Test images with pixels turned black or white."""
        damages = {rate: corruption.SaltAndPepper(rate) for rate in (0.05, 0.1, 0.2, 0.3, 0.5)}
        return self.restoration("rate", damages, {"median filter": median_filter})

    @property
    def pixelation(self) -> Restoration:
        """Test images in coarse blocks."""
        return self.restoration("block side", {side: corruption.Pixelate(side) for side in (2, 3, 4)}, {})

    @cached_property
    def block_holes(self) -> Restoration:
        """Test images with a hidden block."""
        damages = {fraction: corruption.BlockMask(fraction) for fraction in (0.25, 0.375, 0.5, 0.75)}
        return self.restoration("fraction", damages, {"mean image": fill_with(self.references.mean_image)})

    @cached_property
    def pixel_holes(self) -> Restoration:
        """Test images with hidden pixels."""
        damages = {rate: corruption.PixelMask(rate) for rate in (0.1, 0.25, 0.5, 0.75, 0.9)}
        return self.restoration("rate", damages, {"mean image": fill_with(self.references.mean_image)})

    @cached_property
    def stains(self) -> Restoration:
        """Test images with blots and creases."""
        damages: dict[float, Corruption] = {n: corruption.Stain(blots=n, creases=n // 2) for n in (2, 4, 8)}
        rivals = {"mean image": fill_with(self.references.mean_image), "median filter": median_filter}
        return self.restoration("blots", damages, rivals)

    def restoration(
        self, axis: str, damages: Mapping[float, Corruption], rivals: Mapping[str, Restorer]
    ) -> Restoration:
        """Errors of the model and of `rivals` on damaged test images; where a hole is, the model may know."""
        hides = all(damage.hides for damage in damages.values())

        def model(seen: Tensor, mask: Tensor) -> Tensor:
            return self.decode(self.encode(seen, mask if hides else None))

        return restore(self.x, axis, damages, {"model": model, "damaged": as_it_is, **rivals}, SEED)

    # Samples

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


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same but for the rounding of float32 through a few layers."""
    return torch.allclose(a, b, rtol=1e-3, atol=1e-3)


@contextmanager
def not_applicable() -> Iterator[None]:
    """Turn a ZooError (what a density says of codes it cannot be fitted to) into NotApplicable."""
    try:
        yield
    except ZooError as error:
        raise NotApplicable(str(error)) from error


def in_batches(images: Images | Tensor) -> Iterable[Tensor]:
    """Images (N, C, H, W), 512 at a time, as float32."""
    return torch.split(images, BATCH) if isinstance(images, Tensor) else images.batches(BATCH)
