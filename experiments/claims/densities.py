"""Explicit and implicit densities: who can draw images, who can say how likely an image is, and who has a code."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import islice

import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import decoded, encoded
from zoo.density.kernel import KernelEstimate
from zoo.density.normalising_flow import flow
from zoo.evaluation.measures.bounds import importance_bounds
from zoo.evaluation.measures.detection import auroc
from zoo.evaluation.measures.distances import Compared, Reals, frechet_distance
from zoo.evaluation.measures.linear_probe import linear_probe
from zoo.model.autoencoder import Autoencoder
from zoo.types import DrawsCodes, HasPrior

KERNEL, VAE, FLOW, ADVERSARIAL = "kernel in pixels", "VAE", "autoencoder, flow on codes", "adversarial autoencoder"
FITTED = {VAE: "vae", FLOW: "deep_ae", ADVERSARIAL: "aae"}
ANSWERS = {  # to how likely an image is
    KERNEL: "yes: log p(x)",
    VAE: "a bound on log p(x)",
    FLOW: "of the code alone",
    ADVERSARIAL: "no answer",
}
METHODS = (KERNEL, *FITTED)
IMAGES, TRAINED, PROBED, SHOWN, WEIGHTS = 1_000, 5_000, 3_000, 9, 10
SAMPLES = "Frechet distance of samples"
TELLS = "probability that an image is more likely than one glued from two"
PROBE = "accuracy of a linear probe of codes"
STEPS = {True: 600, False: 200}  # of the flow, in the full and in the reduced version


def fits(data: str) -> dict[str, list[str]]:
    """A VAE, an autoencoder and an adversarial autoencoder; the kernel needs no fit."""
    return {name: [f"variant={variant}"] for name, variant in FITTED.items()}


def measure(lab: Lab) -> Found:
    """The three questions, method by method."""
    x, glued = lab.test[:IMAGES], glued_of(lab.test[:IMAGES], lab.test_labels[:IMAGES])
    reals = Reals(lab.references.features(x))
    drawn: dict[str, list[Compared]] = {}
    told: dict[str, list[Compared]] = {}
    probed: dict[str, list[Tensor]] = {}
    pictures = {"test images": x[:SHOWN], "glued from two": glued[:SHOWN]}
    for name in METHODS:
        for model in lab.models(name) if name in FITTED else [None]:
            images, scores = answers(name, model, lab, x, glued)
            drawn.setdefault(name, []).append(frechet_distance(reals, lab.references.features(images)))
            if scores is not None:
                told.setdefault(name, []).append(auroc(-scores[0], -scores[1]))
            if model is not None:
                probed.setdefault(name, []).append(probe(model, lab))
            pictures.setdefault(name, images[:SHOWN])
    numbers: dict[str, Number] = {}
    for name, each in drawn.items():
        numbers[f"{SAMPLES}, {name}"] = statistics.compared(each)
    for name, each in told.items():
        numbers[f"{TELLS}, {name}"] = statistics.compared(each)
    for name, right in probed.items():
        numbers[f"{PROBE}, {name}"] = statistics.mean(torch.stack(right).double().numpy())
    for name in (FLOW, ADVERSARIAL):
        numbers[less(name)] = statistics.compared(list(zip(drawn[name], drawn[VAE], strict=True)))
    return Found(numbers, {"rows": pictures})


def answers(
    name: str, model: Autoencoder | None, lab: Lab, x: Tensor, glued: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
    """Samples of a method, and how likely it finds images and glued ones; None where it has no answer."""
    if model is None:
        kernel = KernelEstimate(codes=TRAINED).fit(lab.train[:TRAINED].flatten(1))
        samples = kernel.sample(len(x), 0).view_as(x).clamp(0, 1)
        return samples, (kernel.log_prob(x.flatten(1)), kernel.log_prob(glued.flatten(1)))
    if name == FLOW:
        density = flow(layers=3, hidden=64, steps=STEPS[lab.full]).fit(encoded(model, lab.train[:TRAINED]))
        scores = density.log_prob(encoded(model, x)), density.log_prob(encoded(model, glued))
        return decoded(model, density.sample(len(x), 0)), scores
    assert isinstance(model.bottleneck, HasPrior)
    samples = decoded(model, model.bottleneck.sample(len(x), torch.Generator().manual_seed(0)))
    if not isinstance(model.bottleneck, DrawsCodes):
        return samples, None
    bound = partial(importance_bounds, model, model.bottleneck, samples=WEIGHTS, seed=0)
    return samples, (bound(x).iwae, bound(glued).iwae)


def glued_of(x: Tensor, labels: Tensor) -> Tensor:
    """The upper half of each image above the lower half of the next image of another class."""
    places = [
        next(islice((j % len(x) for j in range(i + 1, i + len(x)) if labels[j % len(x)] != labels[i]), 1))
        for i in range(len(x))
    ]
    half = x.shape[2] // 2
    return torch.cat([x[:, :, :half], x[places][:, :, half:]], 2)


def probe(model: Autoencoder, lab: Lab) -> Tensor:
    """Whether a linear probe of codes finds the class of each test image: (N,)."""
    train, test = encoded(model, lab.train[:PROBED]), encoded(model, lab.test[:IMAGES])
    validation = lab.splits.validation
    found = linear_probe(train, lab.train_labels[:PROBED], encoded(model, validation[:]), validation.labels, test)
    return found == lab.test_labels[:IMAGES]


def less(name: str) -> str:
    """The name of the difference from the VAE."""
    return f"{SAMPLES}, {name} less {VAE}"


def cases(numbers: Numbers) -> list[Case]:
    """Samples against those of the VAE, and who tells images from glued ones."""
    return [
        *(
            Case.of(
                f"for samples of the {name}, better than those of the VAE", less(name), numbers[less(name)], below=0.0
            )
            for name in (ADVERSARIAL, FLOW)
        ),
        *(
            Case.of(
                f"for telling glued images by the {name}", f"{TELLS}, {name}", numbers[f"{TELLS}, {name}"], above=0.5
            )
            for name in (KERNEL, VAE, FLOW)
        ),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Samples, and the three questions as a table with numbers."""
    (one,) = found.values()
    rows, cell = one.shown["rows"], 0.46
    left, high = 2.0 + SHOWN * cell + 0.3, len(rows) * cell
    figure, (pictures, *panels) = canvas(
        "Three questions: draw an image, say how likely one is, give its code",
        "explicit densities answer the second, an adversarial autoencoder does not; bars: 95 % intervals",
        [rows_box(2.0, 0.3, SHOWN, len(rows), cell), *((left + 1.95 * k, 0.3, 1.7, high) for k in range(3))],
    )
    draw_rows(pictures, rows)
    titles = {
        SAMPLES: "Draws: Frechet distance\n(lower is better)",
        TELLS: "Tells images from glued ones\n(1 is best)",
        PROBE: "Code: accuracy of a probe\n(1 is best)",
    }
    for panel, (key, title) in zip(panels, titles.items(), strict=True):
        known = {name: one.numbers[f"{key}, {name}"] for name in METHODS if f"{key}, {name}" in one.numbers}
        first = METHODS.index(next(iter(known)))
        draw_dots(panel, known, first=first)
        above = len(rows) - len(METHODS) + first  # rows of images without a dot
        panel.set_ylim(len(rows) - 0.5 - above, -0.5 - above)
        panel.set(yticklabels=[], title=title)
    for place, answer in enumerate(ANSWERS.values()):
        panels[1].annotate(answer, (0.5, place + 0.35), xycoords=panels[1].get_yaxis_transform(), size=6, ha="center")
    panels[2].annotate("no code", (0.5, -1), xycoords=panels[2].get_yaxis_transform(), size=6, ha="center", va="center")
    return figure


