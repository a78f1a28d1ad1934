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
from zoo.density.standard_normal import standard_normal_log_prob
from zoo.density.whitening import Whitening
from zoo.types import Density

MODEL, TESTED = "autoencoder", 2_000
SIZES = (100, 300, 1_000, 3_000, 10_000)  # training images, of a data set with fewer as many as it has
COMPONENTS, NEAR = 10, 5
KERNEL, GAUSSIAN, MIXTURE = "kernel on each code", "one Gaussian", "mixture of ten Gaussians"
NEIGHBOURS, CLASSES, LINEAR = "5 nearest neighbours", "a diagonal Gaussian per class", "logistic regression"
DENSITIES: dict[str, Callable[[int], Density]] = {
    KERNEL: lambda n: KernelEstimate(codes=n),
    GAUSSIAN: lambda n: GaussianDensity(),
    MIXTURE: lambda n: MixtureDensity(COMPONENTS, codes=n),
}
CLASSIFIERS: dict[str, Callable[[], Any]] = {
    NEIGHBOURS: lambda: KNeighborsClassifier(NEAR),
    CLASSES: lambda: GaussianNB(var_smoothing=1e-3),
    LINEAR: lambda: LogisticRegression(max_iter=500),
}
METHODS = (*DENSITIES, *CLASSIFIERS)
WIDER = "one Gaussian, widened as the kernel's"
NATS, SHARE = "nats per code", "share of test images"
FEWEST, MOST = "with the fewest images", "with the most images"
LIKELIER, FEWER = 0.3, 0.01  # gains, in nats per code and in errors, below which more images are said not to help
Values = NDArray[np.float64]


def fits(data: str) -> dict[str, list[str]]:
    """An autoencoder."""
    return {MODEL: ["variant=deep_ae"]}


def measure(lab: Lab) -> Found:
    """Log-densities, errors, numbers kept and seconds for each size of the training set."""
    train, test = ([encoded(model, x) for model in lab.models(MODEL)] for x in (lab.train, lab.test[:TESTED]))
    sizes = sizes_of(len(lab.train))
    seconds: dict[str, list[Number]] = {name: [] for name in METHODS}
    scores: dict[str, list[Values]] = {name: [] for name in METHODS}
    for n in sizes:
        for name in METHODS:
            values, spent = tested(name, n, train, test, lab)
            scores[name].append(values)
            seconds[name].append(Number(min(spent), unit="s"))
    numbers = {
        gain(name, whole): statistics.difference(
            scores[name][-1], scores[name][0 if whole else -2], NATS if name in DENSITIES else SHARE
        )
        for whole, names in ((False, METHODS), (True, (GAUSSIAN, LINEAR)))
        for name in names
    }
    pairs = ((KERNEL, GAUSSIAN), (NEIGHBOURS, LINEAR))
    for when, place, compared in ((FEWEST, 0, pairs), (MOST, -1, (*pairs, (KERNEL, MIXTURE)))):
        for a, b in compared:
            unit = NATS if a in DENSITIES else SHARE
            numbers[less(a, b, when)] = statistics.difference(scores[a][place], scores[b][place], unit)
    widened = np.array([wide(known[: sizes[0]], asked) for known, asked in zip(train, test, strict=True)])
    numbers[less(KERNEL, WIDER, FEWEST)] = statistics.difference(scores[KERNEL][0], widened, NATS)
    units, classes = train[0].shape[1], len(set(lab.train_labels.tolist()))
    for name in METHODS:
        for when, n in ((FEWEST, sizes[0]), (MOST, sizes[-1])):
            numbers[f"numbers kept, {name}, {when}"] = Number(kept(name, n, units, classes))
        numbers[f"multiplications for an answer, {name}, {MOST}"] = Number(
            multiplications(name, sizes[-1], units, classes)
        )
    curves = {
        name: [statistics.mean(each, NATS) if name in DENSITIES else statistics.share(each) for each in values]
        for name, values in scores.items()
    }
    memory = {name: [Number(kept(name, n, units, classes)) for n in sizes] for name in METHODS}
    return Found(numbers, {"sizes": sizes, "curves": curves, "seconds": seconds, "memory": memory})


def gain(name: str, whole: bool = False) -> str:
    """The name of what the last growth of the training set brings, or its whole growth."""
    others = "the fewest" if whole else "about a third of them"
    return f"{'log-density' if name in DENSITIES else 'errors'}, {name}: most images less {others}"


