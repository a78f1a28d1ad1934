"""Lookup-free quantisation: binary units, kept busy by an entropy term."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.bottlenecks import check_width
from zoo.bottlenecks.vq import straight_through
from zoo.types import Code


class LFQ(nn.Module):
    """z_i = sign(h_i): a symbol of b units is one of the 2^b corners of a cube.

        commit  = |h - sg(z)|^2
        entropy = sum_m H(q(c | h_m)) + M (b log 2 - H(mean of all q)) >= 0,   q(c | h_m) ~ exp(-|h_m - c|^2)

    Small entropy means that each symbol is sure of its corner, and that over the batch all corners are in use alike.
    L. Yu et al., "Language model beats diffusion: tokenizer is key to visual generation", 2023, arXiv:2310.05737,
    eqs. 3 to 5, here with the constant that makes zero the least. Units of a corner are independent under q, so its
    entropy is a sum over units.

    Args:
        positions: M, symbols per image.
        bits: b, units of a symbol; 8 make a codebook of 256.
    """

    corners: Tensor

    def __init__(self, positions: int, bits: int = 8) -> None:
        super().__init__()
        self.positions = check_width(positions, "bottleneck.positions")
        self.bits = check_width(bits, "bottleneck.bits")
        self.in_features = self.out_features = positions * bits
        self.codebook_size = 2**bits
        places = torch.arange(self.codebook_size)[:, None] // 2 ** torch.arange(bits) % 2
        self.register_buffer("corners", 2.0 * places - 1, persistent=False)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, M b) -> point: (B, M b) of -1 and 1; z the same, with the gradient of h."""
        h = h.float()
        point = torch.where(h > 0, 1.0, -1.0)
        penalties = {"commit": (h - point).square().sum(1), "entropy": self._entropy(h)}
        return Code(straight_through(h, point), point, penalties)

    def indices(self, point: Tensor) -> Tensor:
        """The corners that codes (B, M b) are made of: (B, M) int64, the first unit the lowest bit."""
        positive = (point.view(-1, self.positions, self.bits) > 0).long()
        return (positive << torch.arange(self.bits, device=point.device)).sum(2)

    def points(self, indices: Tensor) -> Tensor:
        """The point codes of corners (B, M): (B, M b)."""
        return self.corners[indices].flatten(1)

    def _entropy(self, h: Tensor) -> Tensor:
        """(B, M b) -> (B,), in nats."""
        logits = 4 * h  # of +1 against -1: (h + 1)^2 - (h - 1)^2
        unsure: Tensor = (F.softplus(logits) - logits * logits.sigmoid()).sum(1)
        symbols = logits.view(-1, self.bits)
        constant = F.logsigmoid(symbols) + F.logsigmoid(-symbols)
        with torch.autocast(h.device.type, enabled=False):
            log_q = 0.5 * (symbols @ self.corners.T + constant.sum(1, keepdim=True))
        mean = log_q.exp().mean(0)
        unused: Tensor = self.bits * math.log(2) + torch.special.xlogy(mean, mean).sum()
        return unsure + self.positions * unused
