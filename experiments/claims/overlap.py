"""Classes overlap in the code, and the code space has empty regions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_lines, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import decoded, encoded, errors
from zoo.density.gaussian import GaussianDensity
from zoo.evaluation.measures.code_points import pairs
from zoo.evaluation.measures.neighbours import nearest
from zoo.model.autoencoder import Autoencoder
from zoo.types import HasPrior

AE, VAE = "autoencoder", "VAE"
BETAS = (0.1, 1.0, 10.0)
IMAGES, SHOWN = 2_000, 12
BITS = "bits per image"


def fits(data: str) -> dict[str, list[str]]:
    """An autoencoder, and VAEs with several weights of the KL term; the weight 1 is that of the bound."""
    found = {AE: ["variant=deep_ae"]}
    for beta in BETAS:
        found[name_of(beta)] = ["variant=vae"] if beta == 1 else ["variant=beta_vae", f"objective.weights.kl={beta}"]
    return found


def name_of(beta: float) -> str:
    """How the VAE of a weight is called."""
    return f"{VAE}, beta {beta:g}"


def measure(lab: Lab) -> Found:
    """Classes of neighbours, garbage of several kinds of points, rates and errors."""
    x = lab.test[:IMAGES]
    numbers: dict[str, Number] = {}
    lost, garbage, pictures = {}, {}, {}
    usual = nearest(lab.references.test_features[:IMAGES], lab.references.train_features, 1)[0][:, 0]
    bound = float(usual.quantile(0.95))
    mixed = {"pixels": [other_class(lab, lab.train.flatten(1), x.flatten(1))]}
    for name in lab.jobs:
        models = lab.models(name)
        codes = [(encoded(model, lab.train), encoded(model, x)) for model in models]
        mixed[name] = [other_class(lab, *each) for each in codes]
        lost[name] = [errors(model, x) for model in models]
        points = [points_of(model, *each, lab.test_labels[:IMAGES]) for model, each in zip(models, codes, strict=True)]
        for kind in points[0]:
            images = [decoded(model, each[kind]) for model, each in zip(models, points, strict=True)]
            garbage[kind, name] = [is_garbage(lab, each, bound) for each in images]
            pictures[f"{kind}, {name}"] = images[0][:SHOWN]
            numbers[f"garbage among {kind}, {name}"] = statistics.mean(garbage[kind, name])
        numbers[f"squared error per pixel, {name}"] = statistics.mean(lost[name])
        if name != AE:
            numbers[f"information in the code, {name}"] = statistics.mean([rate(model, x) for model in models], BITS)
    for name, each in mixed.items():
        numbers[f"images whose nearest neighbour is of another class, {name}"] = statistics.mean(each)
    plain = name_of(1.0)
    numbers |= {
        MIXED: statistics.difference(mixed[AE], mixed["pixels"]),
        BETWEEN: statistics.difference(garbage[MIDDLES, AE], garbage[RECONSTRUCTIONS, AE]),
        DRAWN: statistics.difference(garbage[DRAWS, AE], garbage[RECONSTRUCTIONS, AE]),
        FILLED: statistics.difference(garbage[MIDDLES, plain], garbage[MIDDLES, AE]),
        CLOSED: statistics.difference(garbage[DRAWS, plain], garbage[DRAWS, AE]),
        PAID: statistics.ratio(lost[plain], lost[AE]),
        SWEPT: statistics.ratio(lost[name_of(BETAS[-1])], lost[name_of(BETAS[0])]),
    }
    return Found(numbers, {"rows": {key: pictures[key] for key in shown_rows()}})


MIDDLES, DRAWS, RECONSTRUCTIONS = "points between two classes", "draws", "reconstructions"
MIXED = "neighbours of another class, codes of the autoencoder less pixels"
BETWEEN = "garbage of the autoencoder, points between two classes less reconstructions"
DRAWN = "garbage of the autoencoder, draws less reconstructions"
FILLED = "garbage among points between two classes, VAE less autoencoder"
CLOSED = "garbage among draws, VAE less autoencoder"
PAID = "error of the VAE over that of the autoencoder"
SWEPT = f"error of the VAE, beta {BETAS[-1]:g} over beta {BETAS[0]:g}"


def shown_rows() -> list[str]:
    """The rows of images in the figure."""
    kinds = (RECONSTRUCTIONS, MIDDLES, DRAWS)
    return [f"{kind}, {name}" for name in (AE, name_of(1.0)) for kind in kinds]


def points_of(model: Autoencoder, train: Tensor, test: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Codes of test images, points halfway between codes of two classes, and draws: {kind: (N, D)}.

    Draws are those of the prior, or of the Gaussian fitted to the training codes where there is none.
    """
    index = torch.arange(len(test))[:, None].float()
    first, other = (each[:, 0].long() for each in pairs(index, len(test), 0))
    apart = labels[first] != labels[other]
    middles = (test[first] + test[other])[apart] / 2
    if isinstance(model.bottleneck, HasPrior):
        draws = model.bottleneck.sample(len(middles), torch.Generator().manual_seed(0))
    else:
        draws = GaussianDensity().fit(train).sample(len(middles), 0)
    return {RECONSTRUCTIONS: test[: len(middles)], MIDDLES: middles, DRAWS: draws}


