"""A mixture of Gaussians in the code space: whether its hills are the classes."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_lines, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import decoded, encoded
from zoo.evaluation.metrics.clustering import matched_accuracy, normalised_mutual_information
from zoo.model.autoencoder import Autoencoder

METHODS = {"PCA": "pca", "autoencoder": "deep_ae", "VAE": "vae"}
MAIN = "autoencoder"  # whose codes decide on more than the agreement
COVARIANCES = {"full": "full", "diagonal": "diag"}
CODES, CLASSES, STEPS = 3_000, 10, 40
HILLS = (3, 5, 10, 20, 40)
AGREE = "mutual information of hills and classes, 1 if they are the same"
MATCHED = "share of images in the hill that is matched to their class"
TOLD = "share of images in the hill of their class, hills fitted with labels"
CHOSEN = "hills by the Bayesian information criterion"
LOST = "log-density of test codes, full less diagonal covariances"
NATS = "nats per code"
Codes = NDArray[np.float64]


def fits(data: str) -> dict[str, list[str]]:
    """PCA, an autoencoder, a VAE."""
    return {name: [f"variant={variant}"] for name, variant in METHODS.items()}


def measure(lab: Lab) -> Found:
    """Hills against classes, how many there are, and what diagonal covariances lose."""
    numbers: dict[str, Number] = {}
    criteria, tops = {}, {}
    labels = lab.test_labels[:CODES]
    for name in lab.jobs:
        codes = [scaled_codes(model, lab) for model in lab.models(name)]
        hills = {kind: [mixture(CLASSES, kind, train) for train, _ in codes] for kind in COVARIANCES}
        found = [torch.from_numpy(one.predict(test)) for one, (_, test) in zip(hills["full"], codes, strict=True)]
        numbers[f"{AGREE}, {name}"] = statistics.over_partitions(normalised_mutual_information, found, labels)
        numbers[f"{MATCHED}, {name}"] = statistics.over_partitions(matched_accuracy, found, labels)
        numbers[f"{TOLD}, {name}"] = statistics.mean([right(*each, lab) for each in codes])
        full, diagonal = (
            [one.score_samples(test) for one, (_, test) in zip(each, codes, strict=True)] for each in hills.values()
        )
        numbers[f"{LOST}, {name}"] = statistics.difference(full, diagonal, NATS)
        if name == MAIN:
            for kind in COVARIANCES:
                values = np.array([[mixture(k, kind, z).bic(z) / len(z) for k in HILLS] for z, _ in codes])
                numbers[f"{CHOSEN}, {kind}"] = over([HILLS[k] for k in values.argmin(1)])
                criteria[f"{kind} covariances"] = [over(column) for column in values.T]
        tops[name] = hilltops(lab.models(name)[0], hills["full"][0], lab)
    return Found(numbers, {"criteria": criteria, "tops": tops})


def over(values: list[float] | list[int] | NDArray[np.float64]) -> Number:
    """The mean over seeds."""
    return statistics.over_seeds(values)


def scaled_codes(model: Autoencoder, lab: Lab) -> tuple[Codes, Codes]:
    """Codes of training and of test images, units scaled to mean 0 and variance 1 over training images."""
    train, test = (encoded(model, x) for x in (lab.train[:CODES], lab.test[:CODES]))
    center, spread = train.mean(0), train.std(0)
    return ((train - center) / spread).double().numpy(), ((test - center) / spread).double().numpy()


def mixture(hills: int, kind: str, train: Codes) -> GaussianMixture:
    """A mixture fitted by expectation maximisation in a set number of steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of steps is set
        return GaussianMixture(
            hills, covariance_type=COVARIANCES[kind], max_iter=STEPS, reg_covar=1e-3, random_state=0
        ).fit(train)


def right(train: Codes, test: Codes, lab: Lab) -> NDArray[np.float64]:
    """Whether the most probable of ten Gaussians, one fitted to each class, is that of the image's class: (N,)."""
    gaussians = QuadraticDiscriminantAnalysis(reg_param=1e-2).fit(train, lab.train_labels[: len(train)].numpy())
    found: NDArray[np.float64] = (gaussians.predict(test) == lab.test_labels[: len(test)].numpy()).astype(float)
    return found


