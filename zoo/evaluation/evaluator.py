"""The one evaluator: which metrics are due, and their values for a fitted model."""

from __future__ import annotations

import base64
import logging
import math
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

import zoo.evaluation.metrics  # noqa: F401 (registers every metric)
from zoo.arithmetic import arithmetic
from zoo.errors import ZooError, nearest
from zoo.evaluation.chosen_densities import ChosenDensities
from zoo.evaluation.measures.word_judgements import digest_of
from zoo.evaluation.references import CLASSES
from zoo.evaluation.registry import METRICS, Curve, Direction, Metric, NotApplicable, Outcome
from zoo.evaluation.subject import Subject
from zoo.memory import release_freed_memory
from zoo.model.autoencoder import Autoencoder
from zoo.model.io import weights_digest

if TYPE_CHECKING:
    from zoo.data.images import Images
    from zoo.data.splits import Splits

Progress = Callable[[Metric, int, int], None]
Densities = Mapping[str, Mapping[str, Any]]
LOG = logging.getLogger(__name__)
RESAMPLES, PAIRED = 1000, 100  # of the interval, and of those that a record keeps
CHUNKS = 20  # of the resamples, which are stored as bytes and converted chunk by chunk
WORST = 0.01
LIGHT = {"reconstruction", "cost", "throughput"}  # groups without SciPy and scikit-learn
OUTSIDE, SEEDS, JUDGEMENTS = "outside", "seeds", "judgements"  # settings of a metric, see `evaluate`


def in_groups(groups: Iterable[str]) -> list[str]:
    """Names of the metrics of some groups, group by group.

    Raises:
        ZooError: a group does not exist.
    """
    known = dict.fromkeys(metric.group for metric in METRICS.values())
    found: dict[str, None] = {}
    for group in groups:
        if group not in known:
            raise ZooError(f"evaluation.groups=[{group}]: no such group{nearest(str(group), known)}")
        found |= dict.fromkeys(name for name, metric in METRICS.items() if metric.group == group)
    return list(found)


def due(
    entries: Mapping[str, Mapping[str, Any]],
    groups: Iterable[str],
    densities: Densities | None = None,
    trust: tuple[str, ...] = (),
    outside: Collection[str] = (),
    siblings: Mapping[int, Path] = MappingProxyType({}),
    judgements: Path | None = None,
) -> list[str]:
    """Names of the metrics of some groups that are not measured yet.

    Args:
        entries: what a record holds, as `evaluate` returned it.
        groups: names of groups of metrics.
        densities: as for `evaluate`.
        trust: as for `evaluate`.
        outside: names of the data sets whose images are to be outliers.
        siblings: as for `evaluate`.
        judgements: as for `evaluate`.

    Returns:
        Those that `entries` lacks, has in an older version or as failed, or has of densities with other settings, of
        outliers from other data sets, of other siblings, or of other judgements.

    Raises:
        ZooError: a group, a density or a setting of it does not exist, or judgements cannot be read.
    """
    given = ChosenDensities(densities, trust), outside, siblings, digest_of(judgements)
    return [name for name in in_groups(groups) if is_due(METRICS[name], entries.get(name), *given)]


def is_due(
    metric: Metric,
    entry: Mapping[str, Any] | None,
    densities: ChosenDensities,
    outside: Collection[str] = (),
    siblings: Mapping[int, Path] = MappingProxyType({}),
    judgements: str | None = None,
) -> bool:
    """Whether a metric has to be measured, given the entry of a record.

    If no data set of outliers is named, a value for any data set is kept, and so for judgements. A value that depends
    on siblings is kept when one of them is gone; it is due when there is a new sibling, or when a sibling was fitted
    again.
    """
    if entry is None or entry.get("failed") or entry.get("version", 0) < metric.version:
        return True
    kept = {SEEDS: {}} | entry.get("settings", {})
    if not outside:
        kept.pop(OUTSIDE, None)
    if judgements is None:
        kept.pop(JUDGEMENTS, None)
    needed = {SEEDS: {}} | settings_of(metric, densities, outside, siblings, judgements)
    known, found = kept.pop(SEEDS), needed.pop(SEEDS)
    return bool(kept != needed or found.items() - known.items())


