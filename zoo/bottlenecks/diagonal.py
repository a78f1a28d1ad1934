"""The variational bottleneck: a distribution per image, with what it tells about the image counted in nats."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Laplace, Normal, kl_divergence

from zoo.bottlenecks import check_width
from zoo.errors import ZooError
from zoo.priors import Prior
from zoo.types import Code


class Diagonal(nn.Module):
    """q(z | x) = N(mean, diag(std^2)), z = mean + std * eps; prior p(z) = N(0, I), or another.

    kl = KL(q || p) = 1/2 sum_i (mean_i^2 + std_i^2 - 1 - log std_i^2), in closed form, where p is N(0, I); for other
    priors, and with `closed_form` false, the estimate log q(z | x) - log p(z) at each sample.
    D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", 2013, arXiv:1312.6114, appendix B.

    Args:
        width: D, dimensions of z.
        prior: makes p(z) from the width; None for the standard one of the family.
        samples: K, draws of z per image.
        closed_form: whether the kl is exact where it can be; the importance-weighted objective wants it per sample.
        family: "normal", or "laplace": q(z | x) and p(z) are Laplace distributions, and std their scale.

    Raises:
        ZooError: no such family, or `samples` below 1.
    """

    def __init__(
        self,
        width: int,
        prior: Callable[[int], Prior] | None = None,
        samples: int = 1,
        closed_form: bool = True,
        family: str = "normal",
    ) -> None:
        super().__init__()
        self.out_features = check_width(width)
        self.in_features = 2 * width
        self.samples = check_width(samples, "bottleneck.samples")
        if family not in FAMILIES:
            raise ZooError(f"bottleneck.family={family}: choose one of {', '.join(FAMILIES)}")
        self.family = family
        self.prior = None if prior is None else prior(width)
        self.closed_form = closed_form and prior is None

    def forward(self, h: Tensor, generator: torch.Generator | None = None) -> Code:
        """h: (B, 2D), the mean and log std^2 side by side -> z: (K*B, D), samples; point: (B, D), the mean."""
        q = self.posterior(h)
        z = self._sample_of(q, self.samples, generator)
        kl = self._exact_kl(h, q) if self.closed_form else self._log_ratio(q, z).flatten()
        return Code(z.flatten(0, 1), q.mean, {"kl": kl}, q)

    def point(self, h: Tensor) -> Tensor:
        """The mean alone of encoder outputs h: (B, 2D) -> (B, D)."""
        return mean_and_log_variance(h)[0]

    def posterior(self, h: Tensor) -> Normal | Laplace:
        """q(z | x) of encoder outputs h: (B, 2D), as B x D independent distributions."""
        mean, log_variance = mean_and_log_variance(h)
        q: Normal | Laplace = FAMILIES[self.family](mean, (0.5 * log_variance).exp(), validate_args=False)
        return q

    def log_prior(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        if self.prior is not None:
            log_p: Tensor = self.prior.log_prob(z)
            return log_p
        if self.family == "laplace":
            return -(z.abs() + math.log(2)).sum(1)
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)

    def draw(self, h: Tensor, samples: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """K samples z of q(z | x): (K*B, D), sample by sample, and log q(z | x) - log p(z) of each: (K*B,)."""
        q = self.posterior(h)
        z = self._sample_of(q, samples, generator)
        return z.flatten(0, 1), self._log_ratio(q, z).flatten()

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws from the prior: (n, D)."""
        if self.prior is not None:
            return self.prior.sample(n, generator)
        return self._noise((n, self.out_features), generator, generator.device)

    def _sample_of(self, q: Normal | Laplace, samples: int, generator: torch.Generator | None) -> Tensor:
        noise = self._noise((samples, *q.mean.shape), generator, q.mean.device)
        z: Tensor = q.mean + noise * q.scale
        return z

    def _noise(self, shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device) -> Tensor:
        if self.family == "laplace":  # the difference of two exponential variables
            both = torch.empty(2, *shape, device=device).exponential_(generator=generator)
            return both[0] - both[1]
        return torch.randn(shape, generator=generator, device=device)

    def _exact_kl(self, h: Tensor, q: Normal | Laplace) -> Tensor:
        if self.family == "laplace":
            kl: Tensor = kl_divergence(q, Laplace(0.0, 1.0)).sum(1)
            return kl
        mean, log_variance = mean_and_log_variance(h)
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)

    def _log_ratio(self, q: Normal | Laplace, z: Tensor) -> Tensor:
        """Log q(z | x) - log p(z) of z: (K, B, D) -> (K, B)."""
        log_q: Tensor = q.log_prob(z).sum(2)  # type: ignore[no-untyped-call]
        return log_q - self.log_prior(z.flatten(0, 1)).view(z.shape[:2])


FAMILIES: dict[str, type[Normal] | type[Laplace]] = {"normal": Normal, "laplace": Laplace}


def mean_and_log_variance(h: Tensor) -> tuple[Tensor, Tensor]:
    """The two halves of h: (B, 2D) -> (B, D) twice, in float32: variances want more than bf16's 8 bits."""
    mean, log_variance = h.float().chunk(2, dim=1)
    return mean, log_variance
