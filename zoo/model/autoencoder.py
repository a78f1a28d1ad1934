"""The one model class: every variant of the zoo is an `Autoencoder` with other parts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from zoo.types import (
    AlsoInEvaluation,
    BindsEncoder,
    Bottleneck,
    Corruption,
    InvertsMean,
    Likelihood,
    Network,
    ReadsMask,
    Shape,
    StartsAtMean,
    StartsFromData,
    Step,
)


class Autoencoder(nn.Module, StartsFromData):
    """An encoder, a bottleneck and a decoder.

        x --corruption--> seen --encoder--> h --bottleneck--> Code(z, point) --decoder--> raw --likelihood--> x_hat

    `forward` is the stochastic pass that an objective is fitted on: it corrupts, and a variational bottleneck samples.
    `encode`, `decode` and `reconstruct` are the deterministic use of the model: no corruption, point codes.

    Args:
        encoder: (B, C, H, W) -> (B, bottleneck.in_features); a `ReadsMask` also receives the mask of a corruption.
        bottleneck: (B, in_features) -> Code.
        decoder: (B, bottleneck.out_features) -> (B, likelihood channels, H, W).
        likelihood: p(x | decoder's output).
        corruption: change of the encoder's input during training.
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
        self.bottleneck, self.likelihood, self.corruption = bottleneck, likelihood, corruption

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Step:
        """The training pass over x: (B, C, H, W); all its randomness is drawn from `generator`."""
        seen, hidden = self.corruption(x, generator)
        code = self.bottleneck(self._encoded(seen, hidden if self.corruption.masks else None), generator)
        return Step(code, self.decoder(code.z), seen, hidden)

    def encode(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """The deterministic codes of images: (B, C, H, W) -> (B, D).

        Args:
            x: the images.
            hidden: (B, 1, H, W), one on masked pixels, for encoders that read masks.
        """
        seen = self.corruption.applied(x) if isinstance(self.corruption, AlsoInEvaluation) else x
        return self.bottleneck.point(self._encoded(seen, hidden))

    def decode(self, z: Tensor) -> Tensor:
        """The expected images of codes: (B, D) -> (B, C, H, W), in data space for every likelihood."""
        return self.likelihood.mean(self.decoder(z))

    def reconstruct(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """`decode(encode(x, hidden))`: (B, C, H, W) -> (B, C, H, W)."""
        return self.decode(self.encode(x, hidden))

    @torch.no_grad()
    def start_from_data(self, images: Tensor) -> None:
        """Start the bias of the decoder's last layer at the mean of training images: (N, C, H, W)."""
        if isinstance(self.likelihood, InvertsMean):
            mean = self.likelihood.target(images).mean(0)
            for layer in self.decoder.modules():
                if isinstance(layer, StartsAtMean):
                    layer.start_at_mean(mean, self.likelihood.raw_of_mean)

    def _encoded(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        reads = hidden is not None and isinstance(self.encoder, ReadsMask)
        h: Tensor = self.encoder(x, hidden) if reads else self.encoder(x)
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

    Args:
        shape: (C, H, W).
        network: builds encoder and decoder for the bottleneck's widths.
        bottleneck: builds the bottleneck.
        likelihood: p(x | decoder's output).
        corruption: change of the encoder's input during training.
        seed: determines every initial weight; the global random state does not change.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        middle = bottleneck()
        encoder, decoder = network(shape, middle.in_features, middle.out_features, likelihood.channels(shape[0]))
        model = Autoencoder(encoder, middle, decoder, likelihood, corruption)
        for module in model.modules():
            if isinstance(module, BindsEncoder):
                module.bind_encoder(encoder, shape)
    return model
