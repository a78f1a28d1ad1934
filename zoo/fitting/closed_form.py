"""Shared by closed forms: the layers of a linear model, read and written."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.pointwise import Pointwise


def check_components(width: int, images: int, pixels: int) -> None:
    """Check the number of principal components.

    Raises:
        ZooError: `images` images of `pixels` pixels have fewer than `width`.
    """
    if width > (most := min(images, pixels)):
        raise ZooError(
            f"width={width}: {images} training samples of {pixels} numbers have at most {most} principal components; "
            "choose a smaller width"
        )


def linear_layers(model: Autoencoder) -> tuple[nn.Linear, nn.Linear]:
    """Encoder's and decoder's only layer of a linear model with the identity as bottleneck.

    Raises:
        ZooError: the model is a different one.
    """
    layers = sole_layers(model)
    bottleneck = model.bottleneck
    if layers is None or not isinstance(bottleneck, Pointwise) or not isinstance(bottleneck.activation, nn.Identity):
        raise ZooError(
            "fit=pca, svd, streaming_pca and ica need network=linear, bottleneck=identity, and images or vectors; else "
            "choose fit=gradient"
        )
    return layers


def sole_layers(model: Autoencoder) -> tuple[nn.Linear, nn.Linear] | None:
    """The linear layers of encoder and decoder where each has no other layer; else None."""
    layers = [
        [part for part in side if not isinstance(part, nn.Flatten | nn.Unflatten)]
        for side in (model.encoder, model.decoder)
        if isinstance(side, nn.Sequential)
    ]
    match layers:
        case [[nn.Linear() as encoder], [nn.Linear() as decoder]]:
            return encoder, decoder
    return None


@torch.no_grad()
def write_axes(
    encoder: nn.Linear, decoder: nn.Linear, components: Tensor, mean: Tensor, mixing: Tensor | None = None
) -> None:
    """Set z = V (x - m) and x_hat = A^T z + m, with components V: (D, P), mean m: (P,), and A: (D, P), by default V."""
    encoder.weight.copy_(components)
    encoder.bias.copy_(-components @ mean)
    decoder.weight.copy_((components if mixing is None else mixing).T)
    decoder.bias.copy_(mean)
