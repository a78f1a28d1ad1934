"""Categorical codes: one of K categories per symbol, sampled with Gumbel noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.checks import check_count, check_positive
from zoo.model.bottlenecks.vq import straight_through
from zoo.types import Bottleneck, Code


class Gumbel(Bottleneck):
    """q(z | x) = prod_m Categorical(softmax(h_m)), z one-hot; prior p(z) uniform.

    z = onehot(argmax(h + g)) with the gradient of softmax((h + g) / temperature), g Gumbel noise: the straight-through
    estimator of E. Jang, S. Gu, B. Poole, "Categorical reparameterization with Gumbel-softmax", 2016, arXiv:1611.01144,
    section 2.2; C. Maddison, A. Mnih, Y. W. Teh, "The concrete distribution", 2016, arXiv:1611.00712.
    kl = KL(q || p) = sum_m (log K - H(q_m)), in closed form.

    Args:
        positions: M, symbols per image.
        categories: K; 16 are 4 bits per symbol.
        temperature: temperature of the softmax in the backward pass.

    Raises:
        ZooError: a temperature not above 0, or a count below 1.
    """

    def __init__(self, positions: int, categories: int = 16, temperature: float = 1.0) -> None:
        check_positive(temperature, "bottleneck.temperature")
        units = check_count(positions, "bottleneck.positions") * check_count(categories, "bottleneck.categories")
        super().__init__(units, units)
        self.positions, self.codebook_size, self.temperature = positions, categories, temperature
        self.codebooks = positions

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, M K), logits -> z: (B, M K), a sample; point: (B, M K), the most probable categories."""
        logits = h.float().view(-1, self.positions, self.codebook_size)
        noise = -torch.empty_like(logits).exponential_(generator=generator).log()
        soft = ((logits + noise) / self.temperature).softmax(2)
        z = straight_through(soft, self._one_hot(soft.argmax(2)))
        log_q = logits.log_softmax(2)
        kl = (log_q.exp() * log_q).sum((1, 2)) + self.positions * math.log(self.codebook_size)
        return Code(z.flatten(1), self.point(h), {"kl": kl})

    def point(self, h: Tensor) -> Tensor:
        """The most probable categories of logits (B, M K), without a draw: (B, M K)."""
        return self._one_hot(h.view(-1, self.positions, self.codebook_size).argmax(2)).flatten(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws from the prior: (n, M K)."""
        shape = (n, self.positions)
        return self.points(torch.randint(self.codebook_size, shape, generator=generator, device=generator.device))

    def indices(self, point: Tensor) -> Tensor:
        """The categories of codes (B, M K): (B, M) int64."""
        return point.view(-1, self.positions, self.codebook_size).argmax(2)

    def points(self, indices: Tensor) -> Tensor:
        """The codes of categories (B, M): (B, M K)."""
        return self._one_hot(indices).flatten(1)

    def _one_hot(self, categories: Tensor) -> Tensor:
        return F.one_hot(categories, self.codebook_size).float()