def settings_of(
    metric: Metric,
    densities: ChosenDensities,
    outside: Collection[str],
    siblings: Mapping[int, Path],
    judgements: str | None,
) -> dict[str, Any]:
    """What a metric depends on besides the model and its data: see "settings" of `evaluate`."""
    names = {OUTSIDE: sorted(outside)} if outside and rests_on_outside(metric) else {}
    own = judgements is not None and not Subject.RESTS_ON_JUDGEMENTS.isdisjoint(metric.needs)
    judged = {JUDGEMENTS: judgements} if own else {}
    return density_settings(metric, densities) | names | seeds_of(metric, siblings) | judged


def rests_on_outside(metric: Metric) -> bool:
    """Whether a metric compares with outliers from another data set."""
    return not Subject.RESTS_ON_OUTSIDE.isdisjoint(metric.needs)


def density_settings(metric: Metric, densities: ChosenDensities) -> dict[str, Any]:
    """How the densities that a metric depends on differ from the option files; empty if they do not."""
    return densities.settings({kind for name in metric.needs for kind in Subject.RESTS_ON.get(name, ())})


def seeds_of(metric: Metric, siblings: Mapping[int, Path]) -> dict[str, dict[str, str]]:
    """The siblings that a metric depends on: {"seeds": {seed: digest of the model's file}}; empty if there are none."""
    if not siblings or Subject.RESTS_ON_SEEDS.isdisjoint(metric.needs):
        return {}
    digests = {seed: weights_digest(path)[:10] for seed, path in siblings.items()}
    return {SEEDS: {str(seed): digest for seed, digest in digests.items()}}


