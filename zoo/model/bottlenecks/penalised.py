"""Sparsity by a penalty, whose weight `zoo.model.bottlenecks.sparse.Sparse` controls to meet the budget of units."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.checks import check_active, check_positive, check_width
from zoo.types import Bottleneck, Code

THRESHOLD_RATE = 10.0  # learning rate of a threshold's logarithm, relative to that of weights
SOFTNESS = 0.1  # width of a relaxed step; codes of images in [0, 1] along unit-norm directions are about 1


class L1Rule(Bottleneck):
    """z = max(h, 0), penalty sum_i z_i.

    The penalty equals sum_i z_i |d_i| where the decoder's columns d_i have unit length, as in network=dictionary; other
    decoders can grow to make the code small. T. Bricken et al., "Towards monosemanticity", Transformer Circuits, 2023.

    Args:
        units: D.
        k: not used; the penalty's weight determines the number of active units.
    """

    def __init__(self, units: int, k: int) -> None:
        super().__init__(check_width(units, "bottleneck.units"), units)
        check_active(k, units)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        z = h.relu()
        return Code(z, z, {"l1": z.sum(1)})


class RateKLRule(Bottleneck):
    """z = max(h, 0), penalty sum_i KL(k/D || r_i) between Bernoulli rates.

    r_i is the batch mean of sigmoid(h_i / 0.1), the relaxed frequency with which the unit is active; a frequency below
    k/D is penalised, too. A. Ng, "Sparse autoencoder", CS294A lecture notes, 2011, section 3, where the code is the
    sigmoid itself, which is never exactly zero.

    Args:
        units: D.
        k: active units per image, on average.
    """

    def __init__(self, units: int, k: int) -> None:
        super().__init__(check_width(units, "bottleneck.units"), units)
        check_active(k, units)
        self.rate = k / units

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        rate = (h / SOFTNESS).sigmoid().mean(0).clamp(1e-6, 1 - 1e-6)
        negentropy = -(bernoulli_entropy(self.rate))
        kl = negentropy - self.rate * rate.log() - (1 - self.rate) * (1 - rate).log()
        z = h.relu()
        return Code(z, z, {"rate_kl": kl.sum().expand(len(h))})


def bernoulli_entropy(p: float) -> float:
    """Entropy of a Bernoulli variable, in nats."""
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


class Heaviside(torch.autograd.Function):
    """1 where h > threshold, else 0; in the backward pass, the step is a ramp of width `bandwidth`.

    d/dthreshold = -1 / bandwidth where |h - threshold| < bandwidth / 2, else 0; h has no gradient.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        """h: (B, D), threshold: (D,) -> (B, D)."""
        ctx.save_for_backward((h - threshold).abs() < bandwidth / 2)
        ctx.bandwidth = bandwidth
        return (h > threshold).to(h.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, None]:
        """The derivative of the ramp, summed over the batch."""
        (near,) = ctx.saved_tensors
        return None, -(grads[0] * near).sum(0) / ctx.bandwidth, None


class JumpReLU(Bottleneck):
    """z_i = h_i if h_i > t_i, else 0, with a learned threshold t_i = exp(10 a_i) per unit; penalty sum_i [h_i > t_i].

    The threshold's gradient is a straight-through estimate, see `Heaviside`. S. Rajamanoharan et al., "Jumping ahead",
    2024, arXiv:2407.14435, eq. 3, 9, 11 and 12, with h in place of t in the pseudo-derivative of z. Adam moves every
    parameter by about its learning rate, and thresholds have to change by factors, hence the 10.

    Args:
        units: D.
        k: not used; the penalty's weight determines the number of active units.
        threshold: initial value.
        bandwidth: width of the ramp; wide enough that many values of h are within it.
    """

    def __init__(self, units: int, k: int, threshold: float = SOFTNESS, bandwidth: float = SOFTNESS) -> None:
        super().__init__(check_width(units, "bottleneck.units"), units)
        check_active(k, units)
        check_positive(threshold, "bottleneck.rule.threshold")
        self.a = nn.Parameter(torch.full((units,), math.log(threshold) / THRESHOLD_RATE))
        self.bandwidth = check_positive(bandwidth, "bottleneck.rule.bandwidth")

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        passes: Tensor = Heaviside.apply(h, (THRESHOLD_RATE * self.a).exp(), self.bandwidth)
        z = h * passes
        return Code(z, z, {"l0": passes.sum(1)})


class Gated(Bottleneck):
    """z_i = [h_i > 0] max(exp(r_i) h_i + b_i, 0), penalty sum_i max(h_i, 0): separate gate and magnitude.

    The gate has no gradient from the reconstruction; the objective's term `zoo.objective.terms.gate.gate` provides it.
    S. Rajamanoharan et al., "Improving dictionary learning with gated sparse autoencoders", 2024, arXiv:2404.16014,
    eq. 6 to 8, with h as the gate's input and the bias of the gate included in b.

    Args:
        units: D.
        k: not used; the penalty's weight determines the number of active units.
    """

    def __init__(self, units: int, k: int) -> None:
        super().__init__(check_width(units, "bottleneck.units"), units)
        check_active(k, units)
        self.log_scale = nn.Parameter(torch.zeros(units))
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, D) -> z = point: (B, D)."""
        z = F.relu(self.log_scale.exp() * h + self.bias) * (h > 0)
        return Code(z, z, {"l1": h.relu().sum(1)})
