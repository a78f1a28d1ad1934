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
CODES, FEWER, CLASSES, STEPS = 3_000, 1_000, 10, 100
STARTS, STARTS_EACH = 3, 2  # of the fits of ten hills, and of those of other numbers; the best of them counts
HILLS = {"full": (2, 4, 7, 10, 14, 17, 24), "diagonal": (4, 7, 10, 17, 24, 40, 60, 80)}
AGREE = "mutual information of hills and classes, 1 if they are the same"
MATCHED = "share of images in the hill that is matched to their class"
TOLD = "share of images in the hill of their class, hills fitted with labels"
TWICE = "classes that are the most frequent one in two hills or more"
NOWHERE = "classes that are the most frequent one in no hill"
STARTED = f"{AGREE}, fit started at the classes"
LIKELIER = "log-density of training codes, best of all starts without labels less start at the classes"
GROWS = f"best number of hills with {CODES:,} codes less that with {FEWER:,}"
CHOSEN = "hills by the Bayesian information criterion"
LOST = "log-density of test codes, full less diagonal covariances"
NATS = "nats per code"
FLOOR = 1e-3  # added to variances
Codes = NDArray[np.float64]


def fits(data: str) -> dict[str, list[str]]:
    """PCA, an autoencoder, a VAE."""
    return {name: [f"variant={variant}"] for name, variant in METHODS.items()}


def measure(lab: Lab) -> Found:
    """Hills against classes, how many there are, and what diagonal covariances lose."""
    numbers: dict[str, Number] = {}
    tops: dict[str, Tensor] = {}
    criteria: dict[str, Codes] = {}
    labels = lab.test_labels[:CODES]
    for name in lab.jobs:
        codes = [scaled_codes(model, lab) for model in lab.models(name)]
        hills = {kind: [mixture(CLASSES, kind, train, STARTS) for train, _ in codes] for kind in COVARIANCES}
        found = [torch.from_numpy(one.predict(test)) for one, (_, test) in zip(hills["full"], codes, strict=True)]
        numbers[f"{AGREE}, {name}"] = agreement(found, labels)
        numbers[f"{MATCHED}, {name}"] = statistics.over_partitions(matched_accuracy, found, labels).within(0, 1)
        numbers[f"{TOLD}, {name}"] = statistics.share([right(*each, lab) for each in codes])
        leading = [hills_of_classes(each, labels) for each in found]
        for key, classes in {TWICE: [each > 1 for each in leading], NOWHERE: [each == 0 for each in leading]}.items():
            counts = [int(each.sum()) for each in classes]
            numbers[f"{key}, {name}"] = statistics.over_seeds(counts).within(0, CLASSES)
        full, diagonal = (
            [one.score_samples(test) for one, (_, test) in zip(each, codes, strict=True)] for each in hills.values()
        )
        numbers[f"{LOST}, {name}"] = statistics.difference(full, diagonal, NATS)
        if name == MAIN:
            started = [from_classes(train, lab) for train, _ in codes]
            again = [torch.from_numpy(one.predict(test)) for one, (_, test) in zip(started, codes, strict=True)]
            numbers[f"{STARTED}, {name}"] = agreement(again, labels)
            numbers[f"{LIKELIER}, {name}"] = statistics.over_seeds(
                [a.score(z) - b.score(z) for a, b, (z, _) in zip(hills["full"], started, codes, strict=True)], NATS
            )
            best = {}
            for kind in COVARIANCES:
                criteria[kind] = np.array([criterion(kind, train) for train, _ in codes])
                best[kind] = chosen(HILLS[kind], criteria[kind])
                numbers[f"{CHOSEN}, {kind} covariances"] = Number(*best[kind])
            few = chosen(HILLS["full"], np.array([criterion("full", train[:FEWER]) for train, _ in codes]))
            numbers[f"{CHOSEN}, full covariances, {FEWER:,} codes"] = Number(*few)
            many = best["full"]
            numbers[GROWS] = Number(many[0] - few[0], many[1] - few[2], many[2] - few[1])
        tops[name] = hilltops(lab.models(name)[0], hills["full"][0], lab)
    curves = {kind: [statistics.over_seeds(each) for each in of.T] for kind, of in criteria.items()}
    return Found(numbers, {"criteria": curves, "tops": tops})


