"""Candidates for some data: the held-out part, PCA's errors at all widths, and the methods and widths to compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zoo.api import Model, fit
from zoo.errors import ZooError
from zoo.fitting.closed_form import linear_layers, write_axes
from zoo.model.io import build_model
from zoo.samples import Form, Kind, as_tensor, feature_names, form_of

LEAST, FEW = 10, 50  # samples without which there is no advice, and below which only PCA is fitted
EVERY = 5  # one sample in so many is held out
SAMPLES, FITTED = 20_000, 20_000_000  # that models are fitted on, at most, and their values
JUDGES, JUDGED = 1_000, 4_000_000  # held-out samples that judge, at most, and their values
WIDEST, POINTS = 128, 16  # of PCA's curve, and the widths up to which every one is measured
SMALL, MEDIUM = 256, 1_024  # values of a sample up to which networks are small, and probabilistic PCA is fast
LARGE, HUGE = 4_096, 25_000  # beyond which convolutions come first, and dense networks are left out
INNER = 0.1  # of the samples given to a fit: kept back by it to choose its best epoch

# the order is that in which they are left out, from the end, where time is short
METHODS = {
    "image": ("deep_ae", "vae", "conv_ae", "denoising_ae", "conv_vae", "topk", "vq_vae"),
    "vector": ("deep_ae", "vae", "denoising_ae", "topk"),
    "counts": ("vae", "deep_ae"),
}
CLOSED = {"image": ("pca", "ppca"), "vector": ("pca", "ppca", "factor_analysis"), "counts": ("pca",)}


@dataclass(frozen=True)
class Candidate:
    """A method at a width, with the arguments of `zoo.fit`.

    Attributes:
        variant: the method.
        width: units of the code.
        kind: of the samples, for this method.
        settings: those of `zoo.fit`.
        closed: whether its fit is a closed form (or EM), which has no epochs to choose.
    """

    variant: str
    width: int
    kind: Kind
    settings: dict[str, Any] = field(default_factory=dict)
    closed: bool = False

    @property
    def name(self) -> str:
        """For tables and messages."""
        return f"{self.variant}, width {self.width}"


@dataclass(frozen=True)
class Held:
    """Samples divided in those that models are fitted on and those that judge them.

    Attributes:
        form: of a sample, without a scaling.
        train: (N, *shape), in random order.
        validation: (M, *shape).
        train_labels: (N,) numbers of classes; None without labels.
        validation_labels: (M,) numbers of classes; None without labels.
        total: number of samples.
        classes: number of classes.
    """

    form: Form
    train: NDArray[Any]
    validation: NDArray[Any]
    train_labels: NDArray[np.int64] | None
    validation_labels: NDArray[np.int64] | None
    total: int
    classes: int = 0

    @property
    def size(self) -> int:
        """Values of a sample."""
        return math.prod(self.form.shape)

    @property
    def labelled(self) -> bool:
        """Whether there are labels to predict, of two classes or more."""
        first = self.train_labels
        return first is not None and len(np.unique(first[: len(first) // 2])) > 1

    @property
    def few(self) -> bool:
        """Whether there are too few samples to compare methods."""
        return self.total < FEW


def held_out(x: ArrayLike, labels: ArrayLike | None, kind: Kind | None, seed: int) -> Held:
    """Hold out every fifth sample of each class.

    Raises:
        ZooError: samples or labels that cannot be used, or fewer than 10 samples.
    """
    form, values = form_of(x, kind, feature_names(x)), as_tensor(x).numpy()
    n, size = len(values), math.prod(form.shape)
    if n < LEAST:
        raise ZooError(f"{n} samples: advice needs at least {LEAST}, and {FEW} to compare methods")
    order, numbers = np.random.default_rng(seed).permutation(n), None
    if labels is not None:
        given = np.asarray(labels)
        if given.shape != (n,):
            raise ZooError(f"labels of shape {given.shape} for {n} samples: give one per sample")
        known, numbers = np.unique(given, return_inverse=True)
        if 2 * len(known) > n:
            raise ZooError(f"{len(known)} different labels of {n} samples: labels are classes, not numbers to predict")
        numbers = None if len(known) < 2 else numbers.astype(np.int64)
    ranked = order if numbers is None else order[np.argsort(numbers[order], kind="stable")]
    validation = ranked[EVERY // 2 :: EVERY]
    train = order[~np.isin(order, validation)][: min(SAMPLES, max(1_000, FITTED // size))]
    validation = np.sort(np.random.default_rng(seed).permutation(validation)[: min(JUDGES, max(200, JUDGED // size))])
    for part in (train, validation):
        form.inward(values[part])
    if numbers is None:
        return Held(form, values[train], values[validation], None, None, n)
    return Held(form, values[train], values[validation], numbers[train], numbers[validation], n, int(numbers.max()) + 1)


@dataclass(frozen=True)
class PcaCurve:
    """PCA's error on held-out samples at many widths, from one decomposition.

    Attributes:
        model: PCA at the largest width.
        widths: from 0, the mean sample, to the largest.
        errors: mean error at each.
    """

    model: Model
    widths: list[int]
    errors: list[float]

    @property
    def gains(self) -> NDArray[np.float64]:
        """Distance of the curve, scaled to the unit square, below its chord at each width."""
        w, e = np.array(self.widths, float), np.array(self.errors)
        return np.asarray((e[0] - e) / max(e[0] - e[-1], 1e-12) - w / w[-1])

    @property
    def knee(self) -> int:
        """The width at which the curve lies farthest below its chord; at least 1.

        V. Satopaa, J. Albrecht, D. Irwin, B. Raghavan, "Finding a kneedle in a haystack", 2011.
        """
        return self.widths[max(1, int(self.gains.argmax()))]

    @property
    def bent(self) -> bool:
        """Whether there is a knee: without one, values are nearly independent of one another."""
        return len(self.widths) > 2 and float(self.gains.max()) > 0.1

    def at(self, width: int) -> float:
        """The error at the largest measured width that is not larger."""
        return self.errors[max(i for i, w in enumerate(self.widths) if w <= width)]

    def explained(self, width: int) -> float:
        """Fraction of the mean sample's error that the components remove."""
        return 1 - self.at(width) / max(self.errors[0], 1e-12)


