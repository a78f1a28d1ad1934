"""Log-likelihoods of images, exact or bounded from below."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import LowRankMultivariateNormal

from zoo.model.autoencoder import Autoencoder
from zoo.types import AlsoInEvaluation, DrawsCodes, Likelihood

IMAGES = 64
SCORING = 16  # samples of the posterior, where the bound is a score of single images
LEAST_STD = 1e-3  # a quarter of a grey level of 256
ROWS = 256  # codes at a time: under a mixture of 500 components in 50 dimensions 26 MB, which glibc keeps


@dataclass(frozen=True)
class Bounds:
    """Bounds on the log-likelihood of N images, each (N,), in nats.

    Attributes:
        reconstruction: E_q[log p(x | z)].
        kl: E_q[log q(z | x) - log p(z)].
        iwae: log of the mean of K importance weights p(x | z) p(z) / q(z | x).
    """

    reconstruction: Tensor
    kl: Tensor
    iwae: Tensor

    @property
    def elbo(self) -> Tensor:
        """E_q[log p(x | z)] - KL(q(z | x) || p(z))."""
        return self.reconstruction - self.kl


def importance_bounds(
    model: Autoencoder,
    bottleneck: DrawsCodes,
    x: Tensor,
    samples: int,
    seed: int,
    likelihood: Likelihood | None = None,
) -> Bounds:
    """Bounds from K samples of each image's posterior; memory does not grow with K.

        log p(x) >= log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x),  z_k ~ q(z | x);  with K = 1, the ELBO

    Y. Burda, R. Grosse, R. Salakhutdinov, "Importance weighted autoencoders", 2015, arXiv:1509.00519, eq. 8. Sums over
    samples run in log space, sample by sample; the ELBO's terms are means over the same samples.

    Args:
        model: the model under evaluation.
        bottleneck: the model's.
        x: (N, C, H, W), on the model's device.
        samples: K.
        seed: determines the samples.
        likelihood: in place of the model's own; None for that.
    """
    parts = []
    likelihood = likelihood or model.likelihood
    generator = torch.Generator(x.device).manual_seed(seed)
    for images in torch.split(x, IMAGES):
        h, n = encoder_output(model, images), len(images)
        log_p, divergence = images.new_zeros(2, n, dtype=torch.float64)
        total = torch.full_like(log_p, -torch.inf)
        at_once = max(1, ROWS // n)
        for start in range(0, samples, at_once):
            k = min(at_once, samples - start)
            z, log_ratio = bottleneck.draw(h, k, generator)
            log_x = -likelihood.nll(model.decoder(z), images).view(k, n)
            log_ratio = log_ratio.view(k, n)
            log_p += log_x.sum(0)
            divergence += log_ratio.sum(0)
            total = torch.logaddexp(total, torch.logsumexp((log_x - log_ratio).double(), 0))
        parts.append(torch.stack([log_p / samples, divergence / samples, total - math.log(samples)]).cpu())
    reconstruction, kl, iwae = torch.cat(parts, 1)
    return Bounds(reconstruction, kl, iwae)


def encoder_output(model: Autoencoder, x: Tensor) -> Tensor:
    """What the encoder makes of samples (B, C, H, W), shown to it as in evaluation, binarised for example."""
    seen = model.corruption.applied(x) if isinstance(model.corruption, AlsoInEvaluation) else x
    h: Tensor = model.encoder(seen)
    return h


def calibrated_std(model: Autoencoder, bottleneck: DrawsCodes, x: Tensor, samples: int, seed: int) -> float:
    """The std of Gaussian pixels that maximises the ELBO of images x: (N, C, H, W), all else as it is.

        std^2 = mean over images, pixels and samples z ~ q(z | x) of (x - mean of p(x | z))^2

    O. Rybkin, K. Daniilidis, S. Levine 2021, arXiv:2006.13202, eq. 5. With a fixed std, the bound would mainly
    measure how well that std was guessed.

    Args:
        model: the model under evaluation.
        bottleneck: the model's.
        x: images that it was not fitted to, on the model's device.
        samples: of each image's posterior.
        seed: determines them.
    """
    _, mse = rate_and_distortion(model, bottleneck, x, x, samples, seed)
    return max(math.sqrt(mse), LEAST_STD)


def rate_and_distortion(
    model: Autoencoder, bottleneck: DrawsCodes, seen: Tensor, x: Tensor, samples: int, seed: int
) -> tuple[float, float]:
    """KL(q(z | x) || p(z)) in nats per image, and E_q of the mean squared error of images decoded from z ~ q(z | x).

    A. Alemi et al., "Fixing a broken ELBO", 2018, arXiv:1711.00464, eq. 4 and 5, the distortion as squared error.

    Args:
        model: the model under evaluation.
        bottleneck: the model's.
        seen: what the encoder receives: (N, C, H, W), on the model's device.
        x: what is reconstructed: (N, C, H, W), on the model's device.
        samples: of each image's posterior.
        seed: determines them.
    """
    generator = torch.Generator(x.device).manual_seed(seed)
    nats, squares = 0.0, 0.0
    for given, images in zip(torch.split(seen, IMAGES), torch.split(x, IMAGES), strict=True):
        z, log_ratio = bottleneck.draw(encoder_output(model, given), samples, generator)
        mean = model.likelihood.mean(model.decoder(z)).view(samples, *images.shape)
        nats += log_ratio.sum(dtype=torch.float64).item()
        squares += (mean - images).square().sum(dtype=torch.float64).item()
    return nats / (samples * len(x)), squares / (samples * x.numel())


def linear_gaussian_log_likelihood(
    train_codes: Tensor, codes: Tensor, train_lost: float, lost: Tensor, pixels: int, added: float = 0.0
) -> Tensor:
    """Log N(x; b, V S V' + s^2 (I - V V')) for images x with codes z = V'(x - b), V orthonormal: (N,), in nats.

    S is the second moment of the training codes, and s^2 their mean squared residual per dimension off the axes: both
    maximise the likelihood. Where V holds the principal axes and b the mean, this is probabilistic PCA: M. Tipping, C.
    Bishop 1999, eq. 4 with eq. 7 and 8.

    Args:
        train_codes: (M, D).
        codes: (N, D).
        train_lost: mean over training images of |x - V z - b|^2.
        lost: (N,), |x - V z - b|^2.
        pixels: values per image, more than D.
        added: variance of the noise that was added to each value of x, and not to the training images.
    """
    z = codes.double()
    moment = train_codes.double().T @ train_codes.double() / len(train_codes)
    factor = torch.linalg.cholesky(moment + added * torch.eye(len(moment), dtype=torch.float64))
    squares: Tensor = torch.linalg.solve_triangular(factor, z.T, upper=False).square().sum(0)
    rest = pixels - z.shape[1]
    noise = train_lost / rest + added
    squares += lost.double() / noise
    log_volume: float = 2 * factor.diagonal().log().sum().item() + rest * math.log(noise)
    return (squares + log_volume + pixels * math.log(2 * math.pi)).mul(-0.5)


def marginal_log_likelihood(x: Tensor, axes: Tensor, origin: Tensor, std: Tensor) -> Tensor:
    """Log N(x; b, V V' + diag(std^2)): p(x | z) = N(V z + b, diag(std^2)) with z ~ N(0, I) integrated out.

    M. Tipping, C. Bishop 1999, eq. 3, for one std; with one std per pixel it is factor analysis.

    Args:
        x: (N, P).
        axes: (D, P), the columns of V.
        origin: (P,), b.
        std: (P,), or a scalar for all pixels.

    Returns:
        (N,), in nats.
    """
    variance = std.double().square().expand(len(origin))
    p = LowRankMultivariateNormal(origin.double(), axes.T.double(), variance)
    log_p: Tensor = p.log_prob(x.double())  # type: ignore[no-untyped-call]
    return log_p