def agreement(found: list[Tensor], labels: Tensor) -> Number:
    """Normalised mutual information of the hills of each seed and the classes."""
    return statistics.over_partitions(normalised_mutual_information, found, labels).within(0, 1)


def hills_of_classes(found: Tensor, labels: Tensor) -> Tensor:
    """The number of hills in which each class is the most frequent one: (CLASSES,)."""
    table = torch.zeros(CLASSES, CLASSES).index_put_((found, labels), torch.ones(len(found)), accumulate=True)
    return torch.bincount(table.argmax(1)[table.sum(1) > 0], minlength=CLASSES)


def criterion(kind: str, train: Codes) -> list[float]:
    """The Bayesian information criterion per code, for each number of hills."""
    return [float(mixture(k, kind, train, STARTS_EACH).bic(train)) / len(train) for k in HILLS[kind]]


def chosen(tried: tuple[int, ...], criteria: Codes) -> tuple[float, float, float]:
    """The mean over seeds of the best number of hills, with the least and the most hills that may be the best.

    These are next to the numbers tried before and after the best, which are worse.
    """
    best = criteria.argmin(1)
    least, most = int(best.min()), int(best.max())
    low = tried[least - 1] + 1 if least else tried[0]
    high = tried[most + 1] - 1 if most + 1 < len(tried) else tried[-1]
    return float(np.mean([tried[k] for k in best])), low, high


def scaled_codes(model: Autoencoder, lab: Lab) -> tuple[Codes, Codes]:
    """Codes of training and of test images, units scaled to mean 0 and variance 1 over training images."""
    train, test = (encoded(model, x) for x in (lab.train[:CODES], lab.test[:CODES]))
    center, spread = train.mean(0), train.std(0)
    return ((train - center) / spread).double().numpy(), ((test - center) / spread).double().numpy()


def mixture(hills: int, kind: str, train: Codes, starts: int) -> GaussianMixture:
    """The likeliest of mixtures fitted by expectation maximisation from several starts by k-means."""
    return fitted(
        GaussianMixture(
            hills,
            covariance_type=COVARIANCES[kind],
            n_init=starts,
            max_iter=STEPS,
            reg_covar=FLOOR,
            random_state=0,
        ),
        train,
    )


def from_classes(train: Codes, lab: Lab) -> GaussianMixture:
    """A mixture fitted from the start at one Gaussian for each class."""
    labels = lab.train_labels[: len(train)].numpy()
    each = [train[labels == k] for k in range(CLASSES)]
    floor = FLOOR * np.eye(train.shape[1])
    return fitted(
        GaussianMixture(
            CLASSES,
            max_iter=STEPS,
            reg_covar=FLOOR,
            weights_init=[len(z) / len(train) for z in each],
            means_init=[z.mean(0) for z in each],
            precisions_init=[np.linalg.inv(np.cov(z.T) + floor) for z in each],
        ),
        train,
    )


