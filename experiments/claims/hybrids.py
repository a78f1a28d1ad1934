"""Halfway between two codes lies a hybrid of two images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import decoded, encoded
from zoo.evaluation.measures.code_points import spherical, straight
from zoo.evaluation.measures.neighbours import nearest
from zoo.model.autoencoder import Autoencoder

PAIRS, SHOWN, STEPS = 1_000, 2, 7
PIXELS, PCA, AE, VAE = "pixels", "PCA", "autoencoder", "VAE"
PER_PERSON, UNKNOWN = 10, -1
Path = Callable[[Tensor, Tensor], Tensor]


def fits(data: str) -> dict[str, list[str]]:
    """PCA, an autoencoder, a VAE."""
    return {PCA: ["variant=pca"], AE: ["variant=deep_ae"], VAE: ["variant=vae"]}


def measure(lab: Lab) -> Found:
    """How far middles are from real images, and whose they are."""
    labels = torch.arange(len(lab.test)) // PER_PERSON if lab.data == "faces" else lab.test_labels
    first, other = chosen_pairs(labels)
    a, b = lab.test[first], lab.test[other]
    real = lab.train.flatten(1)
    usual = unlikeness(lab.test, real)
    found = {PIXELS: [(a + b) / 2]}
    reconstructions = {PIXELS: [a]}
    for name in (PCA, AE, VAE):
        models = lab.models(name)
        codes = [(encoded(model, a), encoded(model, b)) for model in models]
        found[name] = [decoded(model, straight(*each)) for model, each in zip(models, codes, strict=True)]
        reconstructions[name] = [decoded(model, each[0]) for model, each in zip(models, codes, strict=True)]
        if name != PCA:
            centres = [encoded(model, lab.train).mean(0) for model in models]
            found[on_sphere(name)] = [
                decoded(model, spherical(*each, centre))
                for model, each, centre in zip(models, codes, centres, strict=True)
            ]
    far = {way: [unlikeness(images, real) for images in each] for way, each in found.items()}
    own = {way: [unlikeness(images, real) for images in each] for way, each in reconstructions.items()}
    numbers: dict[str, Number] = {}
    for way, each in far.items():
        numbers[f"unlikeness of middles to the nearest real image, {way}"] = statistics.mean(each)
        numbers[whose(way)] = statistics.mean([one_of_two(lab, images, labels, first, other) for images in found[way]])
    for way, each in own.items():
        numbers[f"unlikeness of reconstructions to the nearest real image, {way}"] = statistics.mean(each)
    numbers["unlikeness of test images to the nearest real image"] = statistics.mean(usual)
    for way in (PCA, AE, VAE):
        numbers[against_pixels(way)] = statistics.ratio(far[way], far[PIXELS])
    for way in (AE, VAE):
        numbers[against_own(way)] = statistics.ratio(far[way], own[way])
        numbers[against_straight(way)] = statistics.ratio(far[on_sphere(way)], far[way])
    return Found(numbers, {"rows": paths(lab, first[:SHOWN], other[:SHOWN])})


def on_sphere(way: str) -> str:
    """The name of a way along great circles."""
    return f"{way}, spherical"


def against_pixels(way: str) -> str:
    """The name of a ratio."""
    return f"unlikeness of middles, {way} over pixels"


def against_own(way: str) -> str:
    """The name of a ratio."""
    return f"unlikeness, middles over reconstructions, {way}"


def against_straight(way: str) -> str:
    """The name of a ratio."""
    return f"unlikeness of middles, spherical over straight, {way}"


def whose(way: str) -> str:
    """The name of a share."""
    return f"middles that are nearest to one of the two, {way}"


def chosen_pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs of images of two classes, each image in one pair at most: twice (N,)."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[: 2 * PAIRS]
    first, other = order[: len(order) // 2], order[len(order) // 2 :]
    apart = labels[first] != labels[other]
    return first[apart], other[apart]


def directions(images: Tensor) -> Tensor:
    """Images about their means, as unit vectors: (N, C, H, W) or (N, P) -> (N, P)."""
    rows = images.flatten(1)
    return torch.nn.functional.normalize(rows - rows.mean(1, keepdim=True), dim=1)


def unlikeness(images: Tensor, real: Tensor) -> NDArray[np.float64]:
    """1 less the correlation with the most alike real image, whatever the contrast: (N,)."""
    distance = nearest(directions(images), directions(real), 1)[0][:, 0]
    found: NDArray[np.float64] = (distance.double().square() / 2).numpy()  # |u - v|^2 / 2 of unit vectors
    return found


def one_of_two(lab: Lab, images: Tensor, labels: Tensor, first: Tensor, other: Tensor) -> NDArray[np.float64]:
    """Whether the most alike real image, the two themselves left out, is of one of the two classes: (N,).

    Of faces, whose test images show other people than the training images, test images are among the real ones.
    """
    real, classes = lab.train, lab.train_labels
    if lab.data == "faces":
        real, classes = torch.cat([lab.test, lab.train]), torch.cat([labels, torch.full((len(lab.train),), UNKNOWN)])
    index = nearest(directions(images), directions(real), 3)[1]
    if lab.data == "faces":
        themselves = (index == first[:, None]) | (index == other[:, None])
        index = index.gather(1, themselves.to(torch.uint8).argmin(1, keepdim=True))
    found = classes[index[:, 0]]
    both: NDArray[np.float64] = ((found == labels[first]) | (found == labels[other])).double().numpy()
    return both


def paths(lab: Lab, first: Tensor, other: Tensor) -> dict[str, Tensor]:
    """The way from one image to another in equal steps, by several ways, pair by pair side by side."""
    share = torch.linspace(0, 1, STEPS)[:, None]
    a, b = lab.test[first], lab.test[other]
    rows = {
        PIXELS: torch.cat([torch.lerp(x[None], y[None], share[..., None, None]) for x, y in zip(a, b, strict=True)])
    }
    for name in (PCA, AE, VAE):
        model: Autoencoder = lab.models(name)[0]
        ends = zip(encoded(model, a), encoded(model, b), strict=True)
        rows[name] = decoded(model, torch.cat([torch.lerp(x[None], y[None], share) for x, y in ends]))
    return rows


def cases(numbers: Numbers) -> list[Case]:
    """Middles against a cross-fade and against reconstructions; whose they are; spherical against straight ones."""
    found = [
        Case.of(
            f"for {article}, against a cross-fade of pixels",
            against_pixels(way),
            numbers[against_pixels(way)],
            below=1.0,
        )
        for way, article in ((PCA, "PCA"), (AE, "an autoencoder"), (VAE, "a VAE"))
    ]
    for way, article in ((AE, "an autoencoder"), (VAE, "a VAE")):
        name = against_own(way)
        found.append(Case.of(f"for {article}, against its own reconstructions", name, numbers[name], below=1.1))
    for way, article in ((AE, "an autoencoder"), (VAE, "a VAE")):
        name = whose(way)
        found.append(
            Case.of(f"for {article}, whose middles are most like one of the two", name, numbers[name], above=0.5)
        )
    name = against_straight(VAE)
    found.append(Case.of("for spherical paths against straight ones in a VAE", name, numbers[name], below=1.0))
    return found


def draw(found: Mapping[str, Found]) -> Figure:
    """Ways from one image to another, and how unlike middles are to real images."""
    cell, pitch = 0.46, 4 * 0.46 + 1.0
    figure, panels = canvas(
        "Halfway between two images: in pixels, and in codes",
        "from one test image to another in equal steps; right: how unlike the middles of many pairs are to the nearest "
        "training image",
        [
            box
            for k in range(len(found))
            for box in (
                rows_box(1.2, 0.25 + k * pitch, SHOWN * STEPS, 4, cell),
                (3.0 + SHOWN * STEPS * cell, 0.25 + k * pitch, 2.4, 4 * cell),
            )
        ],
    )
    start = "unlikeness of middles to the nearest real image, "
    for k, (data, one) in enumerate(found.items()):
        pictures, dots = panels[2 * k : 2 * k + 2]
        draw_rows(pictures, one.shown["rows"])
        pictures.set_title(data)
        draw_dots(dots, {n.removeprefix(start): v for n, v in one.numbers.items() if n.startswith(start)})
        dots.axvline(
            one.numbers["unlikeness of test images to the nearest real image"].value, ls="--", lw=0.8, color="grey"
        )
        dots.set(xlabel="1 - correlation; dashed: test images")
    return figure


CLAIM = Claim(
    title="Halfway between two codes lies a face that is neither, but a face",
    claim="""The middle of two images in pixels is a double exposure. The middle of their codes, decoded, is a hybrid: a
        face, or a digit, between the two.""",
    why="""A decoder has only learned to make faces, and codes of faces lie on a surface that is nearly flat in the
        code. PCA is linear, so that its middle is the projection of the double exposure. In many dimensions the middle
        of two random codes has a smaller norm than any code of an image, which spherical paths avoid.""",
    equation="""
        pixels: (x + y) / 2; straight: g((f(x) + f(y)) / 2)
        spherical: g(m + (u + v) / (2 cos(w / 2))), u, v the codes less the mean code m, w the angle between them""",
    done="""Pairs of test images of two classes, or of two people, were joined halfway in pixels, in PCA, in an
        autoencoder and in a VAE. A middle is unlike real images as far as 1 less its correlation with the most alike
        training image is large, which does not depend on contrast. It is of the two if the most alike real image, the
        two themselves left out, is of one of the two classes or people.""",
    fails="""Blurred images are like many others, so that a model that blurs looks good by this measure: of people whom
        it never saw, an autoencoder of few photographs makes nearly the mean face, which is more like some training
        image than a new face is, and like neither of the two people. A cross-fade keeps both, as a double exposure.
        Between digits of different shape, the middle of a narrow code is often a third digit. In codes of a few units,
        spherical paths lead away from images.""",
    data=("mnist", "faces"),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
