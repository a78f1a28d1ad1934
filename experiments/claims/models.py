"""What several claims measure on a model."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo.evaluation.metrics.cost import macs, parameters
from zoo.model.autoencoder import Autoencoder

BATCH = 512


@torch.no_grad()
def reconstructed(model: Autoencoder, x: Tensor) -> Tensor:
    """Reconstructions of images of any number: (N, C, H, W) -> (N, C, H, W)."""
    return torch.cat([model.reconstruct(part) for part in torch.split(x, BATCH)])


@torch.no_grad()
def encoded(model: Autoencoder, x: Tensor) -> Tensor:
    """Codes of images of any number: (N, C, H, W) -> (N, D)."""
    return torch.cat([model.encode(part) for part in torch.split(x, BATCH)])


@torch.no_grad()
def decoded(model: Autoencoder, z: Tensor) -> Tensor:
    """Images of codes of any number: (N, D) -> (N, C, H, W)."""
    return torch.cat([model.decode(part) for part in torch.split(z, BATCH)])


def errors(model: Autoencoder, x: Tensor) -> NDArray[np.float64]:
    """Mean squared error per pixel of each reconstruction: (N,)."""
    return per_image(reconstructed(model, x) - x)


def per_image(difference: Tensor) -> NDArray[np.float64]:
    """Mean square over the pixels of each image: (N, C, H, W) -> (N,)."""
    found: NDArray[np.float64] = difference.square().flatten(1).mean(1).double().numpy()
    return found


def size(model: Autoencoder) -> float:
    """Number of parameters."""
    return float(parameters(model))


def arithmetic(model: Autoencoder, x: Tensor) -> float:
    """Multiply-accumulates for an image of x: (N, C, H, W)."""
    return float(macs(model, x[:1]))
