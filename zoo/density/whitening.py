"""The affine map that gives codes zero mean and unit covariance."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.errors import ZooError
from zoo.linear_algebra import principal_axes, varying_columns

FLOOR = 1e-8
WIDEST = 2048  # units in use; time grows with their cube
_latest: list[tuple[weakref.ref[Tensor], int, Whitening]] = []  # of the last codes, for all densities of a model


@dataclass(frozen=True)
class Whitening:
    """u = (z - mean) A / std, with the principal axes A of the codes, those of largest variance first.

    Variances below 1e-8 of the mean variance are raised to that value, so that the map is invertible where units are
    constant or linearly dependent. Units that are constant are axes of their own, the last ones; A holds the others
    only, so that time and memory grow with the units in use.

    Attributes:
        mean: (D,) float64.
        varying: (V,) int64, the units in use.
        constant: (D - V,) int64, the others.
        axes: (V, V) float64, orthonormal columns.
        std: (D,) float64, descending.
    """

    mean: Tensor
    varying: Tensor
    constant: Tensor
    axes: Tensor
    std: Tensor

    @classmethod
    def of(cls, z: Tensor) -> Whitening:
        """The whitening of codes z: (N, D).

        Raises:
            ZooError: there are fewer than two codes, or one is not finite, or all are equal, or more than 2,048 units
                vary.
        """
        for codes, version, known in _latest:
            if codes() is z and version == z._version:
                return known
        if len(z) < 2:
            raise ZooError(f"a density needs at least two codes, not {len(z)}")
        if not z.isfinite().all():
            raise ZooError(f"a density needs finite codes; some of these {len(z)} are not")
        varies = varying_columns(z)
        if not varies.any():
            raise ZooError(f"a density needs codes that vary; these {len(z)} are all equal")
        if (used := int(varies.sum())) > WIDEST:
            raise ZooError(f"a density with a covariance is fitted to at most {WIDEST:,} units in use, not {used:,}")
        varying, constant = varies.nonzero()[:, 0], (~varies).nonzero()[:, 0]
        mean = z[0].double()
        mean[varying], inside, axes = principal_axes(z[:, varying])
        variances = torch.cat([inside, inside.new_zeros(len(constant))])
        std = variances.clamp(min=FLOOR * variances.mean().item()).sqrt()
        found = cls(mean, varying, constant, axes, std)
        _latest[:] = [(weakref.ref(z), z._version, found)]
        return found

    @property
    def rank(self) -> int:
        """Principal axes along which the codes vary."""
        variances = self.std.square()
        return int((variances > 2 * FLOOR * variances.mean()).sum())

    def forward(self, z: Tensor, leading: int | None = None) -> Tensor:
        """z: (N, D) -> u: (N, D) float64, or its first `leading` columns, which take less time."""
        count = len(self.std) if leading is None else min(leading, len(self.std))
        u = (z[:, self.varying].double() - self.mean[self.varying]) @ self.axes[:, :count]
        if count > len(self.varying):
            rest = self.constant[: count - len(self.varying)]
            u = torch.cat([u, z[:, rest].double() - self.mean[rest]], 1)
        return u / self.std[:count]

    def inverse(self, u: Tensor) -> Tensor:
        """u: (N, D) -> z: (N, D) float32."""
        scaled = u.double() * self.std
        z = torch.empty_like(scaled)
        z[:, self.varying] = scaled[:, : len(self.varying)] @ self.axes.T
        z[:, self.constant] = scaled[:, len(self.varying) :]
        return (z + self.mean).float()

    def log_density(self, log_density_of_u: Tensor) -> Tensor:
        """Log densities of codes from those of their u: (N,) -> (N,)."""
        return log_density_of_u - self.std.log().sum()
