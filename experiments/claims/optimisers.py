"""Optimisers on one bottleneck, each at its own best rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

import zoo
from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_lines
from experiments.claims.lab import Lab
from experiments.claims.models import errors
from zoo.errors import ZooError

NAMES = {  # option of the axis `optimizer` -> how it is called
    "sgd": "SGD",
    "momentum": "momentum",
    "nesterov": "Nesterov",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "muon": "Muon",
}
RATES = {  # where the search begins
    "digits": {"sgd": 8e-3, "momentum": 2e-3, "nesterov": 2e-3, "rmsprop": 1.5e-3, "adam": 1.2e-2, "muon": 2e-2},
    "mnist": {"sgd": 7e-4, "momentum": 1e-4, "nesterov": 1e-4, "rmsprop": 1e-3, "adam": 4e-3, "muon": 2e-2},
}
FACTOR = 3.0  # between rates that are tried
SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"width": 8, "batch_size": 64, "epochs": 10, "settings": {"hidden": [64]}},
    "mnist": {"width": 16, "batch_size": 128, "epochs": 3, "settings": {"hidden": [256, 128]}},
}
IMAGES = 8_000  # of training
PAIRS = (("momentum", "sgd"), ("nesterov", "momentum"), ("rmsprop", "momentum"), ("adam", "rmsprop"), ("muon", "adam"))
CLEAR = 0.98  # ratio of errors, below which a difference is worth naming
Errors = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """A fit with one optimiser, rate and seed.

    Attributes:
        losses: on validation images, one for each epoch; one infinite loss where the fit diverged.
        errors: of test images: (N,); empty where it diverged.
    """

    losses: list[float]
    errors: Errors


def fits(data: str) -> dict[str, list[str]]:
    """None: the rates are chosen in the experiment."""
    return {}


def measure(lab: Lab) -> Found:
    """Rates are compared with one seed, then each optimiser's best rate is used with all seeds."""
    best, searched, fitted = {}, {}, {}
    for key, name in NAMES.items():
        tried = search(lab, key)
        best[name] = min(tried, key=lambda rate, of=tried: min(of[rate].losses))  # type: ignore[misc]
        searched[name] = {rate: min(tried[rate].losses) for rate in sorted(tried)}
        fitted[name] = [tried[best[name]], *(fit(lab, key, best[name], seed) for seed in range(1, lab.seeds))]
    reached = {name: np.array([one.errors for one in each]) for name, each in fitted.items()}
    numbers = {ratio_of(a, b): statistics.ratio(reached[NAMES[a]], reached[NAMES[b]]) for a, b in PAIRS}
    target = np.mean([min(one.losses) for one in fitted[NAMES["sgd"]]])
    for name, each in fitted.items():
        numbers[f"squared error per pixel, {name}"] = statistics.mean(reached[name])
        numbers[f"epochs to what SGD reaches at last, {name}"] = statistics.over_seeds(
            [epochs_to(float(target), one.losses) for one in each], "epochs"
        )
        numbers[f"best rate, {name}"] = Number(best[name])
    curves = {
        name: [statistics.over_seeds(column) for column in np.array([one.losses for one in each]).T]
        for name, each in fitted.items()
    }
    return Found(numbers, {"curves": curves, "searched": searched})


def search(lab: Lab, optimizer: str) -> dict[float, Fitted]:
    """Fits with one seed at rates around the best one, until both neighbours of the best rate are worse.

    The reduced version tries the first rate alone.
    """
    first = RATES[lab.data][optimizer]
    tried = {0: fit(lab, optimizer, first, seed=0)}
    while lab.full:
        best = min(tried, key=lambda k: min(tried[k].losses))
        untried = [k for k in (best - 1, best + 1) if k not in tried]
        if not untried:
            break
        tried |= {k: fit(lab, optimizer, first * FACTOR**k, seed=0) for k in untried}
    return {first * FACTOR**k: one for k, one in tried.items()}


def fit(lab: Lab, optimizer: str, rate: float, seed: int) -> Fitted:
    """The deep autoencoder, fitted at a constant rate."""
    given = SETTINGS[lab.data]
    chosen = {"optimizer": optimizer, "optimizer.lr": rate, "schedule": "constant", **given["settings"]}
    try:
        model = zoo.fit("deep_ae", lab.train[:IMAGES], seed=seed, progress=False, **given | {"settings": chosen})
    except ZooError as error:
        if "not a finite number" not in str(error):
            raise
        return Fitted([float("inf")], np.zeros(0))
    assert model.report is not None
    with torch.no_grad():
        return Fitted(model.report.history["validation_total"], errors(model.module, lab.test))