def hilltops(model: Autoencoder, fitted: GaussianMixture, lab: Lab) -> Tensor:
    """Images of the centres of hills: (K, C, H, W)."""
    train = encoded(model, lab.train[:CODES])
    return decoded(model, torch.from_numpy(fitted.means_).float() * train.std(0) + train.mean(0))


def cases(numbers: Numbers) -> list[Case]:
    """Hills and classes without labels and with them; how many; full and diagonal covariances."""
    told, lost = f"{TOLD}, {MAIN}", f"{LOST}, {MAIN}"
    return [
        *(
            Case.of(f"for codes of {name}", f"{AGREE}, {name}", numbers[f"{AGREE}, {name}"], above=0.9)
            for name in METHODS
        ),
        Case.of("for hills that are fitted with labels", told, numbers[told], above=0.8),
        Case.of("for diagonal covariances, as good as full ones", lost, numbers[lost], below=0.1),
        *(
            Case(
                f"for ten as the number of hills with {kind} covariances",
                f"{CHOSEN}, {kind}",
                ten(numbers[f"{CHOSEN}, {kind}"]),
                "10",
            )
            for kind in COVARIANCES
        ),
    ]


def ten(hills: Number) -> bool | None:
    """Whether a number of hills is that of the classes and no other of those that were tried."""
    return None if hills.above(7) is None or hills.below(15) is None else bool(hills.above(7) and hills.below(15))


def draw(found: Mapping[str, Found]) -> Figure:
    """Centres of hills, agreement, and the criterion by the number of hills."""
    (one,) = found.values()
    figure, (tops, agree, lost, criterion) = canvas(
        "Are the hills of a mixture in the code space the classes?",
        "mixtures of Gaussians fitted to codes without labels; bars: 95 % intervals",
        [rows_box(0.9, 0.25, CLASSES, 3), (2.4, 2.6, 2.6, 1.9), (6.7, 2.6, 2.6, 1.9), (6.7, 0.25, 2.6, 1.6)],
        right=1.3,
    )
    draw_rows(tops, one.shown["tops"])
    tops.set_title("what the centres of ten hills decode to")
    parts = {"ten hills": MATCHED, "a hill per class": TOLD}
    draw_dots(
        agree, {f"{name}, {part}": one.numbers[f"{key}, {name}"] for name in METHODS for part, key in parts.items()}
    )
    agree.set(xlabel="share of images in the hill of their class", xlim=(0, 1.05))
    draw_dots(lost, {name: one.numbers[f"{LOST}, {name}"] for name in METHODS}, bound=0.0)
    lost.set(xlabel="nats per code that diagonal covariances lose")
    draw_lines(criterion, {name: (HILLS, each) for name, each in one.shown["criteria"].items()})
    criterion.axvline(CLASSES, ls="--", lw=0.8, color="grey")
    criterion.set(
        xscale="log",
        xlabel="hills",
        ylabel="criterion per code",
        title=f"The best number (lowest), codes of the {MAIN}",
    )
    criterion.set_xticks(HILLS, [str(k) for k in HILLS], minor=False)
    criterion.minorticks_off()
    return figure


CLAIM = Claim(
    title="A mixture of Gaussians in the code space has one hill per class",
    claim="""Codes of images of one class lie together, so that a mixture of as many Gaussians as there are classes,
        fitted to codes without labels, finds the classes: one hill each.""",
    why="""Images of one class resemble one another more than those of others, and a code that keeps what tells images
        apart should keep that. A mixture puts its hills where codes are dense.""",
    equation="""
        p(z) = sum_k w_k N(z; m_k, S_k), fitted by expectation maximisation; hill of z: the k with the largest
        w_k N(z; m_k, S_k);  criterion: -2 log p(codes) + (number of parameters) log(number of codes)""",
    done="""Mixtures of ten Gaussians with full and with diagonal covariances were fitted to codes of training images.
        Test images were put into their most probable hill, and hills matched one to one to classes. For comparison, one
        Gaussian was fitted to the codes of each class, with labels. Mixtures of other sizes were fitted to codes of the
        autoencoder and compared by the Bayesian information criterion, and covariances by the log-density of test
        codes.""",
    fails="""Classes are what people named; hills are what is dense. A class that is written in two ways makes two
        hills, and two classes that look alike share one. The number of hills depends on what a hill may look like:
        diagonal covariances need several hills for one that is oblique. With labels, one Gaussian per class separates
        the classes, so hills exist that the fit without labels does not find.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
