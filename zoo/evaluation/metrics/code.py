"""The shape of the code."""

from __future__ import annotations

from torch import Tensor

from zoo.evaluation.metrics.registry import metric


@metric("code", "units", "none")
def active_units(test_codes: Tensor) -> float:
    """Code units whose point code has a variance over the test images of more than 0.01.

    For a VAE this is the statistic A_u = Var_x(E[u | x]) > 0.01 of Burda, Grosse & Salakhutdinov 2015
    (arXiv:1509.00519, section 5.2). It depends on the scale of the code, which is the method's own.

    Args:
        test_codes: (N, D).
    """
    return float((test_codes.double().var(0, correction=0) > 0.01).sum())
