"""Discriminators of adversarial fits; each is a `Discriminator`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.checks import check_counts, check_finite
from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.model.networks.conv import conv
from zoo.model.networks.mlp import layers
from zoo.objective.terms.mmd import draws_from_prior
from zoo.types import HasPrior, Shape, Step


class Discriminator(nn.Module, ABC):
    """A classifier of what the model produces (false) and what it should produce (true).

    All randomness is drawn from `step.generator`.
    """

    @abstractmethod
    def penalties(self, model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
        """Terms that the model minimises in addition to its objective: weighted scalars, in nats per image."""

    @abstractmethod
    def loss(self, model: Autoencoder, x: Tensor, step: Step) -> Tensor:
        """The discriminator's loss, a scalar without gradient for the model's weights."""


class PriorDiscriminator(Discriminator):
    """Classifies codes and draws from the prior, to make the distribution of all codes the prior.

        loss = softplus(-D(p)) + softplus(D(z)),  adversarial = weight softplus(-D(z)),  p from the prior

    The prior is the bottleneck's own, or N(0, I) where it has none. It is not fitted to the codes: it gets no gradient.

    A. Makhzani, J. Shlens, N. Jaitly, I. Goodfellow, B. Frey, "Adversarial autoencoders", 2015, arXiv:1511.05644.

    Args:
        model: the model.
        shape: (C, H, W) of the images; not used.
        weight: weight of the penalty.
        hidden: units of the hidden layers.

    Raises:
        ZooError: a number out of range.
    """

    def __init__(self, model: Autoencoder, shape: Shape, weight: float, hidden: Sequence[int] = (128, 128)) -> None:
        super().__init__()
        self.weight = check_finite(weight, "fit.discriminator.weight", least=0)
        self.network = of_codes(model, hidden)

    def penalties(self, model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
        """{"adversarial"}: the weighted cross-entropy of classifying codes as true."""
        return {"adversarial": self.weight * F.softplus(-self.network(step.code.z)).mean()}

    def loss(self, model: Autoencoder, x: Tensor, step: Step) -> Tensor:
        """Binary cross-entropy with draws from the prior as true and codes as false."""
        z = step.code.z.detach()
        return cross_entropy(self.network(draws_from_prior(model, z, step.generator)), self.network(z))


class PermutationDiscriminator(Discriminator):
    """Classifies codes and codes with permuted units, whose density ratio estimates the total correlation.

        total_correlation = weight E[D(z)] ~ weight KL(q(z) || prod_i q(z_i))
        loss              = softplus(-D(z)) + softplus(D(permuted z))

    H. Kim, A. Mnih, "Disentangling by factorising", 2018, arXiv:1802.05983, eqs. 2 and 3 and algorithms 1 and 2, with
    one batch instead of two.

    Args:
        model: the model.
        shape: (C, H, W) of the images; not used.
        weight: gamma of the paper.
        hidden: units of the hidden layers.

    Raises:
        ZooError: a number out of range.
    """

    def __init__(self, model: Autoencoder, shape: Shape, weight: float, hidden: Sequence[int] = (128, 128)) -> None:
        super().__init__()
        self.weight = check_finite(weight, "fit.discriminator.weight", least=0)
        self.network = of_codes(model, hidden)

    def penalties(self, model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
        """{"total_correlation"}: the estimate times its weight."""
        return {"total_correlation": self.weight * self.network(step.code.z).mean()}

    def loss(self, model: Autoencoder, x: Tensor, step: Step) -> Tensor:
        """Binary cross-entropy with codes as true and permuted codes as false."""
        z = step.code.z.detach()
        return cross_entropy(self.network(z), self.network(permuted(z, step.generator)))


class ImageDiscriminator(Discriminator):
    """Classifies images, and reconstructions and samples; its features define a distance between images.

        adversarial = weight (softplus(-D(x_hat)) + softplus(-D(x_p))), with gradients for the decoder only
        features    = feature_weight / 2 |f(x) - f(x_hat)|^2, f the output of the last convolution
        loss        = softplus(-D(x)) + softplus(D(x_hat)) + softplus(D(x_p)),  x_p = decode(p), p from the prior

    The prior gets no gradient: it is not fitted to deceive the discriminator.

    A. Larsen, S. Sønderby, H. Larochelle, O. Winther, "Autoencoding beyond pixels using a learned similarity metric",
    2016, arXiv:1512.09300, algorithm 1.

    Where this differs from the paper: `features` is added to the likelihood of pixels and does not replace it.

    Args:
        model: the model; its bottleneck is a `HasPrior`.
        shape: (C, H, W) of the images.
        weight: weight of the adversarial penalty.
        feature_weight: weight of the squared distance of features.
        filters: channels of the convolutions.

    Raises:
        ZooError: the bottleneck has no prior, or a number is out of range; when called, several samples per image.
    """

    def __init__(
        self, model: Autoencoder, shape: Shape, weight: float, feature_weight: float, filters: Sequence[int] = (32, 64)
    ) -> None:
        super().__init__()
        if not isinstance(model.bottleneck, HasPrior):
            raise ZooError(
                "fit=adversarial_image needs samples from a prior, which this bottleneck lacks; choose "
                "bottleneck=gaussian_posterior"
            )
        self.weight = check_finite(weight, "fit.discriminator.weight", least=0)
        self.feature_weight = check_finite(feature_weight, "fit.discriminator.feature_weight", least=0)
        check_counts(filters, "fit.discriminator.filters")
        network, _ = conv(shape, 1, 1, 1, filters, hidden=())
        assert isinstance(network, nn.Sequential)
        self.features, self.head = network[:-1], network[-1]

    def penalties(self, model: Autoencoder, x: Tensor, step: Step) -> dict[str, Tensor]:
        """{"features", "adversarial"}, weighted.

        Raises:
            ZooError: the bottleneck draws several samples per image.
        """
        if len(step.raw) != len(x):
            raise ZooError(
                f"fit=adversarial_image compares an image with one reconstruction, and this bottleneck gives "
                f"{len(step.raw) // len(x)}; set bottleneck.samples=1, or choose another fit"
            )
        x_hat = model.likelihood.mean(step.raw)
        distance = (self.features(x) - self.features(x_hat)).square().sum(1).mean()
        z = step.code.z.detach()
        fake = model.decode(torch.cat([z, draws_from_prior(model, z, step.generator)]))
        cross_entropies = F.softplus(-self.head(self.features(fake)))
        # twice the mean is the sum of two means: there are as many reconstructions as samples
        adversarial = 2 * self.weight * cross_entropies.mean()
        return {"features": self.feature_weight / 2 * distance, "adversarial": adversarial}

    def loss(self, model: Autoencoder, x: Tensor, step: Step) -> Tensor:
        """Binary cross-entropy with images as true, and reconstructions and samples as false."""
        x_hat = model.likelihood.mean(step.raw.detach())
        with torch.no_grad():
            samples = model.decode(draws_from_prior(model, step.code.z, step.generator))
        real, fake = (self.head(self.features(images)) for images in (x, torch.cat([x_hat, samples])))
        return F.softplus(-real).mean() + 2 * F.softplus(fake).mean()


def of_codes(model: Autoencoder, hidden: Sequence[int]) -> nn.Module:
    """A dense network on the model's codes: (B, D) -> (B, 1), the logit of "true"."""
    hidden = check_counts(hidden, "fit.discriminator.hidden")
    return nn.Sequential(*layers([model.bottleneck.out_features, *hidden, 1], nn.GELU))


def cross_entropy(true: Tensor, false: Tensor) -> Tensor:
    """Binary cross-entropy of the logits of true and false examples, each averaged: a scalar, in nats."""
    return F.softplus(-true).mean() + F.softplus(false).mean()


def permuted(z: Tensor, generator: torch.Generator | None) -> Tensor:
    """Codes z: (B, D) with the values of each unit shuffled over the batch, independently of other units."""
    order = torch.rand(z.shape, generator=generator, device=z.device).argsort(0)
    return z.gather(0, order)
