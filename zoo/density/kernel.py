"""A Gaussian kernel around every code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from zoo.density.held_out import check_enough, check_positive
from zoo.density.standard_normal import standard_normal_log_prob
from zoo.density.whitening import Whitening
from zoo.errors import ZooError
from zoo.spacing import spaced

if TYPE_CHECKING:
    from typing_extensions import Self


class KernelEstimate:
    """p(u) = 1/n sum_j N(u_lead; u_j, h^2 I) N(u_rest; 0, I) on whitened codes u.

    u_lead are the leading principal components of the codes and u_rest the others. The bandwidth is the candidate with
    the largest likelihood of held-out codes, a tenth of them; the density then has a kernel on every code.

    Args:
        bandwidths: candidates for h, in standard deviations of the codes.
        leading: number of principal components that kernels describe.
        codes: kernels lie on so many evenly spaced codes; mean and covariance are those of all.

    Raises:
        ZooError: there is no bandwidth, or a setting is not positive.
    """

    learned: ClassVar[bool] = False

    def __init__(
        self,
        bandwidths: Sequence[float] = (0.05, 0.1, 0.2, 0.3, 0.5, 0.8),
        leading: int = 32,
        codes: int = 10_000,
    ) -> None:
        if not bandwidths:
            raise ZooError("density.kernel.bandwidths=[]: give at least one candidate")
        for bandwidth in bandwidths:
            check_positive("kernel", bandwidths=bandwidth)
        check_positive("kernel", leading=leading, codes=codes)
        self.bandwidths, self.leading, self.codes = bandwidths, leading, codes

    def fit(self, z: Tensor) -> Self:
        """Fit to codes z: (N, D).

        Raises:
            ZooError: there are too few codes to hold one out, or they are all equal or not finite.
        """
        from sklearn.neighbors import KernelDensity

        check_enough(z, "a kernel density")
        self.whitening = Whitening.of(z)
        lead = self.whitening.forward(spaced(z, self.codes), self.leading).numpy()
        held_out, rest = lead[::10][:500], lead[[i for i in range(len(lead)) if i % 10]]
        candidates = [KernelDensity(bandwidth=h).fit(rest) for h in self.bandwidths]
        best = max(candidates, key=lambda kernel: float(kernel.score(held_out)))
        self.kernel = KernelDensity(bandwidth=best.bandwidth).fit(lead)
        return self

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D)."""
        generator = torch.Generator().manual_seed(seed)
        u = torch.randn(n, len(self.whitening.std), generator=generator, dtype=torch.float64)
        u[:, : self.leading] = torch.from_numpy(self.kernel.sample(n, random_state=seed))
        return self.whitening.inverse(u)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z): (N, D) -> (N,), in nats."""
        u = self.whitening.forward(z)
        lead = torch.from_numpy(self.kernel.score_samples(u[:, : self.leading].numpy()))
        return self.whitening.log_density(lead + standard_normal_log_prob(u[:, self.leading :]))
