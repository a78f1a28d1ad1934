"""The variational bottleneck: a Gaussian per image, with what it tells about the image counted in nats."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.bottlenecks import check_width
from zoo.types import Code


class Diagonal(nn.Module):
    """q(z | x) = N(mean, diag(std^2)), z = mean + std * eps; prior p(z) = N(0, I).

    kl = KL(q || p) = 1/2 sum_i (mean_i^2 + std_i^2 - 1 - log std_i^2), in closed form.
    D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, appendix B.

    Args:
        width: D, dimensions of z.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_features = check_width(width)
        self.in_features = 2 * width

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, 2D), the mean and log std^2 side by side -> z: (B, D), a sample; point: (B, D), the mean."""
        mean, log_variance = h.float().chunk(2, dim=1)  # variances want more than bf16's 8 bits
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z = mean + noise * (0.5 * log_variance).exp()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return Code(z, mean, {"kl": kl})

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """N draws from the prior: (n, D)."""
        return torch.randn(n, self.out_features, generator=generator, device=generator.device)
