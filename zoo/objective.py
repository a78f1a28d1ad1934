"""What a gradient fit minimises: one scale, nats per image, for every variant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from zoo.autoencoder import Autoencoder
from zoo.errors import ZooError
from zoo.types import Step

Term = Callable[[Autoencoder, Tensor, Step], dict[str, Tensor]]


class Objective:
    """total = nll + sum_k weight_k(progress) * penalty_k, summed over pixels, averaged over the batch.

    Penalties come from the bottleneck (`Code.penalties`) and from `terms`; one without a weight counts once. With K
    samples per image, all of them are averaged.

    Args:
        weights: {penalty: weight}.
        terms: penalties that need more than the code: functions of (model, x, step) that return {name: (B,) in nats}.
        visible_weight: weight, in the nll, of the pixels that a corruption left untouched; hidden ones weigh 1.
        warmup: share of the fit, in [0, 1], over which all penalties grow linearly from nothing to their weight.

    Raises:
        ZooError: a weight is negative; on the first call, a weight names a penalty that the model does not have.
    """

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        terms: Sequence[Term] = (),
        visible_weight: float = 1.0,
        warmup: float = 0.0,
    ) -> None:
        self.weights, self.terms = dict(weights or {}), tuple(terms)
        self.visible_weight, self.warmup = visible_weight, warmup
        for name, weight in {**self.weights, "visible_weight": visible_weight, "warmup": warmup}.items():
            if not weight >= 0:
                raise ZooError(f"objective: {name}={weight}: a weight is 0 or more")

    def __call__(self, model: Autoencoder, x: Tensor, step: Step, progress: float = 1.0) -> dict[str, Tensor]:
        """Return the scalars "total", "nll" and every penalty (unweighted), in nats per image.

        Args:
            model: what made the step.
            x: (B, C, H, W), the clean images.
            step: the forward pass on them.
            progress: share of the fit that is behind, in [0, 1].
        """
        penalties = {name: value.mean() for name, value in step.code.penalties.items()}
        for term in self.terms:
            penalties |= {name: value.mean() for name, value in term(model, x, step).items()}
        if unknown := self.weights.keys() - penalties.keys():
            raise ZooError(
                f"objective.weights names {sorted(unknown)}, but this model's penalties are {sorted(penalties)}"
            )
        samples = len(step.raw) // len(x)
        target = x if samples == 1 else x.repeat(samples, 1, 1, 1)
        nll = model.likelihood.nll(step.raw, target, self._pixel_weight(step, samples)).mean()
        ramp = min(1.0, progress / self.warmup) if self.warmup else 1.0
        total = nll
        for name, value in penalties.items():
            total = total + ramp * self.weights.get(name, 1.0) * value
        return {"total": total, "nll": nll, **penalties}

    def _pixel_weight(self, step: Step, samples: int) -> Tensor | None:
        if step.hidden is None or self.visible_weight == 1:
            return None
        return (step.hidden + self.visible_weight * (1 - step.hidden)).repeat(samples, 1, 1, 1)
