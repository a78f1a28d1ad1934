"""A mixture of Gaussians, for codes that fall into groups."""

from __future__ import annotations

import warnings

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor
from typing_extensions import Self

from zoo.density.standard_normal import standard_normal_log_prob
from zoo.density.whitening import Whitening


class Mixture:
    """p(z) = sum_k w_k N(v_lead; m_k, S_k) N(v_rest; 0, V_rest), by expectation maximisation.

    v are the codes on their principal axes, v_lead on the leading ones and v_rest on the others, if there are
    others, with their variances V: full covariances of all of a wide code would have more parameters than
    there are codes.

    Args:
        components: k, at most the number of codes.
        leading: number of principal components that the mixture describes.
        codes: how many codes it is fitted to, the first ones; mean and covariance are those of all.
        seed: determines where the fit starts.
    """

    def __init__(self, components: int = 10, leading: int = 32, codes: int = 10_000, seed: int = 0) -> None:
        self.components, self.leading, self.codes, self.seed = components, leading, codes, seed

    def fit(self, z: Tensor) -> Self:
        """Fit to codes z: (N, D)."""
        self.whitening = Whitening.of(z)
        # Not whitened, or noise would count as much as structure in the k-means that the fit starts from.
        self.relative = self.whitening.std[: self.leading] / self.whitening.std[0]
        lead = self.lead(self.whitening.forward(z[: self.codes]))
        self.mixture = GaussianMixture(self.components, max_iter=200, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are enough of a fit to sample from
            self.mixture.fit(lead.numpy())
        return self

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D)."""
        generator = torch.Generator().manual_seed(seed)
        u = torch.randn(n, len(self.whitening.std), generator=generator, dtype=torch.float64)
        lead = torch.from_numpy(self.mixture.set_params(random_state=seed).sample(n)[0])
        lead = lead[torch.randperm(n, generator=generator)]  # they come sorted by component
        u[:, : self.leading] = lead / self.relative
        return self.whitening.inverse(u)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z): (N, D) -> (N,), in nats."""
        u = self.whitening.forward(z)
        lead = torch.from_numpy(self.mixture.score_samples(self.lead(u).numpy())) + self.relative.log().sum()
        return self.whitening.log_density(lead + standard_normal_log_prob(u[:, self.leading :]))

    def component(self, z: Tensor) -> Tensor:
        """The component most probable for each code: (N, D) -> (N,) int64."""
        return torch.from_numpy(self.mixture.predict(self.lead(self.whitening.forward(z)).numpy())).long()

    def lead(self, u: Tensor) -> Tensor:
        """Leading components of whitened codes u: (N, D), the first of unit variance, the others in proportion."""
        return u[:, : self.leading] * self.relative
