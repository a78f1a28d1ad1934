"""The variational bottleneck: a posterior of independent units for each image, and its KL divergence from a prior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.distributions import Laplace, Normal, kl_divergence

from zoo.checks import check_count, check_width
from zoo.errors import ZooError, nearest
from zoo.model.priors.standard import LaplacePrior, NormalPrior, laplace_noise, normal_noise
from zoo.types import Bottleneck, Code, Prior, PriorBuilder


class Noise(Protocol):
    """A function that draws from a distribution of location 0 and scale 1."""

    def __call__(self, shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Draws of `shape` on `device`."""
        ...


@dataclass(frozen=True)
class Family:
    """A location-scale family of posteriors.

    Attributes:
        distribution: class of the distribution, built from location and scale.
        noise: draws from it with location 0 and scale 1.
        prior: the prior of the same family, for which the KL divergence has a closed form.
    """

    distribution: type[Normal] | type[Laplace]
    noise: Noise
    prior: type[NormalPrior] | type[LaplacePrior]


FAMILIES = {
    "normal": Family(Normal, normal_noise, NormalPrior),
    "laplace": Family(Laplace, laplace_noise, LaplacePrior),
}


class DiagonalPosterior(Bottleneck):
    """q(z | x) = N(mean, diag(std^2)), z = mean + std * eps, and a prior p(z).

    kl = KL(q || p) = 1/2 sum_i (mean_i^2 + std_i^2 - 1 - log std_i^2), in closed form, where p is N(0, I). With a prior
    of another family, or `closed_form` false, kl is the estimate log q(z | x) - log p(z) at each sample.
    D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, appendix B.

    Args:
        width: D, dimensions of z.
        prior: builds p(z) from the width.
        samples: K, draws of z per image.
        closed_form: use the exact kl where there is one; importance weights need the estimate at each sample.
        family: "normal", or "laplace": q(z | x) is a Laplace distribution, and std its scale.

    Raises:
        ZooError: unknown family, or a width or number of samples below 1.
    """

    prior: Prior

    def __init__(
        self,
        width: int,
        prior: PriorBuilder = NormalPrior,
        samples: int = 1,
        closed_form: bool = True,
        family: str = "normal",
    ) -> None:
        super().__init__(2 * check_width(width), width)
        self.samples = check_count(samples, "bottleneck.samples")
        if family not in FAMILIES:
            raise ZooError(f"bottleneck.family={family}: no such family{nearest(str(family), FAMILIES)}")
        self.family = FAMILIES[family]
        self.prior = prior(width)
        self.closed_form = closed_form and isinstance(self.prior, self.family.prior)

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, 2D), mean and log std^2 concatenated -> z: (K*B, D), samples; point: (B, D), the mean."""
        q = self.posterior(h)
        z = self._sample_of(q, self.samples, generator)
        kl = self._exact_kl(h, q) if self.closed_form else self._log_ratio(q, z).flatten()
        return Code(z.flatten(0, 1), q.mean, {"kl": kl}, q)

    def point(self, h: Tensor) -> Tensor:
        """The mean of q(z | x) of encoder outputs h: (B, 2D) -> (B, D)."""
        return mean_and_log_variance(h)[0]

    def posterior(self, h: Tensor) -> Normal | Laplace:
        """q(z | x) of encoder outputs h: (B, 2D), as B x D independent distributions."""
        mean, log_variance = mean_and_log_variance(h)
        q: Normal | Laplace = self.family.distribution(mean, (0.5 * log_variance).exp(), validate_args=False)
        return q

    def log_prior(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        return self.prior.log_prob(z)

    def draw(self, h: Tensor, samples: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """K samples z of q(z | x): (K*B, D), sample by sample, and log q(z | x) - log p(z) of each: (K*B,)."""
        q = self.posterior(h)
        z = self._sample_of(q, samples, generator)
        return z.flatten(0, 1), self._log_ratio(q, z).flatten()

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws from the prior: (n, D)."""
        return self.prior.sample(n, generator)

    def _sample_of(self, q: Normal | Laplace, samples: int, generator: torch.Generator | None) -> Tensor:
        noise = self.family.noise((samples, *q.mean.shape), generator, q.mean.device)
        z: Tensor = q.mean + noise * q.scale
        return z

    def _exact_kl(self, h: Tensor, q: Normal | Laplace) -> Tensor:
        if isinstance(q, Laplace):
            kl: Tensor = kl_divergence(q, LaplacePrior.unit).sum(1)
            return kl
        mean, log_variance = mean_and_log_variance(h)
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)

    def _log_ratio(self, q: Normal | Laplace, z: Tensor) -> Tensor:
        """Log q(z | x) - log p(z) of z: (K, B, D) -> (K, B)."""
        log_q: Tensor = q.log_prob(z).sum(2)  # type: ignore[no-untyped-call]
        return log_q - self.log_prior(z.flatten(0, 1)).view(z.shape[:2])


def mean_and_log_variance(h: Tensor) -> tuple[Tensor, Tensor]:
    """The two halves of h: (B, 2D) -> (B, D) twice, in float32, because bf16 is too coarse for variances."""
    mean, log_variance = h.float().chunk(2, dim=1)
    return mean, log_variance
