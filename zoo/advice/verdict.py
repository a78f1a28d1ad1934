"""Chooses the recommended method for each task, and states how certain that is."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.advice.candidates import FEW, Held, PcaCurve
from zoo.advice.scores import Judge
from zoo.api import Model, written
from zoo.evaluation.evaluator import resamples

if TYPE_CHECKING:
    from zoo.advice.halving import Trial

Means = NDArray[np.float64]
SIMPLEST = ("pca", "ppca", "factor_analysis")  # in this order, before methods by their number of parameters
ROUGH = 100  # held-out samples below which numbers of new samples are rough
RELATIVE, ABSOLUTE = 2.0, 1.0  # differences below which two methods count as alike: percent, and percentage points


def mean_of(means: Means) -> Means:
    """The one column."""
    return means[..., 0]


def harmonic(means: Means) -> Means:
    """The harmonic mean of two columns."""
    a, b = means[..., 0], means[..., 1]
    return 2 * a * b / np.maximum(a + b, 1e-12)


@dataclass(frozen=True)
class Task:
    """What a model may be used for.

    Attributes:
        aim: for headings.
        unit: of its value.
        lower: whether lower values are better; these are compared in percent, fractions in percentage points.
        value: of the means of scores (..., C): (...,).
        use: the third line of Python that uses a model for it.
    """

    aim: str
    unit: str
    lower: bool
    value: Callable[[Means], Means] = mean_of
    use: str = ""


TASKS = {
    "reconstruction": Task("Reconstruction", "squared error", True, use="back = model.decode(codes)"),
    "compression": Task(
        "Compression",
        "bits per sample at the target error",
        True,
        use="back = model.decode((codes / {step}).round() * {step})",
    ),
    "probing": Task(
        "Predicting labels from codes",
        "accuracy of logistic regression",
        False,
        use="from sklearn.linear_model import LogisticRegression\n"
        "probe = LogisticRegression(max_iter=1000).fit(codes, labels)",
    ),
    "sampling": Task(
        "New samples", "harmonic mean of precision and recall", False, harmonic, "new = model.sample(16{density})"
    ),
    "outliers": Task(
        "Outliers",
        "area under the ROC curve",
        False,
        use="scores = model.score_samples(x)  # the lowest are the most unusual",
    ),
}


@dataclass(frozen=True)
class Comparison:
    """The gain of one trial over another, in percent or percentage points, with a 95 % interval."""

    other: str
    gain: float
    low: float
    high: float

    @property
    def separated(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, eq=False)
class Answer:
    """What to use for a task.

    Attributes:
        task: key of `TASKS`.
        variant: the method to use.
        width: of its code.
        value: of the task, on held-out samples.
        unit: of the value.
        sure: a sentence that compares it with PCA and the second best.
        clear: whether the method is separated from PCA, or from the best other method if it is PCA.
        short_fits: whether it is a closed form, and networks that it was compared with were cut short by the time.
        cost: a sentence.
        command: fits it by the command line.
        python: fits it and uses it.
        model: fitted to the training part of the samples.
        note: a further sentence, or an empty text.
    """

    task: str
    variant: str
    width: int
    value: float
    unit: str
    sure: str
    clear: bool
    cost: str
    command: str
    python: str
    model: Model = field(repr=False)
    short_fits: bool = False
    note: str = ""

    @property
    def short(self) -> str:
        """How certain it is, in a few words."""
        if self.short_fits:
            return "open: networks were cut short by the time"
        if not self.clear:
            return "nothing is clearly better than PCA"
        if self.variant == "pca":
            return "clearly better than the others"
        return "clearly better than PCA" + (" at this width" if self.task == "reconstruction" else "")


@dataclass(frozen=True, eq=False)
class Advice:
    """A recommendation for some samples; its text is the summary.

    Attributes:
        answers: by task.
        table: every trial, as plain values.
        summary: of everything, in sentences.
        curve: PCA's errors.
        trials: every trial, with its model.
        held: the samples.
        target: the error that compression has to keep.
    """

    answers: dict[str, Answer]
    table: list[dict[str, Any]]
    summary: list[str]
    curve: PcaCurve
    trials: list[Trial] = field(repr=False)
    held: Held = field(repr=False)
    target: float

    def __str__(self) -> str:
        from zoo.advice.markdown import as_text

        return as_text(self)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        told = ("variant", "width", "value", "unit", "sure", "clear", "cost", "note", "command", "python")
        return {
            "summary": self.summary,
            "answers": {task: {key: getattr(answer, key) for key in told} for task, answer in self.answers.items()},
            "pca": {"widths": self.curve.widths, "errors": self.curve.errors, "knee": self.curve.knee},
            "trials": self.table,
        }

    def save(self, folder: str | Path) -> list[Path]:
        """Write README.md, advice.json and pictures to a folder, and return their paths."""
        from zoo.advice.markdown import write_page

        return write_page(self, Path(folder), json.dumps(self.as_json(), indent=1))


def concluded(
    held: Held,
    judge: Judge,
    trials: Sequence[Trial],
    *,
    fitted_on: int,
    full: int,
    left_out: Sequence[str],
    seconds: float,
    minutes: float,
    interrupted: bool,
    data: str,
) -> Advice:
    """The answers that follow from trials; `full` is the number of epochs of a fit that is not cut short."""
    answers = {}
    for task in TASKS:
        found = [t for t in trials if task in t.scores]
        if task == "reconstruction":
            found = narrowest(found, judge)
        if found:
            answers[task] = answered(task, found, judge, held, data, full)
    epochs = max((t.epochs for t in trials), default=0)
    summary = summarised(held, judge, answers, epochs, full, fitted_on, left_out, seconds, minutes, interrupted)
    return Advice(answers, [row(t) for t in trials], summary, judge.curve, list(trials), held, judge.target)


def narrowest(trials: Sequence[Trial], judge: Judge) -> list[Trial]:
    """The trials at the smallest width at which one of them reaches the target; all at the knee if none does."""
    reached = [t.candidate.width for t in trials if t.value("reconstruction") <= judge.target]
    width = min(reached) if reached else judge.curve.knee
    return [t for t in trials if t.candidate.width == width]


def answered(task: str, trials: Sequence[Trial], judge: Judge, held: Held, data: str, full: int) -> Answer:
    """The best of the trials of a task, or the simplest of those that cannot be distinguished from it."""
    sign = 1 if TASKS[task].lower else -1
    ranked = sorted(trials, key=lambda t: (sign * t.value(task), t.candidate.width))
    first = {t.candidate.variant: t for t in reversed(ranked)}  # the best of each method
    best = ranked[0]
    alike = [t for t in first.values() if t is best or not clearly(compared(task, best, t), task)]
    chosen = min(alike, key=lambda t: (place(t), t.parameters))
    pca = first.get("pca")
    others = sorted((t for t in first.values() if t is not chosen), key=lambda t: sign * t.value(task))
    unlike = [t for t in others if t.candidate.variant not in ("pca", "ppca")] or others  # ppca has the axes of pca
    rivals = [*([pca] if pca and pca is not chosen else []), *[t for t in unlike if t is not pca][:1]]
    found = [compared(task, chosen, t) for t in rivals]
    longest = max((t.epochs for t in others), default=0)
    short_fits = not chosen.epochs and 0 < longest < full
    clear = bool(found) and clearly(found[0], task) and not short_fits
    said = sentence(task, chosen, found, best)
    if short_fits:
        said += f"; networks had {longest} of the {full} epochs of a full fit, and may overtake with more minutes"
    return Answer(
        task,
        chosen.candidate.variant,
        chosen.candidate.width,
        chosen.value(task),
        TASKS[task].unit,
        said,
        clear,
        cost(chosen),
        command(chosen, data, held.form.kind == "counts"),
        python(task, chosen),
        chosen.model,
        short_fits,
        note(task, chosen, judge, held),
    )


def place(trial: Trial) -> int:
    """Place of a method in the order of simplicity."""
    variant = trial.candidate.variant
    return SIMPLEST.index(variant) if variant in SIMPLEST else len(SIMPLEST)


def compared(task: str, one: Trial, other: Trial) -> Comparison:
    """The gain of `one` over `other` on the same samples, from 1,000 paired resamples of them."""
    a, b = one.scores[task], other.scores[task]
    counts = resamples(len(a), 0).numpy().astype(np.float64) / len(a)
    means = [np.vstack([scores.mean(0), counts @ scores]) for scores in (a, b)]
    ours, theirs = (TASKS[task].value(m) for m in means)
    relative = TASKS[task].lower
    gains = 100 * (theirs - ours) / np.maximum(theirs, 1e-12) if relative else 100 * (ours - theirs)
    low, high = np.quantile(gains[1:], [0.025, 0.975])
    return Comparison(other.candidate.name, float(gains[0]), float(low), float(high))


def clearly(found: Comparison, task: str) -> bool:
    """Whether the difference is neither due to chance nor too small to matter."""
    return found.separated and abs(found.gain) >= (RELATIVE if TASKS[task].lower else ABSOLUTE)


def sentence(task: str, chosen: Trial, found: Sequence[Comparison], best: Trial) -> str:
    """How certain an answer is."""
    if not found:
        reach = "no other method reaches the target error"
        return reach if task == "compression" else "there was nothing to compare it with"
    unit = "%" if TASKS[task].lower else "points"
    parts = []
    for one in found:
        interval = f"({one.gain:+.1f} {unit}, 95 % interval {one.low:+.1f} to {one.high:+.1f})"
        if not clearly(one, task):
            parts.append(f"not distinguishable from {one.other} at this sample size {interval}")
        else:
            parts.append(f"{'better' if one.gain > 0 else 'worse'} than {one.other} {interval}")
    text = "; ".join(parts)
    return text if chosen is best else f"{text}; it is the simplest of those that are not clearly worse than the best"


def cost(trial: Trial) -> str:
    """Cost of fitting and using a model."""
    fit = f"{trial.epochs} epochs" if trial.epochs else "closed form"
    return (
        f"fitted in {trial.seconds:.1f} s ({fit}); {trial.parameters:,} parameters; "
        f"encodes 1,000 samples in {trial.more['encode_ms_per_1000']:.3g} ms"
    )


def chosen_settings(trial: Trial) -> dict[str, Any]:
    """The settings that differ from the defaults."""
    passes = {"budget.epochs": trial.epochs, "budget.batch_size": trial.batch_size} if trial.epochs else {}
    return {"width": trial.candidate.width, **passes, **trial.candidate.settings}


def command(trial: Trial, data: str, counts: bool = False) -> str:
    """Fits a model like that of the trial."""
    settings = [f"{key}={written(value)}" for key, value in chosen_settings(trial).items()]
    if counts:
        data += f" data.source.counts={'true' if trial.candidate.kind == 'counts' else 'false'}"
    return f"zoo run variant={trial.candidate.variant} {data} {shlex.join(settings)}"


def python(task: str, trial: Trial) -> str:
    """Fits a model like that of the trial, and uses it."""
    given = chosen_settings(trial)
    named = {"width": given.pop("width")}
    named |= {key: given.pop(f"budget.{key}") for key in ("epochs", "batch_size") if f"budget.{key}" in given}
    if trial.candidate.kind == "counts":
        named["kind"] = "counts"
    if given:
        named["settings"] = given
    said = ", ".join(f"{key}={json.dumps(value)}" for key, value in named.items())
    density = trial.more.get("density")
    step = trial.more.get("step")
    use = TASKS[task].use.format(density="" if density is None else f', density="{density}"', step=f"{step or 1:.3g}")
    lines = ["import zoo", f'model = zoo.fit("{trial.candidate.variant}", x, {said})', use]
    if task in ("reconstruction", "compression", "probing"):
        lines.insert(2, "codes = model.encode(x)")
    return "\n".join(lines)


def note(task: str, chosen: Trial, judge: Judge, held: Held) -> str:
    """What the value means."""
    curve, value = judge.curve, chosen.value(task)
    if task == "reconstruction":
        if value > judge.target:
            return "No method reaches the error that PCA leaves at the knee of its curve."
        wanted = next((w for w, e in zip(curve.widths, curve.errors, strict=True) if e <= value), None)
        needs = (
            f"PCA needs width {wanted} for that" if wanted else f"PCA needs more than width {curve.widths[-1]} for that"
        )
        explained = f"It explains {100 * (1 - value / max(curve.errors[0], 1e-12)):.0f} % of the variation"
        return (
            f"{explained}{'; ' + needs if place(chosen) else ''}. It is the narrowest code whose error is at most "
            f"that of PCA at the knee of its curve (width {curve.knee})."
        )
    if task == "compression":
        return (
            f"The codes are rounded as coarsely as an error of {judge.target:.4g} allows, 5 % above that of PCA at the "
            f"knee of its curve; an uncompressed sample has {held.size * held.train.itemsize * 8:,} bits."
        )
    if task == "probing":
        from zoo.advice.scores import probed

        raw, _ = probed(held, None, held.validation.reshape(len(held.validation), -1).astype(np.float32))
        return (
            f"Logistic regression on the samples themselves gives {raw.mean():.3f}, a vote of the 5 nearest codes "
            f"{chosen.more['knn_accuracy']:.3f}. Clusters of the codes (k-means) agree with the classes with an "
            f"adjusted Rand index of {chosen.more['adjusted_rand_index']:.2f} (1: the same, 0: chance)."
        )
    if task == "sampling":
        precision, recall = chosen.scores[task].mean(0)
        few = len(held.validation)
        rough = f" With {few} held-out samples, these numbers are rough." if few < ROUGH else ""
        return (
            f"{100 * precision:.0f} % of new samples lie among held-out ones, and {100 * recall:.0f} % of these lie "
            f"among new samples (Kynkäänniemi et al. 2019, on principal axes).{rough}"
        )
    how = "quarters come" if held.form.kind == "image" else "values come"
    return (
        f"The outliers of this test are artificial: their {how} from different samples. Yours may be of another kind."
    )


def row(trial: Trial) -> dict[str, Any]:
    """A trial as plain values."""
    more = {key: value for key, value in trial.more.items() if key != "error"}
    return {
        "variant": trial.candidate.variant,
        "width": trial.candidate.width,
        "epochs": trial.epochs,
        "fit_seconds": round(trial.seconds, 3),
        "parameters": trial.parameters,
        "error": trial.more["error"],
        **{task: trial.value(task) if task in trial.scores else None for task in TASKS if task != "reconstruction"},
        **more,
    }


def summarised(
    held: Held,
    judge: Judge,
    answers: dict[str, Answer],
    epochs: int,
    full: int,
    fitted_on: int,
    left_out: Sequence[str],
    seconds: float,
    minutes: float,
    interrupted: bool,
) -> list[str]:
    """The whole advice in sentences."""
    what = {"image": "images", "vector": "vectors", "counts": "vectors of counts"}[held.form.kind]
    said = [
        f"{held.total:,} {what} of {held.size:,} values; models were fitted to {fitted_on:,} of them and tested on "
        f"{len(held.validation):,} others, in {seconds:.0f} of {60 * minutes:.0f} seconds."
    ]
    knee = judge.curve.knee
    if judge.curve.bent:
        explained, after = (100 * judge.curve.explained(w) for w in (knee, knee + 1))
        said.append(
            f"PCA explains {explained:.0f} % of the variation with {knee} units, the bend of its curve; a further unit "
            f"explains {max(after - explained, 0):.1f} % more."
        )
    else:
        said.append(
            "PCA's error falls evenly with the width: the values are nearly independent, so a small code loses much."
        )
    if held.few:
        said.append(f"{held.total} samples, fewer than {FEW}, are too few to compare methods: only PCA was fitted.")
    elif not epochs:
        said.append("No network was fitted in this time: give more minutes.")
    elif any(a.short_fits for a in answers.values()):
        aims = ", ".join(TASKS[a.task].aim.lower() for a in answers.values() if a.short_fits)
        said.append(f"What is best for {aims} is open: networks had {epochs} of the {full} epochs of a full fit.")
    elif all(a.variant == "pca" for a in answers.values()):
        said.append("Nothing is clearly better than PCA on these samples: use PCA.")
    elif not any(a.clear for a in answers.values()):
        said.append(
            f"No method is clearly better than PCA: {len(held.validation)} held-out samples are too few to say. "
            "Use PCA, or collect more samples."
        )
    if 0 < epochs < full and not any(a.short_fits for a in answers.values()):
        said.append(f"Networks had {epochs} of the {full} epochs of a full fit: more minutes would help.")
    if left_out:
        some = "; ".join(left_out[:4]) + ("; ..." if len(left_out) > 4 else "")
        some_were = "1 candidate was" if len(left_out) == 1 else f"{len(left_out)} candidates were"
        said.append(f"{some_were} left out ({some}): more minutes would include more.")
    if fitted_on < 0.79 * held.total:
        said.append("Not all samples were used, to keep within the time; more samples would help networks most.")
    if interrupted:
        said.append("It was interrupted, so this is based on the fits that were finished.")
    return said