CLAIM = Claim(
    title="An adversarial autoencoder draws better images than a VAE, which says how likely an image is",
    claim="""A model of images can be asked three things: to draw new images, to say how likely a given one is, and to
        give its code. A model with an explicit density answers the second. An adversarial autoencoder is made to draw
        and gives no density of images; its images are said to be better.""",
    why="""A density must give probability to all that may occur, and must be computed, which limits its form. A model
        that only has to draw may be any function of noise, and is judged by its images alone.""",
    equation="""
        kernel: log p(x) = log 1/n sum_j N(x; x_j, h^2 S), S the covariance
        VAE: log p(x) >= E[log 1/K sum_k p(x, z_k) / q(z_k | x)]
        flow on codes: log p(z) = log N(u; 0, I) + log |det du / dz|, u = T(z), z = f(x)
        adversarial: x = g(z), z ~ N(0, I)""",
    done="""A kernel density of pixels (along their 32 leading principal axes; a Gaussian along the others), a VAE, an
        autoencoder with a normalising flow fitted to its codes, and an adversarial autoencoder drew images, whose
        features in a small classifier were compared with those of test images. Test images were compared with images
        whose halves come from images of two classes: how often does the method find a real image more likely than a
        glued one, over all pairs? Codes were given to a linear probe.""",
    fails="""A density is not a judgement of how real an image looks: a smooth image that is none of the training data
        may be more likely than a real one with fine strokes. The density of a code says nothing about what the code
        leaves out of an image; a flow could be fitted to the codes of the adversarial autoencoder, too. A narrow kernel
        on each training image draws these images again, with noise, and the Frechet distance need not notice. Scores of
        draws depend on the classifier, on the fit and on its length, above all for adversarial fits.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
