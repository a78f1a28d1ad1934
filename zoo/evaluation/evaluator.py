"""The one evaluator: every variant answers the same questions, asked by the same code."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import zoo.evaluation.metrics  # noqa: F401 (registers every metric)
from zoo.autoencoder import Autoencoder
from zoo.errors import ZooError
from zoo.evaluation.metrics.registry import METRICS, Curve, Direction, Metric, NotApplicable, Outcome
from zoo.evaluation.references import ImageSplits
from zoo.evaluation.subject import Subject

Progress = Callable[[Metric, int, int], None]
RESAMPLES = 1000
PARTS = 20  # of the resamples, which are bytes, that become numbers one after another
WORST = 0.01


def evaluate(
    model: Autoencoder,
    data: ImageSplits,
    groups: Sequence[str],
    fit: Mapping[str, Any],
    progress: Progress | None = None,
    cache: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Put the questions of `groups` to a fitted model, on the test images.

    Deterministic: evaluation mode, point codes, no corruption, fixed seeds. The model keeps its own mode.

    Args:
        model: the fitted model.
        data: the splits it was fitted on.
        groups: names of groups of metrics.
        fit: what the fit reported: at least "seconds" and "epochs".
        progress: called before each metric with the metric, how many are done, and how many there are.
        cache: folder for what depends on the data set alone and takes long (the feature network's weights); None
            computes it once per process.

    Returns:
        {name: {"value", "unit", "direction", "group", "definition", "measured", "n", "per_class"?,
        "interval"?, "worst"?, "curve"?, "reason"?}}, ready for JSON. "n" is the number of images (or
        other items) that the value rests on, null where it rests on none. "per_class" is {class: mean},
        "interval" a bootstrap 95 % interval over test images, "worst" the mean of the worst 1 % of
        them, "curve" a table of named columns. A metric that does not apply has value null and a
        "reason". "measured" tells of wall-clock figures, which differ from run to run.

    Raises:
        ZooError: a group is unknown.
    """
    known = list(dict.fromkeys(m.group for m in METRICS.values()))
    if unknown := [group for group in groups if group not in known]:
        raise ZooError(f"evaluation groups {unknown} do not exist; the groups are {known}")
    metrics = [m for m in METRICS.values() if m.group in groups]
    records: dict[str, dict[str, Any]] = {}
    with deterministic(model), torch.no_grad():
        subject = Subject(model, data, fit, cache)
        for done, metric in enumerate(metrics):
            if progress is not None:
                progress(metric, done, len(metrics))
            records[metric.name] = {
                "group": metric.group,
                "unit": metric.unit,
                "direction": metric.direction,
                "definition": metric.definition,
                "measured": metric.measured,
                **measure(metric, subject),
            }
    return records


@contextmanager
def deterministic(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; on leaving, every module's mode and the CPU's random state are as before."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def measure(metric: Metric, subject: Subject) -> dict[str, Any]:
    """Apply one metric to `subject`: "value", "n", and what the kind of its outcome allows besides."""
    try:
        arguments = [getattr(subject, name) for name in metric.needs]
        result = summary(metric.function(*arguments), metric.direction, subject)
    except NotApplicable as reason:
        return {"value": None, "n": None, "reason": str(reason)}
    shown = [len(a) for a in arguments if isinstance(a, Tensor)]
    result = {"n": shown[-1] if shown else None} | result
    if not finite(result):
        return {
            "value": None,
            "n": result["n"],
            "reason": "the model's outputs gave a value that is not finite",
        }
    return result


def summary(outcome: Outcome, direction: Direction, subject: Subject) -> dict[str, Any]:
    """What a record says of an outcome: its value, and what else its kind allows (see `evaluate`)."""
    if isinstance(outcome, Curve):
        told = {"n": outcome.n, "reason": outcome.reason, "curve": outcome.table}
        return {"value": outcome.value} | {key: value for key, value in told.items() if value}
    if not isinstance(outcome, Tensor):
        return {"value": outcome}
    values, labels = outcome.double().cpu(), subject.data.test.labels[: len(outcome)]
    result: dict[str, Any] = {"value": values.mean().item(), "n": len(values), "interval": interval(values)}
    if outcome.dtype != torch.bool and direction != "none":
        worst = values.topk(math.ceil(WORST * len(values)), largest=direction == "lower").values
        result["worst"] = worst.mean().item()
    if subject.data.classes:
        result["per_class"] = {
            name: values[labels == label].mean().item()
            for label, name in enumerate(subject.data.classes)
            if (labels == label).any()
        }
    return result


def interval(values: Tensor, seed: int = 0) -> list[float]:
    """Percentile bootstrap 95 % interval of the mean of `values`: (N,), from 1,000 resamples.

    B. Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    sums = [drawn.to(values) @ values for drawn in resamples(len(values), seed).chunk(PARTS)]
    return (torch.cat(sums) / len(values)).quantile(values.new_tensor([0.025, 0.975])).tolist()


@lru_cache(maxsize=1)  # every metric of every run on a data set asks for the same ones
def resamples(n: int, seed: int) -> Tensor:
    """How often each of n values is drawn, in each of 1,000 resamples: (1000, n), in bytes."""
    generator = torch.Generator().manual_seed(seed)
    draws = (torch.randint(n, (n,), generator=generator) for _ in range(RESAMPLES))
    return torch.stack([draw.bincount(minlength=n).to(torch.uint8) for draw in draws])


def finite(value: Any) -> bool:
    """Whether every number in nested dictionaries and lists is finite."""
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)
