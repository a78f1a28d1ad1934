"""The objective of gradient fits, in nats per image for every variant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from zoo.checks import check_finite
from zoo.errors import ZooError
from zoo.model.autoencoder import Autoencoder
from zoo.types import SparseCode, Step, Term

Loss: TypeAlias = Callable[[Autoencoder, Tensor, Step, "float | Tensor"], dict[str, Tensor]]  # as Objective.__call__


class Objective:
    """total = nll + sum_k weight_k(progress) * penalty_k, summed over pixels, averaged over the batch.

    Penalties come from the bottleneck (`Code.penalties`) and from `terms`; without an entry in `weights`, their weight
    is 1. With K samples per image, all are averaged; of nested sparse codes, the nll of all are summed, as in B.
    Bussmann et al. 2025, arXiv:2503.17547, section 3. With importance weights instead,

        total = -log 1/K sum_samples exp(-(nll + sum_k weight_k(progress) * penalty_k)),

    which is a tighter bound where the penalties add up to log q(z | x) - log p(z): Y. Burda, R. Grosse,
    R. Salakhutdinov, "Importance weighted autoencoders", 2015, arXiv:1509.00519, eq. 8.

    Args:
        weights: {penalty: weight}.
        terms: further penalties: functions of (model, x, step) that return {name: (B,) in nats}.
        visible_weight: weight, in the nll, of pixels that a corruption left unchanged; the others have weight 1.
        warmup: fraction of the fit, in [0, 1], over which all penalty weights grow linearly from 0.
        capacities: {penalty: C}, in nats: the term is max(mean penalty - C, 0), and the warm-up grows C and not the
            weight. C. Burgess et al., "Understanding disentangling in beta-VAE", 2018, arXiv:1804.03599, eq. 8. Where
            this differs from the paper: there, |mean penalty - C|, which also rewards a penalty that carries nothing:
            a code fills a growing C with means that are equal for all images, and the decoder ignores it.
        importance_weighted: combine the samples of an image by importance weights.

    Raises:
        ZooError: a number out of range; when called, a weight of a penalty that the model does not have, or importance
            weights with a penalty that has no value per sample.
    """

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        terms: Sequence[Term] = (),
        visible_weight: float = 1.0,
        warmup: float = 0.0,
        capacities: Mapping[str, float] | None = None,
        importance_weighted: bool = False,
    ) -> None:
        if not isinstance(terms, Sequence) or not all(isinstance(term, Callable) for term in terms):  # type: ignore[arg-type]
            raise ZooError(f"objective: terms={terms}: must be a list of penalties, as in conf/objective/mmd.yaml")
        self.weights, self.terms = dict(weights or {}), tuple(terms)
        self.visible_weight, self.warmup = visible_weight, warmup
        self.capacities, self.importance_weighted = dict(capacities or {}), importance_weighted
        for name, settings in {"weights": self.weights, "capacities": self.capacities}.items():
            for penalty, value in settings.items():
                check_finite(value, f"objective.{name}.{penalty}", least=0)
        check_finite(visible_weight, "objective.visible_weight", least=0)
        if check_finite(warmup, "objective.warmup", least=0) > 1:
            raise ZooError(f"objective.warmup={warmup}: a fraction of the fit, must be from 0 to 1")

    def __call__(self, model: Autoencoder, x: Tensor, step: Step, progress: float | Tensor = 1.0) -> dict[str, Tensor]:
        """Return the scalars "total", "nll" and every penalty (unweighted), in nats per image.

        Args:
            model: the model.
            x: (B, C, H, W), the clean images.
            step: the model's forward pass on x.
            progress: fraction of training completed, in [0, 1]; a scalar tensor in steps that are recorded.
        """
        penalties = dict(step.code.penalties)
        for term in self.terms:
            penalties |= term(model, x, step)
        if unknown := (self.weights.keys() | self.capacities.keys()) - penalties.keys():
            raise ZooError(
                f"objective: weights or capacities of {sorted(unknown)}, but this model's penalties are "
                f"{sorted(penalties)}; remove them or choose another bottleneck"
            )
        samples, pixel_weight = len(step.raw) // len(x), self._pixel_weight(step)
        nll = model.likelihood.nll(step.raw, x, pixel_weight)
        raw = step.raw
        if isinstance(step.code, SparseCode):  # samples are nested codes, the full one first
            nll, raw, samples = nll.view(samples, -1).sum(0), raw[: len(x)], 1
        if model.training:
            model.likelihood.observe(raw, x, pixel_weight)
        ramp = self._ramp(progress)
        means = {name: value.mean() for name, value in penalties.items()}
        if self.importance_weighted:
            total = self._importance_weighted(nll, penalties, ramp, samples)
        else:
            total = nll.mean()
            for name, value in means.items():
                weight = self.weights.get(name, 1.0)
                if name in self.capacities:
                    total = total + weight * (value - ramp * self.capacities[name]).relu()
                else:
                    total = total + ramp * weight * value
        return {"total": total, "nll": nll.mean(), **means}

    def _ramp(self, progress: float | Tensor) -> float | Tensor:
        if not self.warmup:
            return 1.0
        ramp = progress / self.warmup
        return ramp.clamp(max=1.0) if isinstance(ramp, Tensor) else min(1.0, ramp)

    def _importance_weighted(
        self, nll: Tensor, penalties: dict[str, Tensor], ramp: float | Tensor, samples: int
    ) -> Tensor:
        for name, value in penalties.items():
            if len(value) != len(nll) or name in self.capacities:
                raise ZooError(
                    f"objective.importance_weighted: the penalty {name} has no value for each of the {samples} samples "
                    "of an image; choose bottleneck=importance, without terms or capacities"
                )
            nll = nll + ramp * self.weights.get(name, 1.0) * value
        return -((-nll).view(samples, -1).logsumexp(0) - math.log(samples)).mean()

    def _pixel_weight(self, step: Step) -> Tensor | None:
        if step.hidden is None or self.visible_weight == 1:
            return None
        return step.hidden + self.visible_weight * (1 - step.hidden)


def step_on(model: Autoencoder, x: Tensor, generator: torch.Generator | None, images: int | None) -> Step:
    """The model's forward pass on x: (B, C, H, W), with what terms need beside it.

    Args:
        model: the model.
        x: the images.
        generator: source of all randomness.
        images: number of training images.
    """
    step: Step = model(x, generator)
    return replace(step, images=images, generator=generator)
