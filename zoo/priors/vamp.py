"""A prior of made-up images: the encoder's posteriors of learned pseudo-inputs."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from zoo.bottlenecks import check_width
from zoo.errors import ZooError
from zoo.priors import draw_gaussians, log_gaussians
from zoo.types import Shape


class Vamp(nn.Module):
    """p(z) = 1/C sum_c q(z | u_c), u_c learned images in [0, 1] that go through the model's own encoder.

    J. Tomczak, M. Welling, "VAE with a VampPrior", 2018, arXiv:1705.07120, eq. 9. The pseudo-inputs start as training
    images, spread over the set.

    Args:
        width: D, dimensions of z; the encoder's to honour, not used here.
        components: C, number of pseudo-inputs.

    Raises:
        ZooError: used before `attach`.
    """

    def __init__(self, width: int, components: int = 100) -> None:
        super().__init__()
        self.components = check_width(components, "bottleneck.prior.components")
        self._encoder: tuple[nn.Module, ...] = ()  # not a submodule: its weights are the model's

    def attach(self, encoder: nn.Module, shape: Shape) -> None:
        """Take the encoder whose posteriors make the prior, for images of `shape`."""
        self._encoder = (encoder,)
        self.pseudo_inputs = nn.Parameter(torch.rand(self.components, *shape))

    @torch.no_grad()
    def start(self, images: Tensor) -> None:
        """Begin with training images: (N, C, H, W)."""
        index = torch.arange(self.components) * len(images) // self.components
        self.pseudo_inputs.copy_(images[index])

    def components_of(self) -> tuple[Tensor, Tensor]:
        """Mean and log variance of each q(z | u_c): (C, D) twice."""
        if not self._encoder:
            raise ZooError("prior=vamp: its pseudo-inputs need an encoder; build the model by zoo.autoencoder.build")
        mean, log_variance = self._encoder[0](self.pseudo_inputs.clamp(0, 1)).float().chunk(2, dim=1)
        return mean, log_variance

    def log_prob(self, z: Tensor) -> Tensor:
        """Log p(z) of codes: (B, D) -> (B,), in nats."""
        return log_gaussians(z, *self.components_of()).logsumexp(1) - math.log(self.components)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws: (n, D)."""
        mean, log_variance = self.components_of()
        c = torch.randint(self.components, (n,), generator=generator, device=generator.device)
        return draw_gaussians(mean[c], log_variance[c], generator)
