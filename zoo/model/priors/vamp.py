"""VampPrior: the mean of the encoder's posteriors of learned pseudo-inputs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.errors import ZooError
from zoo.model.checks import check_count
from zoo.model.priors import draw_gaussians, log_gaussians
from zoo.types import BindsEncoder, Shape, StartsFromData


class VampPrior(nn.Module, BindsEncoder, StartsFromData):
    """p(z) = 1/C sum_c q(z | u_c), with learned images u_c in [0, 1] encoded by the model's own encoder.

    J. Tomczak, M. Welling, "VAE with a VampPrior", 2018, arXiv:1705.07120, eq. 9. The pseudo-inputs start as training
    images, at equal distances in the set.

    Limitations: each q(z | u_c) is a Gaussian with the encoder's mean and std, also where bottleneck.family=laplace.

    Args:
        width: D, dimensions of z; not used, because the encoder determines it.
        components: C, number of pseudo-inputs.

    Raises:
        ZooError: fewer than one component; used before `bind_encoder`.
    """

    def __init__(self, width: int, components: int = 100) -> None:
        super().__init__()
        self.components = check_count(components, "prior.components")
        self._encoder: tuple[nn.Module, ...] = ()  # not a submodule: its weights belong to the model

    def bind_encoder(self, encoder: nn.Module, shape: Shape) -> None:
        """Use this encoder, and create pseudo-inputs for images of `shape`."""
        self._encoder = (encoder,)
        self.pseudo_inputs = nn.Parameter(torch.rand(self.components, *shape))

    @torch.no_grad()
    def start_from_data(self, images: Tensor) -> None:
        """Set the pseudo-inputs to training images: (N, C, H, W)."""
        index = torch.arange(self.components) * len(images) // self.components
        self.pseudo_inputs.copy_(images[index])

    def posteriors(self) -> tuple[Tensor, Tensor]:
        """Mean and log variance of each q(z | u_c): (C, D) twice."""
        if not self._encoder:
            raise ZooError("prior=vamp: pseudo-inputs need an encoder; build the model by zoo.model.autoencoder.build")
        mean, log_variance = self._encoder[0](self.pseudo_inputs.clamp(0, 1)).float().chunk(2, dim=1)
        return mean, log_variance

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        return log_gaussians(z, *self.posteriors()).logsumexp(1) - math.log(self.components)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        mean, log_variance = self.posteriors()
        c = torch.randint(self.components, (n,), generator=generator, device=generator.device)
        return draw_gaussians(mean[c], log_variance[c], generator)
