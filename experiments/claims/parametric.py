"""Parametric and non-parametric models of codes, as the training set grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import process_time
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_lines
from experiments.claims.lab import Lab
from experiments.claims.models import encoded
from zoo.density.gaussian import GaussianDensity
from zoo.density.gaussian_mixture import MixtureDensity
from zoo.density.kernel import KernelEstimate
from zoo.types import Density

MODEL, TESTED = "autoencoder", 500
SIZES = (100, 300, 1_000, 3_000, 10_000)  # training images, of a data set with fewer as many as it has
KERNEL, GAUSSIAN, MIXTURE = "kernel on each code", "one Gaussian", "mixture of ten Gaussians"
NEIGHBOURS, CLASSES, LINEAR = "5 nearest neighbours", "a diagonal Gaussian per class", "logistic regression"
DENSITIES: dict[str, Callable[[int], Density]] = {
    KERNEL: lambda n: KernelEstimate(codes=n),
    GAUSSIAN: lambda n: GaussianDensity(),
    MIXTURE: lambda n: MixtureDensity(10, codes=n),
}
CLASSIFIERS: dict[str, Callable[[], Any]] = {
    NEIGHBOURS: lambda: KNeighborsClassifier(5),
    CLASSES: lambda: GaussianNB(var_smoothing=1e-3),
    LINEAR: lambda: LogisticRegression(max_iter=500),
}
NATS, SHARE = "nats per code", "share of test images"
LAST = "log-density gained by the last growth of the training set, kernel less Gaussian"
FEWEST, MOST = "with the fewest images", "with the most images"
ABOVE, ERRORS = "log-density, kernel less Gaussian", "errors, nearest neighbours less logistic regression"
Values = NDArray[np.float64]


def fits(data: str) -> dict[str, list[str]]:
    """An autoencoder."""
    return {MODEL: ["variant=deep_ae"]}


def measure(lab: Lab) -> Found:
    """Log-densities, errors and seconds for each size of the training set."""
    train, test = ([encoded(model, x) for model in lab.models(MODEL)] for x in (lab.train, lab.test[:TESTED]))
    sizes = sizes_of(len(lab.train))
    seconds: dict[str, list[Number]] = {name: [] for name in (*DENSITIES, *CLASSIFIERS)}
    scores: dict[str, list[Values]] = {name: [] for name in seconds}
    for n in sizes:
        for name in seconds:
            values, spent = tested(name, n, train, test, lab)
            scores[name].append(values)
            seconds[name].append(Number(min(spent), unit="s"))
    kernel, gaussian, near, linear = (scores[name] for name in (KERNEL, GAUSSIAN, NEIGHBOURS, LINEAR))
    numbers = {
        LAST: statistics.over_images(
            lambda a, b, c, d: (a - b) - (c - d), kernel[-1], kernel[-2], gaussian[-1], gaussian[-2], unit=NATS
        ),
        f"{ABOVE}, {FEWEST}": statistics.difference(kernel[0], gaussian[0], NATS),
        f"{ABOVE}, {MOST}": statistics.difference(kernel[-1], gaussian[-1], NATS),
        f"{ERRORS}, {FEWEST}": statistics.difference(near[0], linear[0], SHARE),
        f"{ERRORS}, {MOST}": statistics.difference(near[-1], linear[-1], SHARE),
    }
    units = train[0].shape[1]
    numbers["numbers that a kernel on each code keeps, most images"] = Number(sizes[-1] * units)
    numbers["numbers that one Gaussian keeps"] = Number(units + units * (units + 1) // 2)
    curves = {
        name: [statistics.mean(each, NATS if name in DENSITIES else SHARE) for each in values]
        for name, values in scores.items()
    }
    return Found(numbers, {"sizes": sizes, "curves": curves, "seconds": seconds})


def sizes_of(images: int) -> list[int]:
    """Sizes of the training set: those of `SIZES` that it has thrice, and all that it has, at most the largest."""
    most = min(images, SIZES[-1])
    return [*(n for n in SIZES if 3 * n <= most), most]


def tested(name: str, n: int, train: list[Tensor], test: list[Tensor], lab: Lab) -> tuple[Values, list[float]]:
    """Log-densities of test codes, or whether they are classified wrongly, with the first n training codes.

    Returns:
        One value for each seed and image, and seconds for all test images for each seed.
    """
    values, spent = [], []
    for known, asked in zip(train, test, strict=True):
        if name in DENSITIES:
            density = DENSITIES[name](n).fit(known[:n].clone())
            start = process_time()
            values.append(density.log_prob(asked).numpy())
        else:
            classifier = CLASSIFIERS[name]().fit(known[:n].numpy(), lab.train_labels[:n].numpy())
            start = process_time()
            values.append((classifier.predict(asked.numpy()) != lab.test_labels[: len(asked)].numpy()).astype(float))
        spent.append(process_time() - start)
    return np.array(values), spent


def cases(numbers: Numbers) -> list[Case]:
    """Who gains from more images, and who is better with few and with many."""
    few, many = f"{ABOVE}, {FEWEST}", f"{ABOVE}, {MOST}"
    near, far = f"{ERRORS}, {MOST}", f"{ERRORS}, {FEWEST}"
    return [
        Case.of("for what more images bring: more to the kernel than to the Gaussian", LAST, numbers[LAST], above=0.0),
        Case.of("for the most images, where the kernel is better than the Gaussian", many, numbers[many], above=0.0),
        Case.of(
            "for the most images, where neighbours are better than logistic regression", near, numbers[near], below=0
        ),
        Case.of("for the fewest images, where the Gaussian is better than the kernel", few, numbers[few], below=0.0),
        Case.of(
            "for the fewest images, where logistic regression is better than neighbours", far, numbers[far], above=0.0
        ),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Log-densities, errors and seconds over the size of the training set."""
    (one,) = found.values()
    sizes, curves = one.shown["sizes"], one.shown["curves"]
    figure, (density, errors, seconds) = canvas(
        "More images help those most who keep them all",
        "models of the codes of an autoencoder, tested on the same test images; bars: 95 % intervals",
        [(0.6, 0.2, 2.5, 2.2), (5.3, 0.2, 2.5, 2.2), (0.6, 3.1, 2.5, 2.2)],
        right=1.9,
    )
    draw_lines(density, {name: (sizes, curves[name]) for name in DENSITIES})
    draw_lines(errors, {name: (sizes, curves[name]) for name in CLASSIFIERS})
    draw_lines(seconds, {name: (sizes, each) for name, each in one.shown["seconds"].items()})
    usual = [each.value for name in (KERNEL, GAUSSIAN) for each in curves[name]]
    density.set_ylim(min(usual) - 2, max(usual) + 2)  # a mixture of more parameters than there are codes is far below
    density.set(title="How likely test codes are (higher is better)", ylabel="log-density, nats per code")
    errors.set(title="Errors (lower is better)", ylabel="share of test images")
    seconds.set(title="Time to answer", ylabel="seconds for all test images", yscale="log")
    for panel in (density, errors, seconds):
        panel.set(xscale="log", xlabel="training images")
    return figure


