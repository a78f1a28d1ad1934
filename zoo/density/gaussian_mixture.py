"""A mixture of Gaussians, for codes that form clusters."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from zoo.density.held_out import check_positive, check_seed
from zoo.density.standard_normal import standard_normal_log_prob
from zoo.density.whitening import Whitening
from zoo.errors import ZooError
from zoo.spacing import spaced

if TYPE_CHECKING:
    from typing_extensions import Self


class MixtureDensity:
    """p(z) = sum_k w_k N(v_lead; m_k, S_k) N(v_rest; 0, V_rest), by expectation maximisation.

    v are the codes on their principal axes: v_lead on the leading axes, and v_rest on the others, with variances V.
    Full covariances of all units of a wide code would have more parameters than there are codes.

    Args:
        components: k, at most the number of codes.
        leading: number of principal components that the mixture describes.
        codes: the mixture is fitted to so many evenly spaced codes; mean and covariance are those of all.
        seed: determines the initial components.

    Raises:
        ZooError: a setting is not positive.
    """

    learned: ClassVar[bool] = False

    def __init__(self, components: int = 10, leading: int = 32, codes: int = 10_000, seed: int = 0) -> None:
        check_positive("mixture", components=components, leading=leading, codes=codes)
        check_seed("mixture", seed)
        self.components, self.leading, self.codes, self.seed = components, leading, codes, seed

    def fit(self, z: Tensor) -> Self:
        """Fit to codes z: (N, D).

        Raises:
            ZooError: there are fewer codes than components, or fewer than two, or they are all equal or not finite.
        """
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        self.whitening = Whitening.of(z)
        if self.components > (available := min(len(z), self.codes)):
            raise ZooError(f"a mixture of {self.components} components needs as many codes, not {available}")
        # The axes keep their relative scale: whitened, noise would count as much as structure in the initial k-means.
        self.relative = self.whitening.std[: self.leading] / self.whitening.std[0]
        lead = self.lead(self.whitening.forward(spaced(z, self.codes), self.leading))
        self.mixture = GaussianMixture(self.components, max_iter=200, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are part of the definition
            self.mixture.fit(lead.numpy())
        return self

    def sample(self, n: int, seed: int) -> Tensor:
        """n draws: (n, D)."""
        generator = torch.Generator().manual_seed(seed)
        u = torch.randn(n, len(self.whitening.std), generator=generator, dtype=torch.float64)
        lead = torch.from_numpy(self.mixture.set_params(random_state=seed).sample(n)[0])
        lead = lead[torch.randperm(n, generator=generator)]  # sklearn sorts them by component
        u[:, : self.leading] = lead / self.relative
        return self.whitening.inverse(u)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z): (N, D) -> (N,), in nats."""
        u = self.whitening.forward(z)
        lead = torch.from_numpy(self.mixture.score_samples(self.lead(u).numpy())) + self.relative.log().sum()
        return self.whitening.log_density(lead + standard_normal_log_prob(u[:, self.leading :]))

    def component(self, z: Tensor) -> Tensor:
        """The component most probable for each code: (N, D) -> (N,) int64."""
        return torch.from_numpy(self.mixture.predict(self.lead(self.whitening.forward(z, self.leading)).numpy())).long()

    def lead(self, u: Tensor) -> Tensor:
        """Leading components of whitened codes u: (N, D), the first of unit variance, the others in proportion."""
        return u[:, : self.leading] * self.relative
