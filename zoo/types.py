"""The vocabulary that every part of the zoo shares.

Shape letters in docstrings: B batch, C H W image, D code, K samples per image, N images in a data set.
Images are float tensors in [0, 1]; losses are nats per image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

Shape = tuple[int, int, int]  # (C, H, W)


@dataclass(frozen=True)
class Code:
    """What a bottleneck lets through.

    Attributes:
        z: (B, D), or (K*B, D) with K samples per image, sample by sample: what the decoder receives.
        point: (B, D), the deterministic code that evaluation uses (a VAE's posterior mean).
        penalties: named terms of the objective, each (B,) or (K*B,), in nats: "kl", "l1", "commit", ...
        posterior: what z was drawn from, as B x D independent distributions, where the bottleneck has such.
    """

    z: Tensor
    point: Tensor
    penalties: dict[str, Tensor] = field(default_factory=dict)
    posterior: Distribution | None = None


@dataclass(frozen=True)
class Step:
    """One forward pass, with all that an objective may ask about it.

    Attributes:
        code: what passed the bottleneck.
        raw: (B, ...) or (K*B, ...), the decoder's output, in the likelihood's own parameters.
        seen: (B, C, H, W), the possibly corrupted image that the encoder was shown.
        hidden: (B, 1 or C, H, W) in {0, 1}, one where the corruption touched the image; None where there is none.
    """

    code: Code
    raw: Tensor
    seen: Tensor
    hidden: Tensor | None


class Bottleneck(Protocol):
    """A module between encoder and decoder; `in_features` it wants of the encoder, `out_features` it gives."""

    in_features: int
    out_features: int

    def __call__(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """Turn encoder output h: (B, in_features) into a Code with z: (B or K*B, out_features)."""
        ...


class Network(Protocol):
    """A builder of encoder and decoder for one image shape."""

    def __call__(self, shape: Shape, in_features: int, out_features: int, channels: int) -> tuple[nn.Module, nn.Module]:
        """Build an encoder and a decoder.

        Args:
            shape: (C, H, W) of the images.
            in_features: width of the encoder's output, as the bottleneck asks.
            out_features: width of the decoder's input, as the bottleneck gives.
            channels: channels of the decoder's output, as the likelihood asks (C for a fixed-std Gaussian).

        Returns:
            encoder: (B, C, H, W) -> (B, in_features), and decoder: (B, out_features) -> (B, channels, H, W).
        """
        ...


class Corruption(Protocol):
    """Damage to the encoder's input, drawn anew for each batch.

    Attributes:
        hides: whether nothing is left of the image under the mask, and the mask is known to whoever mends it: a hole.
    """

    hides: ClassVar[bool]

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor | None]:
        """Return the damaged copy of x: (B, C, H, W) and the mask of what was touched (see `Step.hidden`)."""
        ...


class Likelihood(Protocol):
    """p(x | raw): how far the decoder's output explains an image, and the image it stands for."""

    def channels(self, image_channels: int) -> int:
        """Decoder output channels needed for images of `image_channels` channels."""
        ...

    def nll(self, raw: Tensor, x: Tensor, weight: Tensor | None = None) -> Tensor:
        """-log p(x | raw), summed over pixels weighted by `weight`, in nats per image.

        Args:
            raw: (K*B, channels, H, W), the decoder's output for K samples of each image, sample by sample.
            x: (B, C, H, W).
            weight: (B, 1 or C, H, W); None counts every pixel once.

        Returns:
            (K*B,).
        """
        ...

    def mean(self, raw: Tensor) -> Tensor:
        """The expected image: (B, C, H, W)."""
        ...
