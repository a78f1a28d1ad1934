"""Shared types, and the methods that each kind of part has.

Shape letters in docstrings: B batch, C H W image, D code, K samples per image, N images in a data set.
Images are float tensors in [0, 1]; losses are nats per image. The output of a bottleneck is called the *code*
(elsewhere: latent, embedding).

A part is a network, bottleneck, prior, corruption, likelihood, term, fit or density. The methods of every part of a
kind are in its base class or protocol; optional methods are *abilities*, below, which code tests by `isinstance`.
`docs/extending.md` lists which ability unlocks which metrics and figures.

`StartsFromData`, `StartsAtMean`, `CalibratesOnValidation` and `BindsEncoder` are abstract classes and not protocols.
They are searched for among all modules of a model, and a foreign module with a method of that name must not be called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

if TYPE_CHECKING:
    from pathlib import Path

    from lightning.pytorch.loggers import Logger
    from typing_extensions import Self

    from zoo.data.splits import Splits
    from zoo.model.autoencoder import Autoencoder
    from zoo.objective.objective import Objective
    from zoo.samples import Kind

Shape = tuple[int, int, int]  # (C, H, W)


@dataclass(frozen=True)
class Code:
    """The output of a bottleneck.

    Attributes:
        z: (B, D), or (K*B, D) with K samples per image, sample by sample: what the decoder receives.
        point: (B, D), the deterministic code that evaluation uses (a VAE's posterior mean).
        penalties: named terms of the objective, each (B,) or (K*B,), in nats: "kl", "l1", "commit", ...
        posterior: what z was drawn from, as B x D independent distributions; None for other bottlenecks.
    """

    z: Tensor
    point: Tensor
    penalties: dict[str, Tensor] = field(default_factory=dict)
    posterior: Distribution | None = None


@dataclass(frozen=True, kw_only=True)
class SparseCode(Code):
    """A sparse code, with the tensors that terms for reviving dead units need.

    Attributes:
        h: (B, D), the input of the sparsity rule, all units.
        dead: (D,) booleans, the units that have not been active for long.
    """

    h: Tensor
    dead: Tensor


@dataclass(frozen=True)
class Step:
    """One forward pass, with everything an objective needs.

    Attributes:
        code: the bottleneck's output.
        raw: (B, ...) or (K*B, ...), the decoder's output, in the likelihood's own parameters.
        seen: (B, C, H, W), the possibly corrupted image that the encoder received.
        hidden: (B, 1 or C, H, W) in {0, 1}, one where the corruption touched the image; None without a corruption.
        images: number of training images that the batch is drawn from; None if it is all of them.
        generator: source of the randomness of terms, that of the forward pass; None for torch's global one.
    """

    code: Code
    raw: Tensor
    seen: Tensor
    hidden: Tensor | None
    images: int | None = None
    generator: torch.Generator | None = None


@dataclass(frozen=True)
class FitReport:
    """Duration, epochs and history of a fit.

    Attributes:
        seconds: wall-clock time of the fit itself, data already in memory; of models fitted at once, an equal share.
        epochs: passes over the training images (1 for a closed form).
        best_epoch: the epoch, counted from 1, whose weights the model holds now.
        history: {term: one value per epoch}, "epoch" among them; empty for a closed form.
    """

    seconds: float
    epochs: int
    best_epoch: int
    history: dict[str, list[float]] = field(default_factory=dict)


# Methods of every part of a kind


class Network(Protocol):
    """A builder of encoder and decoder for one image shape."""

    def __call__(self, shape: Shape, in_features: int, out_features: int, channels: int) -> tuple[nn.Module, nn.Module]:
        """Build an encoder and a decoder.

        Args:
            shape: (C, H, W) of the images.
            in_features: width of the encoder's output: the bottleneck's `in_features`.
            out_features: width of the decoder's input: the bottleneck's `out_features`.
            channels: channels of the decoder's output: the likelihood's (C for a Gaussian of fixed std).

        Returns:
            encoder: (B, C, H, W) -> (B, in_features), and decoder: (B, out_features) -> (B, channels, H, W).
        """
        ...


class Bottleneck(nn.Module, ABC):
    """A module between encoder and decoder.

    Args:
        in_features: width of the encoder's output.
        out_features: D, width of the code.

    Attributes:
        places: positions of each feature map, where the units of the code are those of a convolution; else 1.
        prior: p(z), where the bottleneck has one that is a part of its own; else None.
    """

    prior: Prior | None

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features, self.places = in_features, out_features, 1
        self.prior = None

    @abstractmethod
    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """Encoder output h: (B, in_features) -> a Code with z: (B or K*B, out_features).

        Args:
            h: the encoder's output.
            generator: source of all randomness.
        """

    def point(self, h: Tensor) -> Tensor:
        """The deterministic codes of encoder outputs h: (B, in_features) -> (B, D)."""
        code: Code = self(h)
        return code.point


class Prior(Protocol):
    """p(z), a module made from the width of z."""

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        ...

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        ...


class Corruption(Protocol):
    """A random change of the encoder's input during training, different for each batch.

    Attributes:
        masks: whether the mask hides the image completely; encoders that read masks then receive it.
    """

    masks: ClassVar[bool]

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the corrupted copy of x: (B, C, H, W) and the mask of what was touched (see `Step.hidden`)."""
        ...


@runtime_checkable
class AlsoInEvaluation(Protocol):
    """A corruption that is also applied in evaluation and use, because the encoder accepts only such images."""

    def applied(self, x: Tensor) -> Tensor:
        """The images in that form, without noise: (B, C, H, W) -> (B, C, H, W)."""
        ...


class Likelihood(nn.Module, ABC):
    """p(x | raw): the distribution of an image given the decoder's output.

    Attributes:
        discrete: whether it gives probabilities (of binary pixels, of counts), and not densities.
    """

    discrete = False

    def __init__(self) -> None:
        super().__init__()

    def channels(self, image_channels: int) -> int:
        """Decoder output channels for images of `image_channels` channels."""
        return image_channels

    @abstractmethod
    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """-log p(x | raw), summed over pixels weighted by `weight`, in nats per image.

        Args:
            raw: (K*B, channels, H, W), the decoder's output for K samples of each image, sample by sample.
            x: (B, C, H, W).
            weight: (B, 1 or C, H, W); None counts every pixel once.

        Returns:
            (K*B,).
        """

    @abstractmethod
    def mean(self, raw: Tensor) -> Tensor:
        """The expected image: (B, C, H, W)."""

    def target(self, x: Tensor) -> Tensor:
        """The images whose likelihood is evaluated: (B, C, H, W), x itself or x rounded to the values of p(x | raw)."""
        return x

    @torch.no_grad()
    def observe(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> None:
        """Update parameters that are not learned by gradients; called once in each training step.

        Args:
            raw: as in `nll`.
            x: as in `nll`.
            weight: as in `nll`.
        """

    def noise_std(self) -> Tensor | None:
        """Std of the pixels' independent Gaussian noise, a scalar or (C, H, W); None for other likelihoods."""
        return None


class Term(Protocol):
    """A penalty that needs more than the code."""

    def __call__(self, model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
        """{name: (B,) in nats} of clean images x: (B, C, H, W) and the step on them."""
        ...


class Fit(Protocol):
    """How a model's parameters are found."""

    def __call__(self, model: Autoencoder, data: Splits, objective: Objective, seed: int) -> FitReport:
        """Fit `model` in place on `data.train`, choosing on `data.validation`; `seed` determines the outcome."""
        ...


@runtime_checkable
class Resumes(Fit, Protocol):
    """A fit that can resume after an interruption."""

    def resuming(self, path: Path, run: Mapping[str, Any], every: float) -> Fit:
        """This fit, which keeps its state in a file while it runs, and resumes from it.

        Args:
            path: of the file.
            run: plain values that determine the result; a file of another run is ignored.
            every: smallest number of seconds between two saved states.
        """
        ...


@runtime_checkable
class Logs(Fit, Protocol):
    """A fit whose history can be logged while it runs."""

    def logging_to(self, logger: Logger) -> Fit:
        """This fit, which logs each epoch to a logger of Lightning."""
        ...


class Density(Protocol):
    """A density over codes of D units, fitted after training to any model.

    Attributes:
        learned: whether it is fitted by gradients: its metrics are in the group learned_generation, else generation.
    """

    learned: ClassVar[bool]

    def fit(self, z: Tensor) -> Self:
        """Fit to codes z: (N, D) and return itself."""
        ...

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D) float32, the same for the same seed."""
        ...

    def log_prob(self, z: Tensor) -> Tensor:
        """Log densities of codes z: (N, D) -> (N,) float64, in nats."""
        ...


# Abilities: methods of some parts


class Serves(ABC):
    """A part that names the kinds of samples it supports; other parts support images and vectors.

    Attributes:
        kinds: supported kinds of samples.
    """

    kinds: ClassVar[tuple[Kind, ...]]


class StartsFromData(ABC):
    """A module whose initial weights depend on training images: a dictionary's origin, pseudo-inputs, ..."""

    @abstractmethod
    def start_from_data(self, images: Tensor) -> None:
        """Initialise from training images: (N, C, H, W)."""


class CalibratesOnValidation(ABC):
    """A module with a value that is chosen on validation images after a gradient fit: a threshold, ..."""

    @abstractmethod
    def calibrate(self, inputs: Iterable[Tensor]) -> None:
        """Choose it, given the module's inputs for at most 10,000 validation images, a batch at a time: each (B, D)."""


@runtime_checkable
class InvertsMean(Protocol):
    """A likelihood that can compute the decoder's output for an expected image, where its last layer can start."""

    def raw_of_mean(self, mean: Tensor) -> Tensor:
        """The output whose expected image is a mean of `target` images: (C, H, W) -> (channels, H, W)."""
        ...


class StartsAtMean(ABC):
    """The last layer of a decoder, with a bias that starts at the mean image."""

    @abstractmethod
    def start_at_mean(self, mean: Tensor, raw_of_mean: Callable[[Tensor], Tensor]) -> None:
        """Set the bias to the output for the mean image, or for the nearest image that a bias can make.

        Args:
            mean: (C, H, W), the mean of training images.
            raw_of_mean: that of the likelihood; a mean over pixels, (C, 1, 1), may be passed.
        """


class BindsEncoder(ABC):
    """A part of a bottleneck that uses the model's encoder: a prior of pseudo-inputs."""

    @abstractmethod
    def bind_encoder(self, encoder: nn.Module, shape: Shape) -> None:
        """Take the encoder, for images of `shape`; called once, when the model is built."""


class ReadsMask(ABC):
    """An encoder that also receives the mask, and ignores what lies under it."""

    @abstractmethod
    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """x: (B, C, H, W), hidden: (B, 1, H, W) in {0, 1} -> (B, out_features)."""


@runtime_checkable
class HasPrior(Protocol):
    """A bottleneck whose codes can be drawn from a prior of its own."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws from the prior: (n, D)."""
        ...


@runtime_checkable
class HasPosterior(Protocol):
    """A bottleneck with a distribution of codes for each image, unit by unit, and a prior density."""

    def posterior(self, h: Tensor) -> Distribution:
        """q(z | x) of encoder outputs h: (B, in_features), as B x D independent distributions."""
        ...

    def log_prior(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        ...


@runtime_checkable
class DrawsCodes(Protocol):
    """A bottleneck that samples codes of an image and compares them with its prior, as importance bounds need."""

    def draw(self, h: Tensor, samples: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """K samples of q(z | x) of encoder outputs h: (B, in_features), and how they compare with the prior.

        Returns:
            z: (K*B, D), sample by sample, and log q(z | x) - log p(z) of each: (K*B,), in nats; where more is drawn
            than the decoder receives, log q and log p are those of everything drawn.
        """
        ...


@runtime_checkable
class Discrete(Protocol):
    """A bottleneck whose codes are entries of codebooks.

    Attributes:
        codebook_size: entries of a codebook.
        codebooks: K; symbol m of a code is of codebook m modulo K. 1 where all symbols share one.
    """

    codebook_size: int
    codebooks: int

    def indices(self, point: Tensor) -> Tensor:
        """The entries that point codes (B, D) are made of: (B, M) int64 in 0..codebook_size-1."""
        ...

    def points(self, indices: Tensor) -> Tensor:
        """The point codes of entries (B, M): (B, D)."""
        ...


@runtime_checkable
class HasComponents(Protocol):
    """A prior or a density made of components, each of which can serve as a cluster."""

    def component(self, z: Tensor) -> Tensor:
        """The most probable component of codes: (B, D) -> (B,) int64."""
        ...


@runtime_checkable
class BindsCodebook(Protocol):
    """A density over the entries of discrete codes, which needs the codebook before it is fitted."""

    def bind_codebook(self, codebook: Discrete) -> Self:
        """Take the bottleneck whose entries it describes, and return itself."""
        ...


PriorBuilder = Callable[[int], Prior]
