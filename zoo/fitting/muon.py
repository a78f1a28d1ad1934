"""Muon: gradient descent with momentum whose updates of weight matrices are orthogonal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from zoo.arithmetic import multiplies_bf16
from zoo.checks import is_whole

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # K. Jordan's: the steepest at 0, so that few steps suffice
TINY = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon for weight matrices and convolution kernels, AdamW for all other parameters.

        B <- momentum B + (1 - momentum) G,   U = orthogonal((1 - momentum) G + momentum B)
        W <- (1 - lr weight_decay) W - lr sqrt(max(1, rows / columns)) U

    with the gradient G of a matrix W, and kernels as matrices of their first dimension by all others. K. Jordan et al.,
    "Muon: an optimizer for hidden layers in neural networks", 2024, kellerjordan.github.io/posts/muon. A schedule
    scales both rates by the same factor.

    Where this differs from the original: there, the first and the last layer are left to AdamW, too. Here `largest` may
    leave large matrices to it: a step costs about min(rows, columns)^2 max(rows, columns) operations per matrix.

    Args:
        params: groups of parameters that say by "matrices" whether Muon updates them; or parameters, of which it
            updates those of two or more dimensions.
        lr: rate of Muon.
        momentum: of Muon.
        weight_decay: of the matrices.
        adamw_lr: rate of AdamW.
        betas: of AdamW.
        eps: of AdamW.
        ns_steps: steps of the Newton-Schulz iteration; fewer cost less time, and leave updates less orthogonal.
        largest: matrices of which both dimensions are larger are left to AdamW; None for none.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        adamw_lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        ns_steps: int = 5,
        largest: int | None = None,
    ) -> None:
        for name, value in (("ns_steps", ns_steps), ("largest", 1 if largest is None else largest)):
            if not is_whole(value) or value < 1:
                raise ValueError(f"{name}={value}: must be a whole number, at least 1")
        given = list(params)
        if given and not isinstance(given[0], dict):
            matrices = [parameter for parameter in given if parameter.ndim >= 2]
            others = [parameter for parameter in given if parameter.ndim < 2]
            given = [{"params": matrices, "matrices": True}, {"params": others, "matrices": False, "weight_decay": 0.0}]
        parts = []
        for group in given:
            apart = [group["matrices"] and _smaller_side(p) <= (largest or math.inf) for p in group["params"]]
            for by_muon in (True, False):
                chosen = [p for p, is_matrix in zip(group["params"], apart, strict=True) if is_matrix == by_muon]
                parts.append(group | {"params": chosen, "matrices": by_muon})
        groups = [{"lr": lr if group["matrices"] else adamw_lr} | group for group in parts if group["params"]]
        betas = tuple(betas)  # type: ignore[assignment]
        super().__init__(groups, {"momentum": momentum, "weight_decay": weight_decay, "betas": betas, "eps": eps})
        self.ns_steps = ns_steps

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._muon if group["matrices"] else self._adamw
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    update(parameter, parameter.grad, self.state[parameter], group)
        return loss

    def _muon(self, weight: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        mean = state["momentum"].lerp_(gradient, 1 - group["momentum"])
        update = orthogonal(gradient.lerp(mean, group["momentum"]).flatten(1), self.ns_steps)
        scale = math.sqrt(max(1, update.shape[0] / update.shape[1]))
        weight.add_(update.view_as(weight), alpha=-group["lr"] * scale)

    def _adamw(self, weight: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state |= {"step": 0, "mean": torch.zeros_like(gradient), "square": torch.zeros_like(gradient)}
        state["step"] += 1
        first, second = group["betas"]
        mean = state["mean"].lerp_(gradient, 1 - first) / (1 - first ** state["step"])
        square = state["square"].lerp_(gradient.square(), 1 - second) / (1 - second ** state["step"])
        weight.addcdiv_(mean, square.sqrt().add_(group["eps"]), value=-group["lr"])


def _smaller_side(parameter: Tensor) -> int:
    """The smaller dimension of a matrix, or of a kernel as a matrix."""
    return min(len(parameter), parameter.numel() // max(1, len(parameter)))


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """U S V' -> about U V', by steps of Newton and Schulz: (M, N) -> (M, N).

    Each step maps every singular value s to a s + b s^3 + c s^5; after five, values above about 0.01 of the norm are
    between 0.7 and 1.2. Products are in bf16 where the device has instructions for them, else in float32.
    """
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16() if multiplies_bf16(matrix.device) else matrix.float()
    x = x.T if len(matrix) > matrix.shape[1] else x
    x = x / x.norm().clamp(min=TINY)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    found: Tensor = (x.T if len(matrix) > matrix.shape[1] else x).to(matrix)
    return found