def evaluate(
    model: Autoencoder,
    data: Splits,
    metrics: Sequence[str],
    fit: Mapping[str, Any],
    progress: Progress | None = None,
    cache: Path | None = None,
    densities: Densities | None = None,
    trust: tuple[str, ...] = (),
    outside: Mapping[str, Images] = MappingProxyType({}),
    siblings: Mapping[int, Path] = MappingProxyType({}),
    judgements: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Measure metrics of a fitted model on the test images.

    Deterministic: evaluation mode, deterministic codes, no corruption, fixed seeds; the model's mode is restored. If
    there are more than 65,536 test images, or they take more than 128 MiB as float32, evenly spaced ones that fit are
    used.

    Args:
        model: the fitted model.
        data: the splits that it was fitted on.
        metrics: names of metrics; those of groups are `in_groups(groups)`.
        fit: what the fit reported: at least "seconds" and "epochs".
        progress: called before each metric with the metric, how many are done, and how many there are.
        cache: folder for what depends on the data set alone and takes long (the feature network's weights); None
            computes it once per process.
        densities: {name: {"option": ..., and settings}}, the densities of codes; None for all options as their files
            have them.
        trust: packages from elsewhere whose densities may be used, and whose parts siblings may have.
        outside: {name: test images of another data set}, as outliers.
        siblings: {seed: file} of saved models that differ from this one only in the seed, for metrics of stability;
            they are loaded only if such a metric is among `metrics`.
        judgements: folder with your own files of judgements of words; None for those of gensim.

    Returns:
        {name: {"group", "unit", "direction", "definition", "version", "measured", "value", "n", "per_class"?,
        "interval"?, "resampled"?, "worst"?, "curve"?, "settings"?, "reason"?, "failed"?}}, ready for JSON. "n" is the
        number of images (or other items) behind the value, null where there are none. "per_class" is {class: mean},
        "interval" a bootstrap 95 % interval over test images, and of a comparison of sets, also over draws, "resampled"
        the value in its first 100 resamples (float32, base64), which are the same for every model, so that models are
        compared in pairs, "worst" the mean of the worst 1 % of images, "curve" a table of named columns. "settings"
        holds what differs from the option files in the densities that the metric uses, the names of the other data sets
        of its outliers, as "seeds" the siblings that it uses, with digests of their files, and as "judgements" the
        digest of your own files. A metric that does not apply has value null and a "reason"; one that raised an error
        also has "failed" true. "measured" marks wall-clock times and the like, which differ from run to run.

    Raises:
        ZooError: a metric, a density or a setting of it does not exist, images of `outside` have another shape, or
            judgements cannot be read.
    """
    check_shapes(outside, data)
    chosen = ChosenDensities(densities, trust)
    given = chosen, outside, siblings, digest_of(judgements)
    todo = {each: settings_of(each, *given) for each in named(metrics)}
    entries: dict[str, dict[str, Any]] = {}
    threads = torch.get_num_threads()
    heavy = not {metric.group for metric in todo} <= LIGHT
    with deterministic(model), arithmetic("auto", threads), libraries_limited(threads, heavy), torch.no_grad():
        subject = Subject(model, data.bounded(), fit, cache, chosen, outside, siblings, judgements)
        last = {need: metric for metric in todo for need in metric.needs}
        for done, (metric, settings) in enumerate(todo.items()):
            if progress is not None:
                progress(metric, done, len(todo))
            if subject.is_large:
                release_freed_memory()
            entries[metric.name] = {
                "group": metric.group,
                "unit": metric.unit,
                "direction": metric.direction,
                "definition": metric.definition,
                "version": metric.version,
                "measured": metric.measured,
                **measure(metric, subject),
                **({"settings": settings} if settings else {}),
            }
            subject.release(need for need in metric.needs if last[need] is metric)
    return entries


def check_shapes(outside: Mapping[str, Images], data: Splits) -> None:
    """ZooError unless images of other data sets have the shape of the data's own."""
    for name, images in outside.items():
        if images.shape != (own := data.test.shape):
            theirs, ours = ("x".join(map(str, shape)) for shape in (images.shape, own))
            raise ZooError(
                f"evaluation.outliers={name}: its samples are {theirs}, and those of {data.name} {ours}; choose a data "
                "set of the same shape, or null"
            )


def named(metrics: Sequence[str]) -> list[Metric]:
    """Registered metrics by their names.

    Raises:
        ZooError: a metric does not exist.
    """
    for name in metrics:
        if name not in METRICS:
            raise ZooError(f"metric {name}: no such metric{nearest(str(name), METRICS)}")
    return [METRICS[name] for name in metrics]


@contextmanager
def deterministic(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; on exit, every module's mode and the CPU's random state are restored."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def libraries_limited(threads: int, heavy: bool) -> Iterator[None]:
    """Limit NumPy, SciPy and scikit-learn to as many threads inside as torch has.

    With one thread for each core, the last bits would differ from those of a study, and most of the many small fits of
    probes and clusters would take longer than with one thread.

    Args:
        threads: of torch.
        heavy: SciPy and scikit-learn will be used; they are loaded first, as what is loaded later is not limited.
    """
    if heavy:
        import sklearn.linear_model  # noqa: F401 (takes a second)

    with threadpool_limits(threads):
        yield


def measure(metric: Metric, subject: Subject) -> dict[str, Any]:
    """Apply one metric: "value", "n", and what else its kind of outcome has (see `evaluate`)."""
    if (kind := subject.data.kind) not in metric.kinds:
        return {"value": None, "n": None, "reason": f"it has no meaning for samples of kind {kind}"}
    try:
        with quiet():
            known = {name: getattr(subject, name) for name in sorted(metric.needs, key=is_of_codes)}
            arguments = [known[name] for name in metric.needs]
            found = summary(metric.function(*arguments), metric.direction, subject)
    except NotApplicable as reason:
        return {"value": None, "n": None, "reason": str(reason)}
    except Exception as error:
        LOG.debug("metric %s failed", metric.name, exc_info=True)
        message = " ".join(f"{type(error).__name__}: {error}".split())
        return {"value": None, "n": None, "failed": True, "reason": message}
    counted = [len(argument) for argument in arguments if isinstance(argument, Tensor)]
    found = {"n": counted[-1] if counted else None} | found
    if not finite(found):
        return {"value": None, "n": found["n"], "reason": why_not_finite(subject)}
    return found


def is_of_codes(need: str) -> bool:
    """Whether what a metric needs are codes: they come last, as they take long, and labels may be lacking."""
    return need.endswith("_codes")


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings about what a record says anyway: divisions by zero, and classes of one sample."""
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater than")  # scikit-learn's
        yield


def why_not_finite(subject: Subject) -> str:
    """Why a value is not finite, in one sentence."""
    if not subject.model.reconstruct(subject.batch).isfinite().all():
        return "the model's outputs are not finite"
    return "for these samples the value is not finite: its formula divides by zero or overflows"


def summary(outcome: Outcome, direction: Direction, subject: Subject) -> dict[str, Any]:
    """The value of an outcome, and what else its kind has (see `evaluate`)."""
    if isinstance(outcome, Curve):
        optional = {"n": outcome.n, "reason": outcome.reason, "curve": outcome.table}
        found: dict[str, Any] = {"value": outcome.value} | {key: value for key, value in optional.items() if value}
        if outcome.value is not None and outcome.influence is not None:
            moved = (resampled_means(influence, seed) for seed, influence in enumerate(outcome.influence))
            found |= varied(sum(moved, torch.tensor(outcome.value, dtype=torch.float64)), direction)
        return found
    if not isinstance(outcome, Tensor):
        return {"value": outcome}
    values, labels = outcome.double().cpu(), subject.data.test.labels[: len(outcome)]
    found = {"value": values.mean().item(), "n": len(values)} | varied(resampled_means(values), direction)
    if outcome.dtype != torch.bool and direction != "none":
        worst = values.topk(math.ceil(WORST * len(values)), largest=direction == "lower").values
        found["worst"] = worst.mean().item()
    if 0 < len(subject.data.classes) <= CLASSES:
        of_class = [values[labels == label] for label in range(len(subject.data.classes))]
        found["per_class"] = {
            name: each.mean().item() for name, each in zip(subject.data.classes, of_class, strict=True) if len(each)
        }
    return found


def varied(resampled: Tensor, direction: Direction) -> dict[str, Any]:
    """How a value varies over 1,000 resamples: (1000,); those that pair models are kept if a direction is better."""
    found: dict[str, Any] = {"interval": resampled.quantile(resampled.new_tensor([0.025, 0.975])).tolist()}
    if direction != "none":
        found["resampled"] = base64.b64encode(resampled[:PAIRED].float().numpy().tobytes()).decode()
    return found


def resampled_means(values: Tensor, seed: int = 0) -> Tensor:
    """The means of 1,000 bootstrap resamples of `values`: (N,) -> (1000,), the same resamples for every N values.

    B. Efron, "Bootstrap methods: another look at the jackknife", 1979.
    """
    sums = [drawn.to(values) @ values for drawn in resamples(len(values), seed).chunk(CHUNKS)]
    return torch.cat(sums) / len(values)


@lru_cache(maxsize=2)  # those of test images, and of draws, are the same for every model on a data set
def resamples(n: int, seed: int) -> Tensor:
    """How often each of n values is drawn, in each of 1,000 resamples: (1000, n) uint8."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.empty(RESAMPLES, n, dtype=torch.uint8)
    for drawn in counts:
        drawn.copy_(torch.randint(n, (n,), generator=generator).bincount(minlength=n))
    return counts


def finite(value: Any) -> bool:
    """Whether every number in nested dictionaries and lists is finite."""
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)
