"""A deterministic code whose distribution over all images is matched to a prior."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.checks import check_width
from zoo.model.priors.standard import NormalPrior
from zoo.types import Bottleneck, Code, Prior


class Matched(Bottleneck):
    """z = h, and p(z) = N(0, I), to which an objective or a fit matches the codes of all images.

    objective=mmd does so by a kernel distance (I. Tolstikhin et al., "Wasserstein auto-encoders", 2018,
    arXiv:1711.01558), fit=adversarial_prior by a discriminator (A. Makhzani et al., "Adversarial autoencoders", 2015,
    arXiv:1511.05644). Without either, draws from the prior are unlike codes.

    Args:
        width: D, units of the code.

    Raises:
        ZooError: a width below 1.
    """

    prior: Prior

    def __init__(self, width: int) -> None:
        super().__init__(check_width(width), width)
        self.prior = NormalPrior(width)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        return Code(h, h)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws from the prior: (n, D)."""
        return self.prior.sample(n, generator)
