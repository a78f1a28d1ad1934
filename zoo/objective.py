"""What a gradient fit minimises: one scale, nats per image, for every variant."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from zoo.autoencoder import Autoencoder
from zoo.errors import ZooError
from zoo.types import Step

Term = Callable[[Autoencoder, Tensor, Step], dict[str, Tensor]]


class Objective:
    """total = nll + sum_k weight_k(progress) * penalty_k, summed over pixels, averaged over the batch.

    Penalties come from the bottleneck (`Code.penalties`) and from `terms`; one without a weight counts once. With K
    samples per image, all of them are averaged; or, importance-weighted,

        total = -log 1/K sum_samples exp(-(nll + sum_k weight_k(progress) * penalty_k)),

    a tighter bound where the penalties add up to log q(z | x) - log p(z): Y. Burda, R. Grosse, R. Salakhutdinov,
    "Importance weighted autoencoders", 2015, arXiv:1509.00519, eq. 8.

    Args:
        weights: {penalty: weight}.
        terms: penalties that need more than the code: functions of (model, x, step) that return {name: (B,) in nats}.
        visible_weight: weight, in the nll, of the pixels that a corruption left untouched; hidden ones weigh 1.
        warmup: share of the fit, in [0, 1], over which all penalties grow linearly from nothing to their weight.
        capacities: {penalty: C}, in nats: |mean penalty - C| stands for such a penalty, and C is what grows.
            C. Burgess et al., "Understanding disentangling in beta-VAE", 2018, arXiv:1804.03599, eq. 8.
        importance_weighted: combine the samples of an image as above.

    Raises:
        ZooError: a weight is negative; on the first call, a weight names a penalty that the model does not have, or
            importance weights lack a penalty at each sample.
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
        self.weights, self.terms = dict(weights or {}), tuple(terms)
        self.visible_weight, self.warmup = visible_weight, warmup
        self.capacities, self.importance_weighted = dict(capacities or {}), importance_weighted
        numbers = {**self.weights, **self.capacities, "visible_weight": visible_weight, "warmup": warmup}
        for name, weight in numbers.items():
            if not weight >= 0:
                raise ZooError(f"objective: {name}={weight}: a weight is 0 or more")

    def __call__(self, model: Autoencoder, x: Tensor, step: Step, progress: float | Tensor = 1.0) -> dict[str, Tensor]:
        """Return the scalars "total", "nll" and every penalty (unweighted), in nats per image.

        Args:
            model: what made the step.
            x: (B, C, H, W), the clean images.
            step: the forward pass on them.
            progress: share of the fit that is behind, in [0, 1]; () where it must not be read, as in a recorded step.
        """
        penalties = dict(step.code.penalties)
        for term in self.terms:
            penalties |= term(model, x, step)
        if unknown := (self.weights.keys() | self.capacities.keys()) - penalties.keys():
            raise ZooError(
                f"objective.weights names {sorted(unknown)}, but this model's penalties are {sorted(penalties)}"
            )
        samples = len(step.raw) // len(x)
        nll = model.likelihood.nll(step.raw, x, self._pixel_weight(step))
        ramp = self._ramp(progress)
        means = {name: value.mean() for name, value in penalties.items()}
        if self.importance_weighted:
            total = self._importance_weighted(nll, penalties, ramp, samples)
        else:
            total = nll.mean()
            for name, value in means.items():
                weight = self.weights.get(name, 1.0)
                if name in self.capacities:
                    total = total + weight * (value - ramp * self.capacities[name]).abs()
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
                    f"objective.importance_weighted: the penalty {name} has no value at each of the {samples} samples "
                    "of an image; choose bottleneck=importance, and no terms or capacities"
                )
            nll = nll + ramp * self.weights.get(name, 1.0) * value
        return -((-nll).view(samples, -1).logsumexp(0) - math.log(samples)).mean()

    def _pixel_weight(self, step: Step) -> Tensor | None:
        if step.hidden is None or self.visible_weight == 1:
            return None
        return step.hidden + self.visible_weight * (1 - step.hidden)
