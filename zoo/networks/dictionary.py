"""A linear dictionary: what an overcomplete sparse code needs around it to train."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from zoo.bottlenecks import check_width
from zoo.networks import check_mirrored
from zoo.types import Shape


class UnitColumns(nn.Module):
    """W -> W with every column scaled to unit length.

    A gradient through it has no part along the column, so no optimiser step is lost on a length that is fixed.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """(P, D) -> (P, D)."""
        # what torch's own weight_norm calls; from products and sums it takes three times as long, with its way back
        return torch._weight_norm(weight, weight.new_ones(1, weight.shape[1]), 1)


class Synthesis(nn.Linear):
    """raw = V z + b, the columns of V of unit length, b at first the mean image."""

    def __init__(self, units: int, pixels: int) -> None:
        super().__init__(units, pixels)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)
        parametrize.register_parametrization(self, "weight", UnitColumns())

    @torch.no_grad()
    def start(self, images: Tensor) -> None:
        """Put the origin at the mean of images: (N, C, H, W)."""
        self.bias.copy_(images.flatten(1).mean(0))


class Analysis(nn.Module):
    """h = W (x - b) + a, with the decoder's bias b as the origin of the code."""

    def __init__(self, synthesis: Synthesis) -> None:
        super().__init__()
        self.weight = nn.Parameter(synthesis.weight.detach().T.clone())
        self.bias = nn.Parameter(torch.zeros(synthesis.in_features))
        self.origin = synthesis.bias

    def forward(self, x: Tensor) -> Tensor:
        """(B, P) -> (B, D)."""
        return F.linear(x - self.origin, self.weight, self.bias)


class MatchingPursuit(nn.Module):
    """The code is searched for in the decoder's own dictionary V: of r = x - b, step by step, the best atom's share.

    z_j += v_j^T r and r -= (v_j^T r) v_j with j = argmax_j v_j^T r, until `steps` are done or no atom correlates.
    With G = V^T V this goes on without r: the correlations c = V^T r lose (v_j^T r) G_j. Once the atoms are chosen
    the shares solve (1 + strictly lower part of G among the chosen) s = c, which has a gradient.
    S. Mallat, Z. Zhang, "Matching pursuits with time-frequency dictionaries", 1993; as an encoder, V. Costa et al.,
    "From flat to hierarchical: extracting sparse representations with matching pursuit", 2025, arXiv:2506.03093.

    Args:
        synthesis: the decoder's layer.
        steps: K, active units at most.
    """

    def __init__(self, synthesis: Synthesis, steps: int) -> None:
        super().__init__()
        self.synthesis, self.steps = synthesis, steps

    def forward(self, x: Tensor) -> Tensor:
        """(B, P) -> (B, D), in float32: torch solves no triangular system in less."""
        with torch.autocast(x.device.type, enabled=False):
            return self.pursue(x.float())

    def pursue(self, x: Tensor) -> Tensor:
        """The search itself: (B, P) -> (B, D)."""
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
        """Correlations (B, D), which it uses up, and (D, D) between atoms -> the atom of each step: (B, K)."""
        chosen = []
        for _ in range(self.steps):
            share, atom = correlation.max(1)
            chosen.append(atom)
            correlation.addcmul_(gram[atom], share[:, None], value=-1)
        return torch.stack(chosen, 1)


def dictionary(shape: Shape, in_features: int, out_features: int, channels: int) -> tuple[nn.Module, nn.Module]:
    """h = W (x - b) + a, raw = V z + b: unit-norm columns in V, W initialised to V^T, b to the mean image.

    Without the shared start over half of the units of a wide code never become active. L. Gao et al., "Scaling and
    evaluating sparse autoencoders", 2024, arXiv:2406.04093, section 2 and appendix A.

    Raises:
        ZooError: the bottleneck or the likelihood is not as wide on one side as on the other.
    """
    check_mirrored("dictionary", (in_features, out_features), (shape[0], channels))
    synthesis = Synthesis(out_features, math.prod(shape))
    return nn.Sequential(nn.Flatten(), Analysis(synthesis)), nn.Sequential(synthesis, nn.Unflatten(1, shape))


def pursuit(shape: Shape, in_features: int, out_features: int, channels: int, k: int) -> tuple[nn.Module, nn.Module]:
    """The decoder of `dictionary`, and k steps of matching pursuit in it for an encoder: no weights of its own.

    Raises:
        ZooError: the bottleneck or the likelihood is not as wide on one side as on the other.
    """
    check_mirrored("pursuit", (in_features, out_features), (shape[0], channels))
    synthesis = Synthesis(out_features, math.prod(shape))
    encoder = nn.Sequential(nn.Flatten(), MatchingPursuit(synthesis, check_width(k, "network.k")))
    return encoder, nn.Sequential(synthesis, nn.Unflatten(1, shape))
