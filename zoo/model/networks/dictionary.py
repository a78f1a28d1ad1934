"""Linear dictionaries for overcomplete sparse codes: unit-norm atoms, and an encoder or a search for the code."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from zoo.checks import check_count
from zoo.model.networks import check_mirrored
from zoo.types import Shape, StartsAtMean, StartsFromData


class UnitColumns(nn.Module):
    """W -> W with every column scaled to unit length.

    The gradient through it is orthogonal to each column, so that optimiser steps change directions only.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """(P, D) -> (P, D)."""
        # the kernel of torch's weight_norm: three times as fast as products and sums, backward pass included
        return torch._weight_norm(weight, weight.new_ones(1, weight.shape[1]), 1)


class Synthesis(nn.Linear, StartsAtMean):
    """raw = V z + b with columns of V of unit length; b starts at the output for the mean image.

    Args:
        units: D, columns of V.
        pixels: P, rows of V.
    """

    def __init__(self, units: int, pixels: int) -> None:
        super().__init__(units, pixels)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        parametrize.register_parametrization(self, "weight", UnitColumns())

    @torch.no_grad()
    def start_at_mean(self, mean: Tensor, raw_of_mean: Callable[[Tensor], Tensor]) -> None:
        """Set b to the output for the mean image: (C, H, W)."""
        self.bias.copy_(raw_of_mean(mean).flatten())


class Analysis(nn.Module, StartsFromData):
    """h = W (x - b + c) + a, where b is the decoder's bias; W starts at V^T and a at 0.

    With a Gaussian likelihood b starts at the mean image, and c is 0. With others b is on the scale of logits, and c is
    the start of b less the mean image, so that inputs stay around 0.

    Args:
        synthesis: the decoder's layer, with V and b.
    """

    offset: Tensor | None

    def __init__(self, synthesis: Synthesis) -> None:
        super().__init__()
        self.weight = nn.Parameter(synthesis.weight.detach().T.clone())
        self.bias = nn.Parameter(torch.zeros(synthesis.in_features))
        self.origin = synthesis.bias
        self.register_buffer("offset", None)
        self.register_load_state_dict_pre_hook(_take_offset)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def start_from_data(self, images: Tensor) -> None:
        """Set c by the mean of images: (N, C, H, W); called when b has started."""
        offset = self.origin - images.mean(0).flatten()
        self.offset = offset if offset.any() else None

    @property
    def centre(self) -> Tensor:
        """b - c: (P,), on the scale of images."""
        return self.origin if self.offset is None else self.origin - self.offset

    def forward(self, x: Tensor) -> Tensor:
        """(B, P) -> (B, D)."""
        return F.linear(x - self.centre, self.weight, self.bias)


def _take_offset(module: Analysis, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Before loading, make room for a stored offset, which a new layer does not have."""
    stored = state.get(f"{prefix}offset")
    module.offset = None if stored is None else torch.zeros_like(stored)


class MatchingPursuit(nn.Module):
    """A greedy search for the code in the decoder's dictionary V; it has no weights of its own.

    From the residual r = x - b: z_j += v_j^T r and r -= (v_j^T r) v_j with j = argmax_j v_j^T r, for `steps` steps or
    until no atom correlates positively. With G = V^T V the residual is not needed: the correlations c = V^T r lose
    (v_j^T r) G_j. Given the chosen atoms, the coefficients s solve (1 + strictly lower part of G among them) s = c,
    which is differentiable.
    S. Mallat, Z. Zhang, "Matching pursuits with time-frequency dictionaries", 1993; as an encoder, V. Costa et al.,
    "From flat to hierarchical: extracting sparse representations with matching pursuit", 2025, arXiv:2506.03093.

    Args:
        synthesis: the decoder's layer.
        steps: K, the largest number of active units.
    """

    def __init__(self, synthesis: Synthesis, steps: int) -> None:
        super().__init__()
        self.synthesis, self.steps = synthesis, steps

    def forward(self, x: Tensor) -> Tensor:
        """(B, P) -> (B, D), in float32: torch has no triangular solver of lower precision."""
        with torch.autocast(x.device.type, enabled=False):
            return self.pursue(x.float())

    def pursue(self, x: Tensor) -> Tensor:
        """The codes of flattened images: (B, P) -> (B, D)."""
        atoms = self.synthesis.weight
        correlation, gram = (x - self.synthesis.bias) @ atoms, atoms.T @ atoms
        chosen = self.choose(correlation.detach().clone(), gram.detach())
        among = gram[chosen[:, :, None], chosen[:, None, :]]
        share = torch.linalg.solve_triangular(
            among.tril(-1), correlation.gather(1, chosen)[:, :, None], upper=False, unitriangular=True
        ).squeeze(2)
        share = share * (share > 0).cumprod(1)
        return torch.zeros_like(correlation).scatter_add(1, chosen, share)

    def choose(self, correlation: Tensor, gram: Tensor) -> Tensor:
        """The atom of each step: (B, K), from correlations (B, D), which are overwritten, and `gram`: (D, D)."""
        chosen = []
        for _ in range(self.steps):
            share, atom = correlation.max(1)
            chosen.append(atom)
            correlation.addcmul_(gram[atom], share[:, None], value=-1)
        return torch.stack(chosen, 1)


def dictionary(shape: Shape, in_features: int, out_features: int, channels: int) -> tuple[nn.Module, nn.Module]:
    """h = W (x - b) + a, raw = V z + b: unit-norm columns in V; W starts at V^T, b at the mean image, a at 0.

    Without this initialisation more than half of the units of a wide code never become active. L. Gao et al., "Scaling
    and evaluating sparse autoencoders", 2024, arXiv:2406.04093, section 2 and appendix A.

    Args:
        shape: (C, H, W) of the images.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input, equal to `in_features`.
        channels: channels of the decoder's output, equal to C.

    Raises:
        ZooError: the bottleneck's widths or the numbers of channels differ.
    """
    check_mirrored("dictionary", (in_features, out_features), (shape[0], channels))
    synthesis = Synthesis(out_features, math.prod(shape))
    return nn.Sequential(nn.Flatten(), Analysis(synthesis)), nn.Sequential(synthesis, nn.Unflatten(1, shape))


def pursuit(shape: Shape, in_features: int, out_features: int, channels: int, k: int) -> tuple[nn.Module, nn.Module]:
    """The decoder of `dictionary`; the encoder is k steps of matching pursuit in it.

    Limitation: the residual x - b is one of images, so that a likelihood other than a Gaussian makes no sense.

    Args:
        shape: (C, H, W) of the images.
        in_features: width of the encoder's output.
        out_features: width of the decoder's input, equal to `in_features`.
        channels: channels of the decoder's output, equal to C.
        k: steps, and so the largest number of active units.

    Raises:
        ZooError: the bottleneck's widths or the numbers of channels differ; k is below 1.
    """
    check_mirrored("pursuit", (in_features, out_features), (shape[0], channels))
    synthesis = Synthesis(out_features, math.prod(shape))
    encoder = nn.Sequential(nn.Flatten(), MatchingPursuit(synthesis, check_count(k, "network.k")))
    return encoder, nn.Sequential(synthesis, nn.Unflatten(1, shape))