CLAIM = Claim(
    title="Parametric models learn from few images, and non-parametric ones go on learning",
    claim="""A parametric model, such as a Gaussian or logistic regression, has a set number of parameters: few images
        are enough to fit them, more do not help, and answers are fast. A non-parametric model, such as a kernel on each
        code or the nearest neighbours, keeps all images, gets better with each, and slower too.""",
    why="""The error of a parametric model has two parts: that of its estimated parameters, which falls as 1 / n, and
        that of its form, which stays. A kernel density has no form to be wrong about, but needs images wherever the
        density is to be known.""",
    equation="""
        Gaussian: N(z; m, S), D + D (D + 1) / 2 numbers;  kernel: 1/n sum_j N(z; z_j, h^2 S), n D numbers
        error of a parametric model: a + b / n;  of a kernel density in D dimensions: c n^(-4 / (4 + D))""",
    done="""Models of the codes of an autoencoder were fitted to more and more training images: densities, which were
        judged by the log-density of test codes, and classifiers, by their errors. The kernel's width was chosen on
        held-out codes. Times are of one computer and were measured once.""",
    fails="""With few images and many units, a Gaussian has more parameters than can be estimated, and loses to a kernel
        with one well-chosen width. Which is parametric is a matter of degree: a mixture with enough components follows
        the codes as a kernel does, in less memory. In many dimensions, images are never enough for a kernel:
        bottlenecks make the dimensions few.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
