"""Scores of single held-out samples, by which models are compared in pairs."""

from __future__ import annotations

import itertools
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.advice.candidates import Candidate, Held, PcaCurve, curve_widths, fitted
from zoo.api import Model
from zoo.evaluation.measures.detection import auroc
from zoo.evaluation.measures.linear_probe import linear_probe
from zoo.evaluation.measures.rate_distortion import unit_costs
from zoo.samples import Form
from zoo.types import Discrete, HasPrior

Scores = NDArray[np.float64]  # (M, C): the mean over M samples of C columns is what a task's value is computed from

TOLERANCE = 1.05  # of PCA's error at its knee: what counts as reaching it
STEPS = [2.0 ** (k / 2) for k in range(4, -17, -1)]  # of a grid, in standard deviations of the widest unit
CODED, PROBED, SCORED = 4_000, 5_000, 256  # training codes of histograms and of probes; held-out samples with outliers
NEIGHBOURS = 3
TIMED = 1_000  # samples that are encoded to measure the time
MIXED = 64  # units of a code up to which a mixture is fitted to codes without a prior


@dataclass
class Judge:
    """Measures models on the held-out samples.

    Attributes:
        held: the samples.
        seed: of samples that are drawn, and of outliers that are made.
        curve: PCA's errors.
        seconds: duration of its decomposition.
        target: the error that compression has to keep.
    """

    held: Held
    seed: int
    curve: PcaCurve = field(init=False)
    seconds: float = field(init=False)
    target: float = field(init=False)

    def __post_init__(self) -> None:
        grid = curve_widths(self.held)
        kind = "vector" if self.held.form.kind == "counts" else self.held.form.kind
        start = time.perf_counter()
        model = fitted(Candidate("pca", grid[-1], kind, closed=True), self.held.train, None, 0, self.seed)
        self.seconds = time.perf_counter() - start
        self._scaling = model.form
        codes, errors = model.encode(self.held.validation), []
        for width in grid:
            cut = np.where(np.arange(grid[-1]) < width, codes, 0)
            errors.append(float(self.error(model.decode(cut)).mean()))
        self.curve = PcaCurve(model, grid, errors)
        self.target = TOLERANCE * self.curve.at(self.curve.knee)
        self._outliers = outliers(self.held.validation[:SCORED], self.held.form, self.seed)
        largest = next((w for w in grid[1:] if self.curve.explained(w) >= 0.95), grid[-1])
        self._axes = min(largest, 32)

    def error(self, decoded: NDArray[Any]) -> NDArray[np.float64]:
        """Errors of decoded held-out samples: (M,).

        The sum of squared differences, of images scaled to [0, 1] and of standardised features; of counts, the squared
        Hellinger distance of their proportions, sum (sqrt p - sqrt q)^2.
        """
        if self.held.form.kind == "counts":
            a, b = (np.clip(part.astype(float), 0, None) for part in (self.held.validation, decoded))
            p, q = (part / np.maximum(part.sum(1, keepdims=True), 1e-12) for part in (a, b))
            return np.asarray(np.square(np.sqrt(p) - np.sqrt(q)).sum(1))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="no value is above 1")  # a dark reconstruction is one
            x, y = (self._scaling.inward(part).flatten(1).double() for part in (self.held.validation, decoded))
        return (x - y).square().sum(1).numpy()

    def measure(self, model: Model, width: int) -> tuple[dict[str, Scores], dict[str, Any]]:
        """Scores by task, and further numbers of a model."""
        start = time.perf_counter()
        timed = len(model.encode(self.held.train[:TIMED]))
        encoding_ms = 1e6 * (time.perf_counter() - start) / timed
        codes = model.encode(self.held.validation)
        error = self.error(model.decode(codes))
        more: dict[str, Any] = {"error": float(error.mean()), "encode_ms_per_1000": encoding_ms}
        found: dict[str, Scores] = {}
        exact = model.width == width  # an overcomplete code, or one of symbols, has other units than its width says
        if exact:
            found["reconstruction"] = error[:, None]
        if (coded := bits(self, model, codes)) is not None:
            found["compression"], more["step"] = coded[0][:, None], coded[1]
        if self.held.labelled:
            found["probing"], numbers = probed(self.held, model, codes)
            more |= numbers
        if exact and not self.held.few:
            prior = isinstance(model.module.bottleneck, HasPrior)
            more["density"] = None if prior else "mixture" if width <= MIXED else "gaussian"
            found["sampling"] = self.likeness(model.sample(len(codes), self.seed, more["density"]))
        found["outliers"] = placements(
            *(model.score_samples(x) for x in (self.held.validation[:SCORED], self._outliers))
        )
        return {task: scores for task, scores in found.items() if np.isfinite(scores).all()}, more

    def likeness(self, drawn: NDArray[Any]) -> Scores:
        """Whether each drawn sample lies among held-out ones, and whether each of these lies among drawn ones: (M, 2).

        A sample lies among others if it is no farther from one of them than that one's third nearest neighbour among
        them, on the principal axes that explain 95 % (at most 32). T. Kynkäänniemi et al., "Improved precision and
        recall metric for assessing generative models", 2019, arXiv:1904.06991.
        """
        real, fake = (
            torch.from_numpy(self.curve.model.encode(x)[:, : self._axes]) for x in (self.held.validation, drawn)
        )
        return np.stack([among(fake, real), among(real, fake)], 1)