def curve_widths(held: Held) -> list[int]:
    """0, 1, 2, ..., 16, then in steps of a fifth to the largest that PCA can have, at most 128."""
    given = len(held.train)
    largest = min(given - round(INNER * given), held.size, WIDEST)
    found = [*range(min(POINTS, largest) + 1)]
    while found[-1] < largest:
        found.append(min(largest, math.ceil(found[-1] * 1.2)))
    return found


def widths(held: Held, curve: PcaCurve) -> list[int]:
    """The knee of PCA's curve first; a half, a quarter and the double of it, as powers of two up to half of D or N."""
    knee, limit = curve.knee, min(held.size // 2, len(held.train) // 2, curve.widths[-1])
    powers = [2**k for k in range(8)]
    below = [p for p in powers if p <= knee / 1.5][-2:]
    above = [min(p, limit) for p in powers if p >= 1.5 * knee][:1]
    return [knee, *reversed(below), *(w for w in above if w > knee)]


def candidates(held: Held, found: Sequence[int]) -> list[Candidate]:
    """Closed forms at all widths, then the others, each width with all methods in turn."""
    kind, own = held.form.kind, network_settings(held)
    of_pca: Kind = "vector" if kind == "counts" else kind
    fast = [Candidate(v, w, of_pca, {}, True) for w in found for v in CLOSED[kind] if fits(v, w, held)]
    methods = sorted(METHODS[kind], key=lambda v: held.size > LARGE and not v.startswith("conv"))
    if held.few:
        return [c for c in fast if c.variant == "pca"]
    return [*fast, *(Candidate(v, w, kind, own) for w in found for v in methods if fits(v, w, held))]


def network_settings(held: Held) -> dict[str, Any]:
    """Settings of gradient fits that suit the size of a sample and its kind."""
    small = {"hidden": [256, 128, 64]} if held.size <= SMALL and held.form.kind == "image" else {}
    return small | ({"likelihood": "multinomial"} if held.form.kind == "counts" else {})


def fits(variant: str, width: int, held: Held) -> bool:
    """Whether a method suits the samples: convolutions need sides of 8 pixels, dense layers samples that are small."""
    if variant.startswith("conv"):
        return min(held.form.inner_shape[1:]) >= 8
    if variant in ("factor_analysis", "ppca"):
        return width < min(held.size, len(held.train) // 2) and held.size <= (SMALL if variant != "ppca" else MEDIUM)
    return variant == "pca" or held.size <= HUGE


def cut(model: Model, width: int) -> Model:
    """PCA with the first components of a wider one."""
    config = model.config | {"bottleneck": model.config["bottleneck"] | {"width": width}}
    module = build_model(config, model.form.inner_shape, model.seed, (), model.form.kind).eval()
    encoder, decoder = linear_layers(module)
    wide, back = linear_layers(model.module)
    write_axes(encoder, decoder, wide.weight[:width], back.bias)
    return replace(model, module=module, config=config, codes=model.codes[:, :width].clone())


def fitted(candidate: Candidate, x: NDArray[Any], epochs: int | None, batch_size: int, seed: int) -> Model:
    """A candidate, fitted to samples."""
    return fit(
        candidate.variant,
        x,
        width=candidate.width,
        epochs=None if candidate.closed else epochs,
        batch_size=None if candidate.closed else batch_size,
        seed=seed,
        kind=candidate.kind,
        validation_fraction=INNER,
        settings=candidate.settings,
        progress=False,
    )
