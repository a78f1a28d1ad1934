"""The affine map that gives codes zero mean and unit covariance."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

from torch import Tensor

from zoo.errors import ZooError
from zoo.linear_algebra import principal_axes

FLOOR = 1e-8
WIDEST = 2048  # units in use; time grows with their cube
_latest: list[tuple[weakref.ref[Tensor], int, Whitening]] = []  # of the last codes, for all densities of a model


@dataclass(frozen=True)
class Whitening:
    """u = (z - mean) A / std, with the principal axes A of the codes, those of largest variance first.

    Variances below 1e-8 of the mean variance are raised to that value, so that the map is invertible where units are
    constant or linearly dependent.

    Attributes:
        mean: (D,) float64.
        axes: (D, D) float64, orthonormal columns.
        std: (D,) float64, descending.
    """

    mean: Tensor
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
        if (z == z[0]).all():
            raise ZooError(f"a density needs codes that vary; these {len(z)} are all equal")
        if (used := int((z != z[0]).any(0).sum())) > WIDEST:
            raise ZooError(f"a density with a covariance is fitted to at most {WIDEST:,} units in use, not {used:,}")
        mean, variances, axes = principal_axes(z)
        std = variances.clamp(min=FLOOR * variances.mean().item()).sqrt()
        found = cls(mean, axes, std)
        _latest[:] = [(weakref.ref(z), z._version, found)]
        return found

    @property
    def rank(self) -> int:
        """Principal axes along which the codes vary."""
        variances = self.std.square()
        return int((variances > 2 * FLOOR * variances.mean()).sum())

    def forward(self, z: Tensor) -> Tensor:
        """z: (N, D) -> u: (N, D) float64."""
        return (z.double() - self.mean) @ self.axes / self.std

    def inverse(self, u: Tensor) -> Tensor:
        """u: (N, D) -> z: (N, D) float32."""
        return ((u.double() * self.std) @ self.axes.T + self.mean).float()

    def log_density(self, log_density_of_u: Tensor) -> Tensor:
        """Log densities of codes from those of their u: (N,) -> (N,)."""
        return log_density_of_u - self.std.log().sum()
