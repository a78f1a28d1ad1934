"""A velocity field that carries codes to noise along straight lines."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from zuko.flows import CNF

from zoo.density.standard_normal import standard_normal_log_prob


class FlowMatching(nn.Module):
    """dx/dt = v(x, t) from codes at t = 0 to noise at t = 1; v minimises E |v(x_t, t) - (e - u)|^2.

    x_t = (1 - t) u + t e, e ~ N(0, I), t uniform: Y. Lipman et al., "Flow matching for generative modeling", 2023,
    arXiv:2210.02747, eq. 23 with time reversed and no noise left at the data; X. Liu et al., "Flow straight and fast",
    2023, arXiv:2209.03003, eq. 1. Field, solver and exact divergence are those of the package zuko's continuous flow.

    Args:
        width: D, units of the codes.
        hidden: units of the two hidden layers.
        tolerance: relative error of the solver; absolute, a tenth of it.
    """

    def __init__(self, width: int, hidden: int = 256, tolerance: float = 1e-3) -> None:
        super().__init__()
        self.width = width
        self.flow = CNF(
            width, hidden_features=(hidden, hidden), activation=nn.GELU, rtol=tolerance, atol=tolerance / 10
        )

    def loss(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """|v(x_t, t) - (e - u)|^2 with one t and one e for each code: (N, D) -> (N,)."""
        noise = torch.randn(u.shape, generator=generator)
        t = torch.rand(len(u), generator=generator)
        velocity = self.flow.transform.f(t, torch.lerp(u, noise, t[:, None]))
        return cast("Tensor", (velocity - (noise - u)).square().sum(1))

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws, the field followed from t = 1 to t = 0: (n, D)."""
        noise = torch.randn(n, self.width, generator=generator)
        return cast("Tensor", self.flow.transform().inv(noise))

    def log_prob(self, u: Tensor) -> Tensor:
        """log N(x_1; 0, I) + integral of div v over t: (N, D) -> (N,), in nats."""
        noise, stretch = self.flow.transform().call_and_ladj(u)
        return standard_normal_log_prob(noise) + cast("Tensor", stretch)