def less(a: str, b: str, when: str) -> str:
    """The name of the difference of two methods."""
    return f"{'log-density' if a in DENSITIES else 'errors'}, {a} less {b}, {when}"


def wide(known: Tensor, asked: Tensor) -> Values:
    """Log-densities of a Gaussian whose covariance is that of a kernel density on the same codes: (1 + h^2) S."""
    h = KernelEstimate(codes=len(known)).fit(known.clone()).kernel.bandwidth
    whitening = Whitening.of(known.clone())
    scale = float(np.sqrt(1 + h**2))
    u = whitening.forward(asked) / scale
    found: Values = (whitening.log_density(standard_normal_log_prob(u)) - u.shape[1] * np.log(scale)).numpy()
    return found


def kept(name: str, n: int, units: int, classes: int) -> float:
    """How many numbers a model keeps that was fitted to n codes."""
    one = units + units * (units + 1) // 2  # a mean and a covariance
    numbers = {
        KERNEL: n * units + one + 1,
        GAUSSIAN: one,
        MIXTURE: COMPONENTS * one + COMPONENTS - 1,
        NEIGHBOURS: n * (units + 1),
        CLASSES: classes * 2 * units + classes - 1,
        LINEAR: classes * (units + 1),
    }
    return float(numbers[name])