def epochs_to(target: float, losses: list[float]) -> float:
    """Epochs until the loss is at or below a target, between epochs by a straight line; all of them if never."""
    found = next((k for k, loss in enumerate(losses) if loss <= target), None)
    if found is None:
        return float(len(losses))
    if found == 0:
        return 1.0
    before, after = losses[found - 1], losses[found]
    return found + (before - target) / (before - after)


def ratio_of(a: str, b: str) -> str:
    """The name of the ratio of two optimisers' errors."""
    return f"error with {NAMES[a]} over that with {NAMES[b]}"


def cases(numbers: Numbers) -> list[Case]:
    """Each step from one optimiser to what should be better."""
    return [
        Case.of(f"for {NAMES[a]} against {NAMES[b]}", ratio_of(a, b), numbers[ratio_of(a, b)], below=CLEAR)
        for a, b in PAIRS
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Losses by epoch, what each rate reaches, and test errors."""
    (one,) = found.values()
    figure, (curves, rates, ends) = canvas(
        "Optimisers, each at its own best constant rate",
        "a deep autoencoder on the same images in the same order; bars: 95 % intervals",
        [(0.6, 0.2, 2.6, 2.4), (5.0, 0.2, 2.6, 2.4), (9.0, 0.2, 2.0, 2.4)],
    )
    epochs = range(1, 1 + len(next(iter(one.shown["curves"].values()))))
    draw_lines(curves, {name: (epochs, each) for name, each in one.shown["curves"].items()})
    curves.xaxis.set_major_locator(MaxNLocator(integer=True))
    curves.set(xlabel="epoch", ylabel="validation loss, nats per image", title="At the best rate")
    draw_lines(
        rates,
        {name: ([*each], [Number(loss) for loss in each.values()]) for name, each in one.shown["searched"].items()},
        legend=False,
    )
    rates.set(xscale="log", xlabel="rate", title="The last loss at each rate that did not diverge")
    draw_dots(ends, {name: one.numbers[f"squared error per pixel, {name}"] for name in NAMES.values()})
    ends.xaxis.set_major_locator(MaxNLocator(3))
    ends.set(xlabel="squared error per pixel", title="Test images")
    return figure


CLAIM = Claim(
    title="Momentum beats plain gradient descent, and adaptive rates beat momentum",
    claim="""Momentum gets further than plain stochastic gradient descent in the same number of steps, Nesterov's
        variant further than momentum, rates that adapt to each weight (RMSProp) further still, Adam, which has momentum
        as well, further than RMSProp, and orthogonal updates (Muon) furthest.""",
    why="""The loss of a network is steep in some directions and flat in most. Plain descent needs a rate that is small
        enough for the steep ones and hardly moves along the others. Momentum adds up what gradients have in common;
        adaptive rates divide by the size of each weight's gradients; Muon makes all directions of a matrix equally
        long.""",
    equation="""
        SGD: w - r g;   momentum: m' = b m + g, w - r m';   Nesterov: w - r (g + b m')
        RMSProp: w - r g / sqrt(v), v a running mean of g^2;   Adam: a running mean of g in place of g, both means
        divided by 1 - b^t, because they start at 0
        Muon: W - r O for a weight matrix, O about U V^T of its momentum M = U S V^T""",
    done="""The same autoencoder was fitted with each optimiser at a constant rate, for 3 epochs of at most 8,000 images
        in batches of 128, fewer than 190 steps. Rates that lie a factor of three apart were tried with seed 0 until
        both neighbours of the best one were worse, by the validation loss; a rate that diverges counts as worse. The
        best one was used with three seeds, 0 among them. Test errors are compared, and the epochs that each needs to
        where plain descent arrives at last (1 means at or before the first). The reduced version uses one rate for
        each, which was found in the same way.""",
    fails="""SGD, momentum and Nesterov are best at the last rate before they diverge, so a finer grid of rates could
        change their ratios. The fit is short; whether differences last over many epochs was not measured. Momentum with
        rate r moves as far as plain descent with r / (1 - b), so where a small batch's noise, and not a steep
        direction, limits the rate, momentum gains little.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
