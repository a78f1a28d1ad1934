"""Classes overlap in the code, and the code space has empty regions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
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
from zoo.report.figures.style import INK, MUTED, SMALL
from zoo.types import HasPrior

AE, NARROW, VAE = "autoencoder", "autoencoder of two units", "VAE"
BETAS = (0.1, 0.3, 1.0, 3.0, 10.0)
IMAGES, SHOWN = 2_000, 12
USUAL = 0.05  # share of test images that count as garbage, by construction
BITS = "bits per image"
RECONSTRUCTIONS, MIDDLES = "reconstructions", "points between two classes"
PRIOR, FITTED = "draws from the prior", "draws from a fitted Gaussian"


def fits(data: str) -> dict[str, list[str]]:
    """Two autoencoders, and VAEs with several weights of the KL term; the weight 1 is that of the bound."""
    found = {AE: ["variant=deep_ae"], NARROW: ["variant=deep_ae", "width=2"]}
    for beta in BETAS:
        found[name_of(beta)] = ["variant=vae"] if beta == 1 else ["variant=beta_vae", f"objective.weights.kl={beta}"]
    return found


def name_of(beta: float) -> str:
    """How the VAE of a weight is called."""
    return f"{VAE}, beta {beta:g}"


LITTLE, PLAIN, MUCH = (name_of(beta) for beta in (BETAS[0], 1.0, BETAS[-1]))


def measure(lab: Lab) -> Found:
    """Classes of neighbours, garbage of several kinds of points, rates and errors."""
    x = lab.test[:IMAGES]
    numbers: dict[str, Number] = {}
    lost, garbage, pictures = {}, {}, {}
    usual = nearest(lab.references.test_features[:IMAGES], lab.references.train_features, 1)[0][:, 0]
    bound = float(usual.quantile(1 - USUAL))
    mixed = {PIXELS: [other_class(lab, lab.train.flatten(1), x.flatten(1))]}
    for name in lab.jobs:
        models = lab.models(name)
        codes = [(encoded(model, lab.train), encoded(model, x)) for model in models]
        mixed[name] = [other_class(lab, *each) for each in codes]
        if name == NARROW:
            continue
        lost[name] = [errors(model, x) for model in models]
        points = [points_of(model, *each, lab.test_labels[:IMAGES]) for model, each in zip(models, codes, strict=True)]
        for kind in points[0]:
            images = [decoded(model, each[kind]) for model, each in zip(models, points, strict=True)]
            garbage[kind, name] = [is_garbage(lab, each, bound) for each in images]
            pictures[f"{kind}, {name}"] = images[0][:SHOWN]
            numbers[among(kind, name)] = statistics.share(garbage[kind, name])
        numbers[error_of(name)] = statistics.mean(lost[name])
        if name != AE:
            numbers[bits_of(name)] = statistics.mean([rate(model, x) for model in models], BITS)
    for name, each in mixed.items():
        numbers[f"images whose nearest neighbour is of another class, {name}"] = statistics.share(each)

    def less(kind: str, name: str, other_kind: str, other: str) -> Number:
        return statistics.difference(garbage[kind, name], garbage[other_kind, other])

    numbers |= {
        MIXED: statistics.difference(mixed[AE], mixed[PIXELS]),
        MIXED_NARROW: statistics.difference(mixed[NARROW], mixed[PIXELS]),
        BETWEEN: less(MIDDLES, PLAIN, MIDDLES, AE),
        DRAWN: less(PRIOR, PLAIN, FITTED, AE),
        DRAWN_LITTLE: less(PRIOR, LITTLE, FITTED, AE),
        DRAWN_MUCH: less(PRIOR, MUCH, FITTED, AE),
        SAME_DENSITY: less(FITTED, PLAIN, FITTED, AE),
        OWN_DENSITY: less(FITTED, PLAIN, PRIOR, PLAIN),
        PAID: statistics.ratio(lost[PLAIN], lost[AE]),
        PAID_LITTLE: statistics.ratio(lost[LITTLE], lost[AE]),
        PAID_MUCH: statistics.ratio(lost[MUCH], lost[AE]),
    }
    return Found(numbers, {"rows": {key: pictures[key] for key in shown_rows()}})


PIXELS = "pixels"
MIXED = "neighbours of another class, codes of the autoencoder less pixels"
MIXED_NARROW = "neighbours of another class, codes of two units less pixels"
BETWEEN = "garbage between two classes, VAE less autoencoder"
DRAWN = "garbage, draws from the prior of the VAE less draws from a Gaussian fitted to the autoencoder"
DRAWN_LITTLE = f"{DRAWN}, beta {BETAS[0]:g}"
DRAWN_MUCH = f"{DRAWN}, beta {BETAS[-1]:g}"
SAME_DENSITY = "garbage, draws from a Gaussian fitted to each, VAE less autoencoder"
OWN_DENSITY = "garbage of the VAE, draws from a fitted Gaussian less draws from the prior"
PAID = "error of the VAE over that of the autoencoder"
PAID_LITTLE = f"{PAID}, beta {BETAS[0]:g}"
PAID_MUCH = f"{PAID}, beta {BETAS[-1]:g}"


def among(kind: str, name: str) -> str:
    """The name of a share of garbage."""
    return f"garbage among {kind}, {name}"


def error_of(name: str) -> str:
    """The name of an error."""
    return f"squared error per pixel, {name}"


def bits_of(name: str) -> str:
    """The name of a rate."""
    return f"information in the code, {name}"


def shown_rows() -> list[str]:
    """The rows of images in the figure."""
    kinds = {AE: (RECONSTRUCTIONS, MIDDLES, FITTED), PLAIN: (RECONSTRUCTIONS, MIDDLES, PRIOR), MUCH: (MIDDLES, PRIOR)}
    return [f"{kind}, {name}" for name, each in kinds.items() for kind in each]


def points_of(model: Autoencoder, train: Tensor, test: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Codes of test images, points halfway between codes of two classes, and draws: {kind: (N, D)}.

    Draws are those of a Gaussian fitted to the training codes, and those of the prior where there is one.
    """
    index = torch.arange(len(test))[:, None].float()
    first, other = (each[:, 0].long() for each in pairs(index, len(test), 0))
    apart = labels[first] != labels[other]
    middles = (test[first] + test[other])[apart] / 2
    count = len(middles)
    found = {
        RECONSTRUCTIONS: test[:count],
        MIDDLES: middles,
        FITTED: GaussianDensity().fit(train).sample(count, 0),
    }
    if isinstance(model.bottleneck, HasPrior):
        found[PRIOR] = model.bottleneck.sample(count, torch.Generator().manual_seed(0))
    return found


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

    def case(part: str, name: str, beside: bool = False, **rule: float) -> Case:
        return Case.of(part, name, numbers[name], beside=beside, **rule)

    usual, rarer = "more often than test images are", "garbage less often than draws from a Gaussian"
    return [
        case("Classes overlap more in a code of two units than in pixels", MIXED_NARROW, above=0.0),
        case("Classes overlap more in a wider code, too, than in pixels", MIXED, above=0.0),
        case(f"Points between two classes of an autoencoder are garbage {usual}", among(MIDDLES, AE), above=USUAL),
        case(f"Draws from a Gaussian fitted to its codes are garbage {usual}", among(FITTED, AE), above=USUAL),
        case("Points between two classes are garbage less often in a VAE", BETWEEN, below=0.0),
        case(f"Draws from the prior of a VAE are {rarer} on codes of an autoencoder", DRAWN, below=0.0),
        case("Draws from the prior are garbage no more often than test images are", among(PRIOR, PLAIN), below=USUAL),
        case("A VAE has a larger error than an autoencoder", PAID, above=1.0),
        case(f"With beta {BETAS[-1]:g}, draws are garbage less often, too", DRAWN_MUCH, True, below=0.0),
        case(f"With beta {BETAS[-1]:g}, the error is larger", PAID_MUCH, True, above=1.0),
        case(f"With beta {BETAS[0]:g}, draws are garbage less often, too", DRAWN_LITTLE, True, below=0.0),
        case("With a Gaussian fitted to both codes, the VAE has less garbage, too", SAME_DENSITY, True, below=0.0),
        case("For a VAE, a fitted Gaussian gives less garbage than its prior", OWN_DENSITY, True, below=0.0),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Decoded points; error and garbage against bits."""
    (one,) = found.values()
    numbers, rows = one.numbers, one.shown["rows"]
    high = len(rows) * 0.46
    side = 3.3 + SHOWN * 0.46 + 1.0
    figure, (pictures, lost, garbage) = canvas(
        found,
        "Codes between classes, and draws: how often they decode to garbage",
        "garbage: farther from every training image than 95 % of test images are, in features of a classifier; "
        "bars: 95 % intervals",
        [
            rows_box(3.3, 0.25, SHOWN, len(rows), 0.46),
            (side, 0.25, 3.0, high / 2 - 0.35),
            (side, 0.25 + high / 2 + 0.35, 3.0, high / 2 - 0.35),
        ],
        right=2.75,
    )
    draw_rows(pictures, rows)
    bits = [numbers[bits_of(name_of(beta))].value for beta in BETAS]
    draw_lines(lost, {VAE: (bits, [numbers[error_of(name_of(beta))] for beta in BETAS])})
    for beta, x in zip(BETAS, bits, strict=True):
        place = (x, numbers[error_of(name_of(beta))].value)
        lost.annotate(f"beta {beta:g}", place, (3, 5), textcoords="offset points", size=SMALL, color=INK)
    level(lost, numbers[error_of(AE)], "autoencoder")
    lost.margins(x=0.12, y=0.25)
    lost.set(ylabel="squared error\nper pixel", xlabel=f"information in the code, {BITS}")
    kinds = (PRIOR, MIDDLES, RECONSTRUCTIONS)
    draw_lines(
        garbage,
        {f"{kind}, {VAE}": (bits, [numbers[among(kind, name_of(beta))] for beta in BETAS]) for kind in kinds},
        legend=False,
    )
    level(garbage, numbers[among(FITTED, AE)], f"{FITTED}, {AE}")
    level(garbage, numbers[among(MIDDLES, AE)], f"{MIDDLES}, {AE}", ":")
    garbage.set(xlabel=f"information in the code, {BITS}", ylabel="share of garbage")
    for panel in (lost, garbage):
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.05), fontsize=SMALL, frameon=False)
    return figure


def level(ax: Axes, number: Number, name: str, style: str = "--") -> None:
    """Mark a number by a horizontal line."""
    ax.axhline(number.value, ls=style, lw=0.9, color=MUTED, label=name, marker="")


CLAIM = Claim(
    title="Classes overlap in the code, with gaps that decode to garbage; a VAE fills them, for a price",
    claim="""The codes of different classes overlap, and the code space of an autoencoder has empty regions that decode
        to garbage. A VAE fills the code space, so that draws from its prior look like data, and pays with a larger
        error.""",
    why="""An autoencoder is asked for good reconstructions of its training images, and nothing says what it should make
        of codes that no image has. A VAE spreads each image over a region and pulls all regions towards one Gaussian,
        which leaves less room between them, and less room for each image.""",
    equation="""
        autoencoder: min |x - g(f(x))|^2
        VAE: min E_q[-log p(x | z)] + beta KL(q(z | x) || N(0, I)); the code says no more about x than KL""",
    done=f"""An autoencoder, another one of two units, and VAEs with several weights beta of the KL term were fitted. A
        point counts as garbage if its decoded image is farther from every training image than {100 * (1 - USUAL):g} %
        of test images are, in the features of a small classifier: test images are garbage {100 * USUAL:g} % of the
        time. Up to {IMAGES:,} test images were used. Points are the codes of test images, points halfway between test
        codes of two classes, and draws: from the VAE's prior, and from a Gaussian fitted to the codes of either model.
        Overlap is the share of test images whose nearest training image, by code or by pixels, is of another class.
        Where nothing else is said, beta is 1. Information is the KL term in bits.""",
    fails="""Other densities of an autoencoder's codes, such as mixtures, were not tried here. Most points halfway
        between two classes do not count as garbage, in either model; draws do more often. The gain and the price of a
        VAE are not tied to each other: with the smallest beta, draws are garbage less often than those of the
        autoencoder, and the error is the same; and in this sweep, the share of garbage does not fall steadily with
        beta. The gain is not the prior's alone: with a Gaussian fitted to both codes, the VAE has less garbage, too.
        Part of it may be blur, which counts as good here: a blurred image is near to training images, and a VAE's
        images are blurred more.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "y?yy?yny": """Classes overlap more than in pixels if the code has two units; in the wider code, that is open.
            Gaps of an autoencoder do decode to garbage more often than real images count as such. Draws from the prior
            of a VAE are garbage less often than draws from a Gaussian fitted to the codes of an autoencoder, and its
            error is a little larger; but they are still garbage more often than real images, and between two classes no
            difference was found.""",
    },
    draw=draw,
)