def multiplications(name: str, n: int, units: int, classes: int) -> float:
    """How many multiplications an answer takes about one code, if no distance is left out."""
    one = units**2 + units  # of a squared distance from a mean by a covariance
    numbers = {
        KERNEL: units**2 + n * units,
        GAUSSIAN: one,
        MIXTURE: COMPONENTS * one,
        NEIGHBOURS: n * units,
        CLASSES: classes * 2 * units,
        LINEAR: classes * units,
    }
    return float(numbers[name])


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

    def case(part: str, name: str, **rule: float) -> Case:
        return Case.of(part, name, numbers[name], beside=False, **rule)

    likely = {"above": -LIKELIER, "below": LIKELIER}
    return [
        case("Three times as many images still help the kernel on each code", gain(KERNEL), above=LIKELIER),
        case("Three times as many images still help the nearest neighbours", gain(NEIGHBOURS), below=-FEWER),
        case("Three times as many images no longer help one Gaussian", gain(GAUSSIAN), **likely),
        case("Three times as many images no longer help a mixture of ten Gaussians", gain(MIXTURE), **likely),
        case("Three times as many images no longer help logistic regression", gain(LINEAR), above=-FEWER, below=FEWER),
        case("The fewest images are enough for one Gaussian", gain(GAUSSIAN, whole=True), **likely),
        case(
            "The fewest images are enough for logistic regression",
            gain(LINEAR, whole=True),
            above=-FEWER,
            below=FEWER,
        ),
        case(f"One Gaussian is better than the kernel {FEWEST}", less(KERNEL, GAUSSIAN, FEWEST), below=-LIKELIER),
        case(
            f"Logistic regression is better than the nearest neighbours {FEWEST}",
            less(NEIGHBOURS, LINEAR, FEWEST),
            above=FEWER,
        ),
        case(f"The kernel is better than one Gaussian {MOST}", less(KERNEL, GAUSSIAN, MOST), above=LIKELIER),
        case(
            f"The kernel is better than a mixture of ten Gaussians {MOST}",
            less(KERNEL, MIXTURE, MOST),
            above=LIKELIER,
        ),
        case(
            f"The nearest neighbours are better than logistic regression {MOST}",
            less(NEIGHBOURS, LINEAR, MOST),
            below=-FEWER,
        ),
        Case.of(
            f"The kernel is better than one Gaussian of the same covariance {FEWEST}",
            less(KERNEL, WIDER, FEWEST),
            numbers[less(KERNEL, WIDER, FEWEST)],
            beside=True,
            above=0.0,
        ),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Log-densities, errors, numbers kept and seconds over the size of the training set."""
    (one,) = found.values()
    sizes, curves = one.shown["sizes"], one.shown["curves"]
    figure, (density, errors, memory, seconds) = canvas(
        found,
        "What more training images bring, and what they cost",
        "models of the codes of an autoencoder, tested on the same test images; bars: 95 % intervals",
        [(0.6, 0.2, 2.6, 2.2), (4.2, 0.2, 2.6, 2.2), (0.6, 3.2, 2.6, 2.2), (4.2, 3.2, 2.6, 2.2)],
        right=2.4,
    )
    shown = (
        (density, DENSITIES, curves),
        (errors, CLASSIFIERS, curves),
        (memory, METHODS, one.shown["memory"]),
        (seconds, METHODS, one.shown["seconds"]),
    )
    for panel, names, values in shown:  # a method has the same colour in all panels, and empty lines where it is not in
        series = {name: (sizes, values[name]) if name in names else ([], []) for name in METHODS}
        draw_lines(panel, series, legend=False)
        panel.set(xscale="log", xlabel="training images")
    errors.legend(*memory.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(1.0, 1.03), frameon=False)
    usual = [each.value for name in (KERNEL, GAUSSIAN) for each in curves[name]]
    least, most = min(usual) - 2, max(usual) + 2
    density.set_ylim(least, most)
    hidden = [n for n, each in zip(sizes, curves[MIXTURE], strict=True) if each.value < least]
    if hidden:  # too few codes for ten covariances
        words = " and ".join(f"{n:,}" for n in hidden)
        density.annotate(
            f"mixture with {words} images:\nfar below", (0.02, 0.97), xycoords="axes fraction", va="top", size=7
        )
    density.set(title="How likely test codes are (higher is better)", ylabel="log-density, nats per code")
    errors.set(title="Errors (lower is better)", ylabel="share of test images")
    memory.set(title="Memory", ylabel="numbers kept", yscale="log")
    seconds.set(title="Time to answer, measured once", ylabel="seconds for all test images", yscale="log")
    return figure


CLAIM = Claim(
    title="Parametric models learn from few images, and non-parametric ones go on learning",
    claim="""A parametric model, such as a Gaussian or logistic regression, has a set number of parameters: few images
        are enough to fit them, more do not help, and answers are fast. A non-parametric model, such as a kernel on each
        code or the nearest neighbours, keeps all images, and gets better with each, and slower too. It is worse with
        few images and better with many.""",
    why="""The error of a parametric model has two parts: that of its estimated parameters, which falls as 1 / n, and
        that of its form, which stays. A kernel density has no form to be wrong about, but needs images wherever the
        density is to be known.""",
    equation="""
        Gaussian: N(z; m, S), D + D (D + 1) / 2 numbers
        kernel: 1/n sum_j N(z; z_j, h^2 S), n D numbers, and m, S and h
        error of a parametric model: a + b / n;  of a kernel density in D dimensions: c n^(-4 / (4 + D))""",
    done=f"""Models of the codes of an autoencoder were fitted to more and more training images, {SIZES[0]} to at most
        {SIZES[-1]:,}: densities, which were judged by the log-density of the codes of at most {TESTED:,} test images,
        and classifiers, by their errors on them. The kernel's width h was chosen on a tenth of the codes, held out. A
        difference counts if it exceeds {LIKELIER} nats per code, or {100 * FEWER:.0f} % of the errors. The
        encoder itself was fitted to all training images, without labels; only the models of its codes were fitted to
        few. Numbers kept and multiplications are counted, as if no distance were left out. Times are of one computer,
        were measured once, and are in the figure alone.""",
    fails=f"""Few is relative: with the fewest images, one Gaussian and logistic regression are still far from where
        they end, and a mixture of ten Gaussians has {SIZES[0] // COMPONENTS} codes for each covariance, too few for
        one of full rank where a code has more units. A Gaussian estimated from few codes is too narrow along some
        directions. The kernel density uses the same covariance S, but its own is (1 + h^2) S; a Gaussian that was
        widened in the same way is compared beside the claim; with {SIZES[1]} images the kernel's interval is wider
        than the figure shows. Which model is parametric is a matter of degree: the mixture follows the codes as
        closely as the kernel or closer, in far less memory. The equation says that a kernel's error falls the more
        slowly the more dimensions there are; only one width of the code was measured.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "yyy??nnn?yny": """Yes for the non-parametric models: they gain from more images to the end, and beat one
            Gaussian and logistic regression with many. With the fewest images, the parametric ones are far from
            their best, and one Gaussian is not better than the kernel even there; for logistic regression and the
            neighbours that is open. A richer parametric model, the mixture, is at least as good
            as the kernel with the most images.""",
    },
    draw=draw,
)
