"""The one model class: every variant of the zoo is an `Autoencoder` with other parts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.types import Bottleneck, Corruption, Likelihood, Network, Shape, Step


class Autoencoder(nn.Module):
    """An encoder, a bottleneck and a decoder.

        x --corruption--> seen --encoder--> h --bottleneck--> Code(z, point) --decoder--> raw --likelihood--> x_hat

    `forward` is the stochastic pass that an objective is fitted on: it corrupts, and a variational bottleneck samples.
    `encode`, `decode` and `reconstruct` are the deterministic use of the model: no corruption, point codes.

    Args:
        encoder: (B, C, H, W) -> (B, bottleneck.in_features). One with `sees_holes` is called with the mask of what is
            hidden as well.
        bottleneck: (B, in_features) -> Code.
        decoder: (B, bottleneck.out_features) -> (B, likelihood channels, H, W).
        likelihood: what the decoder's output means.
        corruption: what the encoder is shown instead of x while fitting.
    """

    def __init__(
        self,
        encoder: nn.Module,
        bottleneck: Bottleneck,
        decoder: nn.Module,
        likelihood: Likelihood,
        corruption: Corruption,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.bottleneck: Bottleneck = bottleneck
        self.likelihood, self.corruption = likelihood, corruption

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Step:
        """The fitting pass over x: (B, C, H, W); all its randomness is drawn from `generator`."""
        seen, hidden = self.corruption(x, generator)
        code = self.bottleneck(self._encoded(seen, hidden if self.corruption.hides else None), generator)
        return Step(code, self.decoder(code.z), seen, hidden)

    def encode(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """The point codes of images: (B, C, H, W) -> (B, D).

        A bottleneck whose forward pass does more than that has a method `point(h)`.

        Args:
            x: the images.
            hidden: (B, 1, H, W), one in the holes, where `x` tells nothing; for encoders that look around them.
        """
        h = self._encoded(x, hidden)
        point: Callable[[Tensor], Tensor] | None = getattr(self.bottleneck, "point", None)
        return self.bottleneck(h).point if point is None else point(h)

    def decode(self, z: Tensor) -> Tensor:
        """The images that codes stand for: (B, D) -> (B, C, H, W), in data space whatever the likelihood."""
        return self.likelihood.mean(self.decoder(z))

    def reconstruct(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """`decode(encode(x, hidden))`: (B, C, H, W) -> (B, C, H, W)."""
        return self.decode(self.encode(x, hidden))

    def _encoded(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        sees_holes = hidden is not None and getattr(self.encoder, "sees_holes", False)
        h: Tensor = self.encoder(x, hidden) if sees_holes else self.encoder(x)
        return h


def build(
    shape: Shape,
    network: Network,
    bottleneck: Callable[[], Bottleneck],
    likelihood: Likelihood,
    corruption: Corruption,
    seed: int,
) -> Autoencoder:
    """Assemble an autoencoder for images of `shape`.

    A part of the bottleneck that needs the encoder (a prior of pseudo-inputs) has a method `attach(encoder, shape)`.

    Args:
        shape: (C, H, W).
        network: builds encoder and decoder to the bottleneck's measure.
        bottleneck: builds the bottleneck.
        likelihood: what the decoder's output means.
        corruption: damage to the encoder's input while fitting.
        seed: determines every initial weight; the global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        middle = bottleneck()
        encoder, decoder = network(shape, middle.in_features, middle.out_features, likelihood.channels(shape[0]))
        model = Autoencoder(encoder, middle, decoder, likelihood, corruption)
        for module in model.modules():
            if callable(attach := getattr(module, "attach", None)):
                attach(encoder, shape)
    return model
