"""A fitted model as plain layers with float16 weights, which the page's JavaScript computes (`static/core.js`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.model.bottlenecks.diagonal_posterior import DiagonalPosterior
from zoo.model.bottlenecks.matched import Matched
from zoo.model.bottlenecks.pointwise import Pointwise
from zoo.model.bottlenecks.sparse import Sparse
from zoo.model.bottlenecks.topk import TopK
from zoo.model.bottlenecks.vq import VQ
from zoo.model.likelihoods import BernoulliLikelihood, MultinomialLikelihood
from zoo.model.networks.dictionary import Analysis
from zoo.model.networks.linear import Transposed
from zoo.types import AlsoInEvaluation, Bottleneck

ACTIVATIONS: dict[type[nn.Module], str] = {nn.GELU: "gelu", nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}
SHAPES = (nn.Flatten, nn.Unflatten, nn.Identity)  # the page computes on flat arrays


@dataclass(frozen=True)
class Layer:
    """One step of a network.

    Attributes:
        kind: which function of `static/core.js` computes it.
        sizes: its whole numbers.
        weights: its numbers, in the order in which the page reads them.
    """

    kind: str
    sizes: dict[str, int] = field(default_factory=dict)
    weights: tuple[Tensor, ...] = ()

    @property
    def as_json(self) -> dict[str, Any]:
        """What the page has to know of it, but the weights."""
        return {"kind": self.kind, **self.sizes}


def portable(model: Autoencoder) -> dict[str, Any]:
    """A model as data: the layers of "encoder" (to the deterministic code) and "decoder", and their "weights".

    Raises:
        ZooError: a part that the page cannot compute.
    """
    if isinstance(model.corruption, AlsoInEvaluation):
        raise refused(model.corruption)
    encoder = [*network_layers(model.encoder), *bottleneck_layers(model.bottleneck)]
    decoder = network_layers(model.decoder)
    if isinstance(model.likelihood, BernoulliLikelihood):
        decoder.append(Layer("sigmoid"))
    elif isinstance(model.likelihood, MultinomialLikelihood):
        raise refused(model.likelihood)
    return {
        "encoder": [layer.as_json for layer in encoder],
        "decoder": [layer.as_json for layer in decoder],
        "weights": float16(tensor for layer in (*encoder, *decoder) for tensor in layer.weights),
    }


def network_layers(module: nn.Module) -> list[Layer]:
    """An encoder or a decoder as layers."""
    if isinstance(module, nn.Sequential):
        return [layer for part in module for layer in network_layers(part)]
    if isinstance(module, SHAPES):
        return []
    if isinstance(module, Analysis):
        return [linear(module.weight, module.bias - module.weight @ module.centre)]
    if isinstance(module, Transposed):
        return [linear(module.weight.T, module.bias)]
    if isinstance(module, nn.Linear):
        return [linear(module.weight, module.bias)]
    if type(module) in ACTIVATIONS:
        return [Layer(ACTIVATIONS[type(module)])]
    raise refused(module)


def bottleneck_layers(bottleneck: Bottleneck) -> list[Layer]:
    """The way from the encoder's output to the deterministic code, as layers."""
    if isinstance(bottleneck, Pointwise):
        return network_layers(bottleneck.activation)
    if isinstance(bottleneck, Matched):
        return []
    if isinstance(bottleneck, DiagonalPosterior):
        return [Layer("first", {"count": bottleneck.out_features})]  # the mean; the variance is not shown
    if isinstance(bottleneck, Sparse) and isinstance(bottleneck.rule, TopK):
        return [Layer("topk", {"k": bottleneck.k})]
    if isinstance(bottleneck, VQ) and bottleneck.stages == 1:
        sizes = {"entries": bottleneck.codebook_size, "dimensions": bottleneck.dimensions}
        return [Layer("nearest", sizes, (bottleneck.codebook[0],))]
    raise refused(bottleneck)


def linear(weight: Tensor, bias: Tensor) -> Layer:
    """W x + b."""
    return Layer("linear", {"inputs": weight.shape[1], "outputs": weight.shape[0]}, (weight, bias))


def float16(tensors: Iterable[Tensor]) -> bytes:
    """Numbers of tensors one after another as float16: first all low bytes, then all high ones, which compress well."""
    flat = torch.cat([tensor.detach().flatten().float() for tensor in tensors]).numpy()
    return flat.astype(np.dtype("<f2")).view(np.uint8).reshape(-1, 2).T.tobytes()


def refused(part: object) -> ZooError:
    """The error for a part that has no JavaScript."""
    return ZooError(
        f"the page cannot compute {type(part).__name__}; show dense networks, with a pointwise, matched, Gaussian, "
        "top-k or vector-quantised bottleneck"
    )
