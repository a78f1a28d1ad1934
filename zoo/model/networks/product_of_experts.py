"""A dense encoder, and a decoder that multiplies topics: each is a distribution over terms, an expert."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.checks import check_counts
from zoo.model.activations import activation_named
from zoo.model.networks.mlp import layers
from zoo.types import Shape, StartsAtMean


class BatchStandardised(nn.BatchNorm1d):
    """Batch normalisation; a single sample, which has no variance, is normalised by the running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, D)."""
        batch = self.training and len(x) > 1
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, batch, self.momentum or 0.0)


class Experts(BatchStandardised, StartsAtMean):
    """The normalised sum of experts' log weights, with a bias that starts at the mean sample."""

    @torch.no_grad()
    def start_at_mean(self, mean: Tensor, raw_of_mean: Callable[[Tensor], Tensor]) -> None:
        """One bias per value of the mean sample: (C, H, W)."""
        self.bias.copy_(raw_of_mean(mean).flatten())


def product_of_experts(
    shape: Shape,
    in_features: int,
    out_features: int,
    channels: int,
    hidden: Sequence[int] = (100, 100),
    activation: str = "softplus",
) -> tuple[nn.Module, nn.Module]:
    """h = norm(mlp(x)), raw = norm(W softmax(z)) + b, with batch normalisation as norm.

    With a multinomial likelihood, softmax(raw) multiplies the columns of W, each a topic as log weights of terms, to
    the powers that softmax(z) gives them; latent Dirichlet allocation adds them. The norms keep units from collapsing
    onto the prior early in training. A. Srivastava, C. Sutton, "Autoencoding variational inference for topic models",
    2017, arXiv:1703.01488, section 4 and figure 1.

    Args:
        shape: (C, H, W) of the samples.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input: topics.
        channels: channels of the decoder's output.
        hidden: units of the encoder's hidden layers.
        activation: name of the activation between them.

    Raises:
        ZooError: a layer with fewer than one unit, or an unknown activation.
    """
    sizes = [math.prod(shape), *check_counts(hidden, "network.hidden"), in_features]
    values = channels * shape[1] * shape[2]
    dense = layers(sizes, activation_named(activation))
    encoder = nn.Sequential(nn.Flatten(), *dense, BatchStandardised(in_features, affine=False))
    decoder = nn.Sequential(
        nn.Softmax(1),
        nn.Linear(out_features, values, bias=False),
        Experts(values),
        nn.Unflatten(1, (channels, *shape[1:])),
    )
    return encoder, decoder
