"""A prior with several modes: a learned mixture of Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.checks import check_count, check_width
from zoo.model.priors import draw_gaussians, log_gaussians


class MixturePrior(nn.Module):
    """p(z) = sum_c weight_c N(z; mean_c, diag(std_c^2)) with learned weights, means and stds.

    The most probable component of a code is its cluster. Z. Jiang et al., "Variational deep embedding", 2017,
    arXiv:1611.05148; N. Dilokthanakul et al., 2016, arXiv:1611.02648. As the sum over components is computed, no
    q(c | x) is needed: its optimum is p(c | z) (Jiang et al., eq. 16).

    Args:
        width: D, dimensions of z.
        components: C.

    Raises:
        ZooError: fewer than one component.
    """

    def __init__(self, width: int, components: int = 10) -> None:
        super().__init__()
        check_width(width)
        check_count(components, "prior.components")
        self.mean = nn.Parameter(torch.randn(components, width))
        self.log_variance = nn.Parameter(torch.zeros(components, width))
        self.logits = nn.Parameter(torch.zeros(components))

    def log_joint(self, z: Tensor) -> Tensor:
        """Log p(z, c) of codes: (B, D) -> (B, C), in nats."""
        return log_gaussians(z, self.mean, self.log_variance) + self.logits.log_softmax(0)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        return self.log_joint(z).logsumexp(1)

    def component(self, z: Tensor) -> Tensor:
        """The component with the largest p(c | z) of codes: (B, D) -> (B,) int64."""
        return self.log_joint(z).argmax(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        c = self.logits.softmax(0).multinomial(n, replacement=True, generator=generator)
        return draw_gaussians(self.mean[c], self.log_variance[c], generator)
