"""Optimisers on one bottleneck, each at its own best rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter
from numpy.typing import NDArray

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers, plain
from experiments.claims.drawing import canvas, draw_dots, draw_lines, look
from experiments.claims.lab import Lab, job_of
from experiments.claims.models import errors
from zoo.fitting.gradient import initialise_from_data
from zoo.fitting.optimizers import parameter_groups
from zoo.model.io import build_model
from zoo.objective.objective import step_on
from zoo.runs.job import Job

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
    "mnist": {"sgd": 2e-3, "momentum": 1e-3, "nesterov": 1e-3, "rmsprop": 1e-3, "adam": 4e-3, "muon": 2e-2},
}
FACTOR = 2.0  # between rates that are tried
SETTINGS = {
    "digits": ("width=8", "hidden=[64]"),
    "mnist": ("width=16", "hidden=[256,128]"),
}
BATCH = {"digits": 64, "mnist": 128}
STEPS = {"digits": 200, "mnist": 200}
EVERY, SHOWN = 5, 25  # steps between two measurements, and between two points of the figure
WATCHED = 300  # validation images
PAIRS = (("momentum", "sgd"), ("nesterov", "momentum"), ("rmsprop", "momentum"), ("adam", "rmsprop"), ("muon", "adam"))
CLEAR = 0.98  # ratio of errors, below which one is said to get further
Errors = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """A fit with one optimiser, rate and seed.

    Attributes:
        watched: squared error per pixel of validation images, every few steps from the first; one infinite number
            where the fit diverged.
        errors: of test images: (N,); empty where it diverged.
    """

    watched: list[float]
    errors: Errors


def fits(data: str) -> dict[str, list[str]]:
    """None: the rates are chosen in the experiment."""
    return {}


def measure(lab: Lab) -> Found:
    """Rates are compared with one seed; of each optimiser, the best rate at which no seed diverges is used with all."""
    best, searched, fitted = {}, {}, {}
    for key, name in NAMES.items():
        job = job_of((f"data={lab.data}", "variant=deep_ae", *SETTINGS[lab.data], f"optimizer={key}"))
        tried = search(lab, job, RATES[lab.data][key])
        searched[name] = {rate: tried[rate].watched[-1] for rate in sorted(tried)}
        for rate in sorted(tried, key=searched[name].__getitem__):
            best[name] = rate
            fitted[name] = [tried[rate], *(fit(lab, job, rate, seed) for seed in range(1, lab.seeds))]
            if all(len(one.errors) for one in fitted[name]):
                break
    reached = {name: np.array([one.errors for one in each]) for name, each in fitted.items()}
    numbers = {ratio_of(a, b): statistics.ratio(reached[NAMES[a]], reached[NAMES[b]]) for a, b in PAIRS}
    target = float(np.mean([one.watched[-1] for one in fitted[NAMES["sgd"]]]))
    for name, each in fitted.items():
        numbers[f"squared error per pixel, {name}"] = statistics.mean(reached[name])
        numbers[f"steps to SGD's final validation error, {name}"] = statistics.over_seeds(
            [steps_to(target, one.watched) for one in each], "steps", positive=True
        )
        numbers[f"best rate, {name}"] = Number(best[name])
    curves = {
        name: [statistics.over_seeds(column, positive=True) for column in np.array([one.watched for one in each]).T]
        for name, each in fitted.items()
    }
    return Found(numbers, {"curves": curves, "searched": searched, "steps": STEPS[lab.data]})


def search(lab: Lab, job: Job, first: float) -> dict[float, Fitted]:
    """Fits with one seed at rates around the best one, until both neighbours of the best rate are worse.

    The reduced version tries the first rate alone.
    """
    tried = {0: fit(lab, job, first, seed=0)}
    while lab.full:
        best = min(tried, key=lambda k: tried[k].watched[-1])
        untried = [k for k in (best - 1, best + 1) if k not in tried]
        if not untried:
            break
        tried |= {k: fit(lab, job, first * FACTOR**k, seed=0) for k in untried}
    return {first * FACTOR**k: one for k, one in tried.items()}


@torch.enable_grad()
def fit(lab: Lab, job: Job, rate: float, seed: int) -> Fitted:
    """A model of a run, fitted at a constant rate; the steps are those of `zoo run`, and are watched one by one."""
    model = build_model(job.config, lab.splits.shape, seed, job.trust).train()
    initialise_from_data(model, lab.splits)
    build, objective = job.make("fit").optimizer, job.make("objective")
    optimizer = partial(build, lr=rate)(parameter_groups(model))
    generator = torch.Generator().manual_seed(seed)
    images, batch, steps = lab.train, BATCH[lab.data], STEPS[lab.data]
    passes = -(-steps * batch // len(images))
    order = torch.cat([torch.randperm(len(images), generator=generator) for _ in range(passes)])
    watched = []
    for step in range(steps + 1):
        if step % EVERY == 0:
            model.eval()
            watched.append(float(errors(model, lab.splits.validation[:WATCHED]).mean()))
            model.train()
            if not np.isfinite(watched[-1]):
                return Fitted([float("inf")], np.zeros(0))
        if step < steps:
            x = images[order[step * batch : (step + 1) * batch]]
            optimizer.zero_grad()
            objective(model, x, step_on(model, x, generator, len(images)), step / steps)["total"].backward()
            optimizer.step()
    return Fitted(watched, errors(model.eval(), lab.test))


def steps_to(target: float, watched: list[float]) -> float:
    """Steps until the error is at or below a target, by a straight line between measurements; all of them if never."""
    found = next((k for k, error in enumerate(watched) if error <= target), None)
    if found is None:
        return float(EVERY * (len(watched) - 1))
    if found == 0:
        return 0.0
    before, after = watched[found - 1], watched[found]
    return EVERY * (found - 1 + (before - target) / (before - after))


def ratio_of(a: str, b: str) -> str:
    """The name of the ratio of two optimisers' errors."""
    return f"error with {NAMES[a]} over that with {NAMES[b]}"