def fitted(mixture: GaussianMixture, train: Codes) -> GaussianMixture:
    """The mixture, fitted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a start that needs more steps is cut off
        return mixture.fit(train)


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
    """Hills and classes; how many; and beside it starts, fewer codes, diagonal covariances, and fits with labels."""
    least, most = CLASSES / 2, CLASSES * 2
    number, diagonal = f"{CHOSEN}, full covariances", f"{CHOSEN}, diagonal covariances"
    told, lost = f"{TOLD}, {MAIN}", f"{LOST}, {MAIN}"
    started, likelier = f"{STARTED}, {MAIN}", f"{LIKELIER}, {MAIN}"
    return [
        *(
            Case.of(f"The hills are the classes: {name}", f"{AGREE}, {name}", numbers[f"{AGREE}, {name}"], above=0.9)
            for name in METHODS
        ),
        Case.of("About as many hills as classes fit best", number, numbers[number], above=least, below=most),
        Case.of("More hills fit best where there are more codes", GROWS, numbers[GROWS], beside=True, above=0.0),
        Case.of(
            "With diagonal covariances, too, about as many hills as classes fit best",
            diagonal,
            numbers[diagonal],
            beside=True,
            above=least,
            below=most,
        ),
        Case.of("Started at the classes, the hills stay there", started, numbers[started], beside=True, above=0.9),
        Case.of(
            "The codes are likelier under hills found without labels than under those started at the classes",
            likelier,
            numbers[likelier],
            beside=True,
            above=0.0,
        ),
        Case.of("With labels, one hill per class tells classes apart", told, numbers[told], beside=True, above=0.8),
        Case.of(
            "Diagonal covariances fit as well as full ones", lost, numbers[lost], beside=True, above=-0.1, below=0.1
        ),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Centres of hills, agreement, and the criterion by the number of hills."""
    (one,) = found.values()
    figure, (tops, agree, lost, criterion) = canvas(
        found,
        "Are the hills of a mixture in the code space the classes?",
        'mixtures of Gaussians fitted to codes without labels, but for "a hill per class"; bars: 95 % intervals',
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
    curves = {f"{kind} covariances": (HILLS[kind], each) for kind, each in one.shown["criteria"].items()}
    draw_lines(criterion, curves)
    criterion.axvline(CLASSES, ls="--", lw=0.8, color="grey")
    criterion.set(
        xscale="log",
        xlabel="hills",
        ylabel="criterion per code",
        title=f"Lower is better, codes of the {MAIN}; dashed: classes",
    )
    ticks = [2, 4, 7, 10, 17, 40, 80]
    criterion.set_xticks(ticks, [str(k) for k in ticks], minor=False)
    criterion.minorticks_off()
    return figure


CLAIM = Claim(
    title="A mixture of Gaussians in the code space has one hill per class",
    claim="""Codes of images of one class lie together, so that a mixture of as many Gaussians as there are classes,
        fitted to codes without labels, finds the classes: one hill each. The codes themselves tell how many hills there
        are.""",
    why="""Images of one class resemble one another more than those of others, and a code that keeps what tells images
        apart should keep that. A mixture puts its hills where codes are dense.""",
    equation="""
        p(z) = sum_k w_k N(z; m_k, S_k), fitted by expectation maximisation; hill of z: the k with the largest
        w_k N(z; m_k, S_k);  criterion: -2 log p(codes) + (number of parameters) log(number of codes)""",
    done=f"""Mixtures of ten Gaussians with full and with diagonal covariances were fitted to codes of up to {CODES:,}
        training images, each the likeliest of {STARTS} starts by k-means. Up to {CODES:,} test images were put into
        their most probable hill, and hills matched one to one to classes. A further fit started at the Gaussians of
        the classes, and went on without labels. For comparison, one Gaussian was fitted to the codes of each class,
        with labels. Mixtures of other sizes were fitted to codes of the autoencoder, the likeliest of {STARTS_EACH}
        starts each, and compared by the Bayesian information criterion; with full covariances this was done again
        with {FEWER:,} codes. The numbers tried were {", ".join(map(str, HILLS["full"]))} with full covariances, and
        {", ".join(map(str, HILLS["diagonal"]))} with diagonal ones; its interval reaches to the next smaller and the
        next larger number tried. Covariances were compared by the log-density of test codes.""",
    fails="""Classes are what people named; hills are what is dense. Some classes are the most frequent one in two
        hills, and others in none. A fit that starts at the classes leaves them, and ends where the codes are less
        likely than under other hills. The best number of hills depends on what a hill may look like and on the number
        of codes: it says nothing about classes. With labels, one Gaussian per class tells most test images apart.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "nnny": """The hills are not the classes, for any of the three kinds of codes: one or two classes are the
            most frequent one in two hills each, and one or two in none. About ten is the best number of hills, but
            only with full covariances and with so many codes.""",
    },
    draw=draw,
)
