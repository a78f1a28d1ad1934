"""A prior with hills: a learned mixture of Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.bottlenecks import check_width
from zoo.priors import draw_gaussians, log_gaussians


class Mixture(nn.Module):
    """p(z) = sum_c weight_c N(z; mean_c, diag(std_c^2)), all of it learned.

    The component most probable for a code is its cluster. Z. Jiang et al., "Variational deep embedding", 2017,
    arXiv:1611.05148; N. Dilokthanakul et al., 2016, arXiv:1611.02648. The sum over components is carried out here, so
    that no q(c | x) is needed: it is p(c | z), the best there is (Jiang et al., eq. 16).

    Args:
        width: D, dimensions of z.
        components: C.
    """

    def __init__(self, width: int, components: int = 10) -> None:
        super().__init__()
        check_width(components, "bottleneck.prior.components")
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
        """The most probable component of codes, the largest p(c | z): (B, D) -> (B,) int64."""
        return self.log_joint(z).argmax(1)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        c = self.logits.softmax(0).multinomial(n, replacement=True, generator=generator)
        return draw_gaussians(self.mean[c], self.log_variance[c], generator)