def cases(numbers: Numbers) -> list[Case]:
    """Each step from one optimiser to what should be better."""
    return [
        Case.of(
            f"{NAMES[a][0].upper()}{NAMES[a][1:]} gets further than {NAMES[b]} in the same number of steps",
            ratio_of(a, b),
            numbers[ratio_of(a, b)],
            below=CLEAR,
        )
        for a, b in PAIRS
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Errors by step, what each rate reaches, and test errors."""
    (one,) = found.values()
    steps = one.shown["steps"]
    figure, (curves, rates, ends) = canvas(
        found,
        "Optimisers, each at its own best constant rate",
        "a deep autoencoder, the same batches for all; bars: 95 % intervals",
        [(0.7, 0.2, 2.7, 2.5), (5.4, 0.2, 2.7, 2.5), (9.4, 0.2, 2.2, 2.5)],
    )
    places = range(0, steps + 1, SHOWN)
    draw_lines(curves, {name: (places, each[:: SHOWN // EVERY]) for name, each in one.shown["curves"].items()})
    curves.set(xlabel="step", ylabel="squared error of validation images", yscale="log", title="At the best rate")
    tried = one.shown["searched"]
    finite = [error for each in tried.values() for error in each.values() if np.isfinite(error)]
    top = 1.25 * max(finite)
    for k, (name, each) in enumerate(tried.items()):
        known = {rate: error for rate, error in each.items() if np.isfinite(error)}
        rates.plot([*known], [*known.values()], label=name, ms=3.5, mec="white", mew=0.3, **look(k))
        lost = [rate for rate in each if rate not in known]
        rates.plot(lost, [top * 1.1**k] * len(lost), ls="", **look(k) | {"marker": "x"})
    rates.grid(True)
    rates.set(xscale="log", yscale="log", xlabel="rate", ylabel=f"squared error after {steps} steps")
    rates.set(title="At each rate tried (x: diverged)")
    draw_dots(ends, {name: one.numbers[f"squared error per pixel, {name}"] for name in NAMES.values()})
    low, high = ends.get_xlim()
    ends.set(xscale="log", xlim=(0.9 * low, 1.1 * high))
    ends.set(xlabel="squared error per pixel", title=f"Test images after {steps} steps")
    for axis in (curves.yaxis, rates.yaxis, ends.xaxis):
        axis.set_major_locator(FixedLocator([0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2]))
        axis.set_major_formatter(lambda value, _: plain(value))
        axis.set_minor_formatter(NullFormatter())
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
    done=f"""The same autoencoder was fitted with each optimiser at a constant rate, for {STEPS["mnist"]} steps on
        batches of {BATCH["mnist"]} images, each image at most once. Rates that lie a factor of {FACTOR:.0f} apart were
        tried with seed 0 until both neighbours of the best one were worse, by the error of {WATCHED} validation images
        after the last step; a rate that diverges counts as worse. The best one at which no seed diverges was used with
        three seeds, 0 among them. One optimiser gets further than another if its error of test images is below {CLEAR}
        of the other's. Also measured: the steps that each needs to reach SGD's final validation error, which was taken
        every {EVERY} steps. Muon moves biases by AdamW, and has a weight decay; the others have none. The reduced
        version uses one rate for each.""",
    fails="""The fits are short, and errors are still falling at their end: this compares how far optimisers get, and
        not where they end. A finer grid of rates could change the ratios. Rates are constant; with schedules, the
        order was not measured. Where all gradients agree, momentum with rate r moves as far as plain descent with
        r / (1 - b), so at the same rate they are no fair comparison: hence each has its own.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "ynnyy": """Yes for momentum against plain descent, for Adam against RMSProp and for Muon against Adam. No for
            Nesterov, which diverged at a rate that momentum still bore; and no for RMSProp, which is ahead of momentum
            early and behind it at the last step.""",
        "y??yy": """Yes for momentum against plain descent, for Adam against RMSProp and for Muon against Adam. Whether
            Nesterov or RMSProp gets further than momentum is undecided: seeds differ more than they do.""",
    },
    draw=draw,
)
