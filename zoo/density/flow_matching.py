"""A velocity field that carries codes to noise along straight lines."""

from __future__ import annotations

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from zoo.density.held_out import check_positive
from zoo.density.learned import LearnedDensity, Learner
from zoo.density.standard_normal import standard_normal_log_prob


class FlowMatchingLearner(Learner):
    """dx/dt = v(x, t) from codes at t = 0 to noise at t = 1; v minimises E |v(x_t, t) - (e - u)|^2.

    x_t = (1 - t) u + t e, e ~ N(0, I), t uniform: Y. Lipman et al., "Flow matching for generative modeling", 2023,
    arXiv:2210.02747, eq. 23 with time reversed and no noise left at the data; X. Liu et al., "Flow straight and fast",
    2023, arXiv:2209.03003, eq. 1. Field, solver and exact divergence are those of the package zuko's continuous flow.

    Args:
        width: D, units of the codes.
        hidden: units of the two hidden layers.
        tolerance: relative error of the solver; its absolute error is a tenth of it.
    """

    def __init__(self, width: int, hidden: int, tolerance: float) -> None:
        from zuko.flows import CNF

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
        """Log N(x_1; 0, I) + integral of div v over t: (N, D) -> (N,), in nats."""
        noise, stretch = self.flow.transform().call_and_ladj(u)
        return standard_normal_log_prob(noise) + cast("Tensor", stretch)


def flow_matching(
    hidden: int = 256,
    tolerance: float = 1e-3,
    leading: int = 32,
    steps: int = 2500,
    epochs: int = 300,
    batch_size: int = 256,
    rate: float = 3e-3,
    seed: int = 0,
) -> LearnedDensity:
    """The density of a `FlowMatchingLearner`; the settings are those of it and of `LearnedDensity`."""
    check_positive("flow_matching", hidden=hidden, tolerance=tolerance)
    learner = partial(FlowMatchingLearner, hidden=hidden, tolerance=tolerance)
    return LearnedDensity("flow_matching", learner, leading, steps, epochs, batch_size, rate, seed)