def among(points: torch.Tensor, others: torch.Tensor) -> NDArray[np.float64]:
    """1 for each of `points` within the radius of one of `others`, the distance of its third nearest neighbour."""
    k = min(NEIGHBOURS, len(others) - 1)
    radius = torch.cdist(others, others).kthvalue(k + 1, dim=1).values  # the nearest is the point itself
    return (torch.cdist(points, others) <= radius).any(1).double().numpy()


def outliers(x: NDArray[Any], form: Form, seed: int) -> NDArray[Any]:
    """Samples whose parts are those of different samples: the quarters of an image, the features of a vector."""
    rng, found = np.random.default_rng(seed), x.copy()
    if form.kind != "image":
        for feature in range(x.shape[1]):
            found[:, feature] = x[rng.permutation(len(x)), feature]
        return found
    axis = 1 if form.channels == "last" else x.ndim - 2
    halves = [[slice(None, side // 2), slice(side // 2, None)] for side in x.shape[axis : axis + 2]]
    for shift, (rows, columns) in enumerate(itertools.product(*halves)):
        place = (*[slice(None)] * axis, rows, columns)
        found[place] = np.roll(x[place], shift, 0)
    return found


def placements(usual: NDArray[np.float64], unusual: NDArray[np.float64]) -> Scores:
    """The area under the ROC curve, as the mean over pairs of a sample and an outlier: (M, 1).

    It is the probability that an outlier scores lower than a sample. The value of a pair is the area plus the
    influences of its sample and of its outlier, so that resampling pairs gives the area its right standard error.
    """
    area = auroc(-torch.from_numpy(usual), -torch.from_numpy(unusual))
    return np.asarray(area.value + area.real + area.fake)[:, None]


def bits(judge: Judge, model: Model, codes: NDArray[np.float32]) -> tuple[NDArray[np.float64], float | None] | None:
    """Bits per held-out sample, (M,), of codes on the coarsest grid that keeps the target error, and the grid's step.

    The grid has the same step for all units. Each unit is coded under its histogram over training codes. Entries of a
    discrete code are coded as they are, without a step. None if the error is larger on every grid.
    """
    train = model.encode(judge.held.train[:CODED])
    bottleneck = model.module.bottleneck
    if isinstance(bottleneck, Discrete):
        if judge.error(model.decode(codes)).mean() > judge.target:
            return None
        with torch.no_grad():
            entries = [bottleneck.indices(torch.from_numpy(part)).numpy() for part in (train, codes)]
        return code_lengths_of(entries[0], entries[1]), None
    scale = float(train.std(0).max())
    low, high = 0, len(STEPS) - 1  # the error falls with the step: bisection finds the first step that is fine enough
    if (
        not scale
        or judge.error(model.decode((codes / (scale * STEPS[-1])).round() * scale * STEPS[-1])).mean() > judge.target
    ):
        return None
    while low < high:
        step = scale * STEPS[middle := (low + high) // 2]
        fine = judge.error(model.decode((codes / step).round() * step)).mean() <= judge.target
        low, high = (low, middle) if fine else (middle + 1, high)
    step = scale * STEPS[low]
    return code_lengths_of(*((part / step).round().astype(np.int64) for part in (train, codes))), step


def code_lengths_of(train: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bits of each code (M, D) of integers under the histograms of training codes (N, D): (M,), units added up."""
    units = zip(torch.from_numpy(train).T, torch.from_numpy(codes).T, strict=True)
    return np.asarray(sum(unit_costs(seen, unit) for seen, unit in units))


def probed(held: Held, model: Model | None, codes: NDArray[np.float32]) -> tuple[Scores, dict[str, float]]:
    """Whether logistic regression on codes names each sample's class: (M, 1); and two further numbers.

    These are the accuracy of the 5 nearest training codes, and the adjusted Rand index of k-means with as many clusters
    as there are classes. Without a model, the samples themselves are the codes.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import adjusted_rand_score
    from sklearn.neighbors import KNeighborsClassifier

    assert held.train_labels is not None
    assert held.validation_labels is not None
    given = held.train[:PROBED]
    train = given.reshape(len(given), -1).astype(np.float32) if model is None else model.encode(given)
    labels, cut = held.train_labels[: len(train)], max(1, len(train) * 4 // 5)
    rows, known = torch.from_numpy(train), torch.from_numpy(labels)
    predicted = linear_probe(rows[:cut], known[:cut], rows[cut:], known[cut:], torch.from_numpy(codes))
    right = predicted.numpy() == held.validation_labels
    near = KNeighborsClassifier(min(5, len(train))).fit(train, labels).score(codes, held.validation_labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of codes that are nearly all alike
        clusters = KMeans(held.classes, n_init=3, random_state=0).fit(train).predict(codes)
    rand = adjusted_rand_score(held.validation_labels, clusters)
    return right[:, None].astype(float), {"knn_accuracy": float(near), "adjusted_rand_index": float(rand)}