def other_class(lab: Lab, train: Tensor, test: Tensor) -> NDArray[np.float64]:
    """Whether the nearest training point of each test point is of another class: (N,)."""
    index = nearest(test, train, 1)[1][:, 0]
    return (lab.train_labels[index] != lab.test_labels[: len(test)]).double().numpy()


def is_garbage(lab: Lab, images: Tensor, bound: float) -> NDArray[np.float64]:
    """Whether images are farther from all training images than `bound`, in features: (N,)."""
    distance = nearest(lab.references.features(images), lab.references.train_features, 1)[0][:, 0]
    return (distance > bound).double().numpy()


def rate(model: Autoencoder, x: Tensor) -> NDArray[np.float64]:
    """KL(q(z | x) || p(z)) of each image, in bits: (N,)."""
    penalties = model.bottleneck(model.encoder(x)).penalties
    found: NDArray[np.float64] = (penalties["kl"] / math.log(2)).double().numpy()
    return found


def cases(numbers: Numbers) -> list[Case]:
    """Overlap, empty regions, what a VAE changes, and what it pays."""
    return [
        Case.of("for the overlap of classes, larger in the code than in pixels", MIXED, numbers[MIXED], above=0.0),
        Case.of(
            "for garbage of an autoencoder between two classes",
            BETWEEN,
            numbers[BETWEEN],
            above=0.0,
        ),
        Case.of("for garbage among draws from a Gaussian fitted to its codes", DRAWN, numbers[DRAWN], above=0.0),
        Case.of("for a VAE, with less garbage between two classes", FILLED, numbers[FILLED], below=0.0),
        Case.of("for a VAE, whose draws are garbage less often", CLOSED, numbers[CLOSED], below=0.0),
        Case.of("for the price of it, a larger error", PAID, numbers[PAID], above=1.0),
        Case.of("for a larger weight of the KL term, which raises the price", SWEPT, numbers[SWEPT], above=1.0),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Decoded points; error and garbage against bits."""
    (one,) = found.values()
    numbers, rows = one.numbers, one.shown["rows"]
    high = len(rows) * 0.46
    figure, (pictures, lost, garbage) = canvas(
        "Between the codes of an autoencoder lie images of nothing; a VAE has fewer, for a price",
        "garbage: farther from every training image than 95 % of test images are, in features of a classifier; "
        f"VAEs of beta {', '.join(f'{beta:g}' for beta in BETAS)}; bars: 95 % intervals",
        [
            rows_box(2.6, 0.25, SHOWN, len(rows), 0.46),
            (9.0, 0.25, 2.6, high / 2 - 0.3),
            (9.0, 0.25 + high / 2 + 0.3, 2.6, high / 2 - 0.3),
        ],
        right=2.2,
    )
    draw_rows(pictures, rows)
    bits = [numbers[f"information in the code, {name_of(beta)}"].value for beta in BETAS]
    draw_lines(lost, {VAE: (bits, [numbers[f"squared error per pixel, {name_of(beta)}"] for beta in BETAS])})
    lost.axhline(numbers[f"squared error per pixel, {AE}"].value, ls="--", lw=0.8, color="grey")
    lost.set(ylabel="squared error per pixel", title="dashed: the autoencoder")
    draw_lines(
        garbage,
        {
            kind: (bits, [numbers[f"garbage among {kind}, {name_of(beta)}"] for beta in BETAS])
            for kind in (DRAWS, MIDDLES, RECONSTRUCTIONS)
        },
    )
    garbage.axhline(numbers[f"garbage among {DRAWS}, {AE}"].value, ls="--", lw=0.8, color="grey")
    garbage.set(
        xlabel=f"information in the code, {BITS}", ylabel="share of garbage", title="dashed: draws, autoencoder"
    )
    return figure


CLAIM = Claim(
    title="Classes overlap in the code, and between them lie images of nothing; draws of a VAE are garbage less often",
    claim="""The codes of different classes overlap, and the code space of an autoencoder has empty regions that decode
        to garbage. A VAE fills the code space, so that draws from its prior look like data, and pays with a larger
        error.""",
    why="""An autoencoder is asked for good reconstructions of its training images, and nothing says what it should make
        of codes that no image has. A VAE spreads each image over a region and pulls all regions towards one Gaussian,
        which leaves less room between them, and less room for each image.""",
    equation="""
        autoencoder: min |x - g(f(x))|^2
        VAE: min E_q[-log p(x | z)] + beta KL(q(z | x) || N(0, I)); the code says no more about x than KL""",
    done="""An autoencoder and VAEs with several weights beta of the KL term were fitted. A point is decoded to garbage
        if the image is farther from every training image than 95 % of test images are, in the features of a small
        classifier. Points are the codes of test images, points halfway between test codes of two classes, and draws:
        from the VAE's prior, and from a Gaussian fitted to the autoencoder's codes. Overlap is the share of test images
        whose nearest training image, by code or by pixels, is of another class. Information is the KL term in bits.""",
    fails="""Halfway between two codes of a narrow code, an autoencoder often decodes to a third thing that looks real:
        the gaps are emptier far from all codes than between them. With a large beta, units of a VAE are not used at
        all, and its images are blurred means, which are no garbage by this measure, but not good either.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
