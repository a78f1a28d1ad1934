"""Densities of codes, fitted after training to any model: `model.decode(density.sample(n, seed))` are its samples.

P. Ghosh, M. Sajjadi, A. Vergari, M. Black, B. Schölkopf, "From variational to deterministic autoencoders", 2020,
arXiv:1903.12436, section 4 (ex-post density estimation).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from torch import Tensor
from typing_extensions import Self

from zoo.density.flow import Flow
from zoo.density.flow_matching import FlowMatching
from zoo.density.gaussian import Gaussian
from zoo.density.kernel import Kernel
from zoo.density.learned import Learned
from zoo.density.mixture import Mixture
from zoo.density.standard_normal import StandardNormal
from zoo.density.two_stage import TwoStage


class Density(Protocol):
    """A density over codes of D units."""

    def fit(self, z: Tensor) -> Self:
        """Fit to codes z: (N, D) and return itself."""
        ...

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D) float32, the same for the same seed."""
        ...

    def log_prob(self, z: Tensor) -> Tensor:
        """Log densities of codes z: (N, D) -> (N,) float64, in nats."""
        ...


DENSITIES: dict[str, Callable[[], Density]] = {
    "standard_normal": StandardNormal,
    "gaussian": Gaussian,
    "mixture": Mixture,
    "kernel": Kernel,
}

LEARNED: dict[str, Callable[[], Density]] = {
    "flow": partial(Learned, Flow),
    "flow_matching": partial(Learned, FlowMatching, steps=2500, epochs=300),
    "two_stage_vae": partial(Learned, TwoStage),
}
