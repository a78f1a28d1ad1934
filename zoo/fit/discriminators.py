"""Discriminators: what an adversarial fit lets a model play against; each satisfies `Discriminator`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.autoencoder import Autoencoder
from zoo.errors import ZooError
from zoo.networks.conv import conv
from zoo.networks.mlp import layers
from zoo.types import Shape, Step


class Discriminator(Protocol):
    """A module that tells what a model makes from what it should make."""

    def penalties(self, model: Autoencoder, x: Tensor, step: Step, generator: torch.Generator) -> dict[str, Tensor]:
        """What the model minimises beside its objective: scalars, weighted, in nats per image."""
        ...

    def loss(self, model: Autoencoder, x: Tensor, step: Step, generator: torch.Generator) -> Tensor:
        """What the discriminator minimises, a scalar that does not depend on the model's weights."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """Its weights."""
        ...


class PriorDiscriminator(nn.Module):
    """Tells codes from draws of N(0, I), so that the codes of all images together learn to be such.

        loss = softplus(-D(p)) + softplus(D(z)),  adversarial = weight softplus(-D(z)),  p ~ N(0, I)

    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow, B. Frey, "Adversarial autoencoders", 2015, arXiv:1511.05644.

    Args:
        model: whose codes are judged.
        shape: (C, H, W) of the images, not used here.
        weight: nats per nat of the discriminator.
        hidden: units of its layers.
    """

    def __init__(self, model: Autoencoder, shape: Shape, weight: float, hidden: Sequence[int] = (128, 128)) -> None:
        super().__init__()
        self.weight = weight
        self.network = of_codes(model, hidden)

    def penalties(self, model: Autoencoder, x: Tensor, step: Step, generator: torch.Generator) -> dict[str, Tensor]:
        """{"adversarial"}: how surely the codes are told from the prior."""
        return {"adversarial": self.weight * F.softplus(-self.network(step.code.z)).mean()}

    def loss(self, model: Autoencoder, x: Tensor, step: Step, generator: torch.Generator) -> Tensor:
        """Binary cross-entropy of the prior's draws as true and of codes as false."""
        z = step.code.z.detach()
        prior = torch.randn(z.shape, generator=generator, device=z.device)
        return cross_entropy(self.network(prior), self.network(z))


class PermutationDiscriminator(nn.Module):
    """Tells codes from codes whose units were drawn from different images: the density ratio of the total correlation.

        total_correlation = weight E[D(z)] ~ weight KL(q(z) || prod_i q(z_i))
        loss              = softplus(-D(z)) + softplus(D(permuted z))

    H. Kim, A. Mnih, "Disentangling by factorising", 2018, arXiv:1802.05983, eqs. 2 and 3 and algorithms 1 and 2, with
    one batch in place of two.

    Args:
        model: whose codes are judged.
        shape: (C, H, W) of the images, not used here.
        weight: gamma of the paper.
        hidden: units of its layers.
    """

    def __init__(self, model: Autoencoder, shape: Shape, weight: float, hidden: Sequence[int] = (128, 128)) -> None:
        super().__init__()
        self.weight = weight
        self.network = of_codes(model, hidden)

    def penalties(self, model: Autoencoder, x: Tensor, step: Step, generator: torch.Generator) -> dict[str, Tensor]:
        """{"total_correlation"}: the estimate, times its weight."""
        return {"total_correlation": self.weight * self.network(step.code.z).mean()}

    def loss(self, model: Autoencoder, x: Tensor, step: Step, generator: torch.Generator) -> Tensor:
        """Binary cross-entropy of codes as true and of permuted codes as false."""
        z = step.code.z.detach()
        return cross_entropy(self.network(z), self.network(permuted(z, generator)))


class ImageDiscriminator(nn.Module):
    """Tells reconstructions and samples from images, and lends its features to compare images by.

        adversarial = weight (softplus(-D(x_hat)) + softplus(-D(x_p))), felt by the decoder alone
        features    = feature_weight / 2 |f(x) - f(x_hat)|^2, f the last convolution's output
        loss        = softplus(-D(x)) + softplus(D(x_hat)) + softplus(D(x_p)),  x_p = decode(p), p of the prior

    A. Larsen, S. Sønderby, H. Larochelle, O. Winther, "Autoencoding beyond pixels using a learned similarity metric",
    2016, arXiv:1512.09300, algorithm 1. There `features` takes the place of the pixels' likelihood, which here stays
    beside it, so that the best epoch can be chosen as everywhere in the zoo.

    Args:
        model: whose images are judged; its bottleneck has a prior to `sample` from.
        shape: (C, H, W) of the images.
        weight: nats per nat of the discriminator.
        feature_weight: of the squared distance of features.
        filters: of its convolutions.

    Raises:
        ZooError: the bottleneck has no prior.
    """

    def __init__(
        self, model: Autoencoder, shape: Shape, weight: float, feature_weight: float, filters: Sequence[int] = (32, 64)
    ) -> None:
        super().__init__()
        if not hasattr(model.bottleneck, "sample"):
            raise ZooError(
                "the fit judges samples of the prior, but this bottleneck has none; choose bottleneck=diagonal"
            )
        self.weight, self.feature_weight = weight, feature_weight
        network, _ = conv(shape, 1, 1, 1, filters, hidden=())
        assert isinstance(network, nn.Sequential)
        self.features, self.judge = network[:-1], network[-1]

    def penalties(self, model: Autoencoder, x: Tensor, step: Step, generator: torch.Generator) -> dict[str, Tensor]:
        """{"features", "adversarial"}."""
        x_hat = model.likelihood.mean(step.raw)
        distance = (self.features(x) - self.features(x_hat)).square().sum(1).mean()
        z = step.code.z.detach()
        made = model.decode(torch.cat([z, self._prior(model, len(z), generator)]))
        told = F.softplus(-self.judge(self.features(made)))
        # two means in one: as many reconstructions as samples
        return {"features": self.feature_weight / 2 * distance, "adversarial": 2 * self.weight * told.mean()}

    def loss(self, model: Autoencoder, x: Tensor, step: Step, generator: torch.Generator) -> Tensor:
        """Binary cross-entropy of images as true, and of reconstructions and samples as false."""
        x_hat = model.likelihood.mean(step.raw.detach())
        with torch.no_grad():
            samples = model.decode(self._prior(model, len(x_hat), generator))
        real, fake = (self.judge(self.features(images)) for images in (x, torch.cat([x_hat, samples])))
        return F.softplus(-real).mean() + 2 * F.softplus(fake).mean()

    def _prior(self, model: Autoencoder, n: int, generator: torch.Generator) -> Tensor:
        z: Tensor = model.bottleneck.sample(n, generator)  # type: ignore[attr-defined]
        return z


def of_codes(model: Autoencoder, hidden: Sequence[int]) -> nn.Module:
    """A dense network from the model's codes: (B, D) -> (B, 1), the logit of being true."""
    return nn.Sequential(*layers([model.bottleneck.out_features, *hidden, 1], nn.GELU))


def cross_entropy(true: Tensor, false: Tensor) -> Tensor:
    """Binary cross-entropy of logits of what is true and of what is false, each averaged: a scalar, in nats."""
    return F.softplus(-true).mean() + F.softplus(false).mean()


def permuted(z: Tensor, generator: torch.Generator) -> Tensor:
    """Codes z: (B, D) with each unit's values shuffled over the batch, each in an order of its own."""
    order = torch.rand(z.shape, generator=generator, device=z.device).argsort(0)
    return z.gather(0, order)
