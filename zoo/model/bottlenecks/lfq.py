"""Lookup-free quantisation: binary units, with an entropy term for an even use of the codebook."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_count
from zoo.model.bottlenecks.vq import straight_through
from zoo.types import Bottleneck, Code


class LFQ(Bottleneck):
    """z_i = sign(h_i): a symbol of b units is one of the 2^b corners c of a cube.

        commit  = |h - sg(z)|^2
        entropy = sum_m H(q(c | h_m)) + M (b log 2 - H(mean of all q)) >= 0,   q(c | h_m) ~ exp(-|h_m - c|^2)

    `entropy` is small where each symbol is close to one corner, and all corners are used equally over the batch.
    L. Yu et al., "Language model beats diffusion: tokenizer is key to visual generation", 2023, arXiv:2310.05737,
    eqs. 3 to 5, here with a constant added so that its minimum is zero. The units of a symbol are independent under q,
    so that the first entropy is a sum over units.

    Args:
        positions: M, symbols per image.
        bits: b, units of a symbol; 8 are a codebook of 256 entries.

    Raises:
        ZooError: a count below 1.
    """

    corners: Tensor

    def __init__(self, positions: int, bits: int = 8) -> None:
        units = check_count(positions, "bottleneck.positions") * check_count(bits, "bottleneck.bits")
        super().__init__(units, units)
        self.positions, self.bits = positions, bits
        self.codebooks, self.codebook_size = positions, 2**bits
        places = torch.arange(self.codebook_size)[:, None] // 2 ** torch.arange(bits) % 2
        self.register_buffer("corners", 2.0 * places - 1, persistent=False)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, M b) -> point: (B, M b) of -1 and 1; z: the same values with the gradient of h, straight through."""
        h = h.float()
        point = torch.where(h > 0, 1.0, -1.0)
        penalties = {"commit": (h - point).square().sum(1), "entropy": self._entropy(h)}
        return Code(straight_through(h, point), point, penalties)

    def indices(self, point: Tensor) -> Tensor:
        """The corners of codes (B, M b): (B, M) int64; the first unit is the lowest bit."""
        positive = (point.view(-1, self.positions, self.bits) > 0).long()
        return (positive << torch.arange(self.bits, device=point.device)).sum(2)

    def points(self, indices: Tensor) -> Tensor:
        """The codes of corners (B, M): (B, M b)."""
        return self.corners[indices].flatten(1)

    def _entropy(self, h: Tensor) -> Tensor:
        """(B, M b) -> (B,), in nats."""
        logits = 4 * h  # of +1 against -1: (h + 1)^2 - (h - 1)^2
        conditional: Tensor = (F.softplus(logits) - logits * logits.sigmoid()).sum(1)
        symbols = logits.view(-1, self.bits)
        constant = F.logsigmoid(symbols) + F.logsigmoid(-symbols)
        with torch.autocast(h.device.type, enabled=False):
            log_q = 0.5 * (symbols @ self.corners.T + constant.sum(1, keepdim=True))
        mean = log_q.exp().mean(0)
        uneven: Tensor = self.bits * math.log(2) + torch.special.xlogy(mean, mean).sum()
        return conditional + self.positions * uneven
