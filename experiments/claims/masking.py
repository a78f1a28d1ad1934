"""A masked autoencoder fills the gaps of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import encoded
from zoo.catalogue import title_of
from zoo.model.corruptions import BlockMask, PixelMask
from zoo.model.linear_decoder import columns
from zoo.types import Corruption

MASKS: dict[str, Corruption] = {
    "a block of half the sides": BlockMask(0.5),
    "a block of a quarter of the sides": BlockMask(0.25),
    "a block of three quarters of the sides": BlockMask(0.75),
    "three quarters of the pixels": PixelMask(0.75),
}
PIXELS = "three quarters of the pixels"
TRAINED = next(iter(MASKS))
OURS, OF_PIXELS = "masked autoencoder", "masked autoencoder, fitted to masked pixels"
IMAGES, SHOWN, NEIGHBOURS, BATCH = 1_000, 8, 5, 250
SQUARED = "squared error per masked pixel"
OVER_BEST = "error over that of the best other way"


def fits(data: str) -> dict[str, list[str]]:
    """A masked autoencoder, one that is fitted to other masks, the plain one, and PCA."""
    return {
        OURS: ["variant=inpainting_ae"],
        OF_PIXELS: ["variant=inpainting_ae", "corruption=pixel_mask", "corruption.rate=0.75"],
        "plain autoencoder": ["variant=deep_ae"],
        "PCA": ["variant=pca"],
    }


def measure(lab: Lab) -> Found:
    """Squared errors inside masks, by what fills them."""
    x = lab.test[:IMAGES]
    groups = None if lab.groups is None else lab.groups[:IMAGES]
    errors: dict[str, dict[str, NDArray[np.float64]]] = {}
    pictures: dict[str, Tensor] = {}
    for kind, corruption in MASKS.items():
        seen, mask = corruption(x, torch.Generator().manual_seed(0))
        assert mask is not None
        filled = fillings(lab, seen, mask)
        if kind == PIXELS:
            filled[OF_PIXELS] = [model.reconstruct(seen, mask) for model in lab.models(OF_PIXELS)]
        errors[kind] = {way: np.array([inside(one - x, mask) for one in each]) for way, each in filled.items()}
        if kind == TRAINED:
            pictures = {"test images": x[:SHOWN], "masked": torch.where(mask == 1, 0.5, seen)[:SHOWN]}
            pictures |= {way: torch.where(mask == 1, each[0], seen)[:SHOWN] for way, each in filled.items()}
    numbers = {
        f"error over that of {way}, {TRAINED}": statistics.ratio(errors[TRAINED][OURS], each, groups)
        for way, each in errors[TRAINED].items()
        if way != OURS
    }
    for kind, each in errors.items():
        numbers[f"{OVER_BEST}, {kind}"] = against_best(each, OURS, groups)
    numbers[f"{OVER_BEST}, {PIXELS}, {OF_PIXELS}"] = against_best(errors[PIXELS], OF_PIXELS, groups)
    means = {way: statistics.mean(each, SQUARED, groups) for way, each in errors[TRAINED].items()}
    numbers |= {f"error inside {TRAINED}, {way}": one for way, one in means.items()}
    return Found(numbers, {"rows": pictures, "means": means})


def against_best(errors: Mapping[str, NDArray[np.float64]], ours: str, groups: Tensor | None) -> Number:
    """The error of a masked autoencoder over the smallest of the other ways, which the unit names."""
    others = [way for way in errors if way not in (OURS, OF_PIXELS)]
    best = min(others, key=lambda way: float(errors[way].mean()))
    found = statistics.ratio(errors[ours], errors[best], groups)
    return replace(found, unit=f"times that of {best}")


def inside(difference: Tensor, mask: Tensor) -> NDArray[np.float64]:
    """Mean square over the masked pixels of each image: (N,)."""
    squares = (difference.square() * mask).flatten(1).sum(1) / (mask.flatten(1).sum(1) * difference.shape[1])
    found: NDArray[np.float64] = squares.double().numpy()
    return found


def fillings(lab: Lab, seen: Tensor, mask: Tensor) -> dict[str, list[Tensor]]:
    """Whole images from masked ones by each way: {way: [(N, C, H, W), ...]}, one per seed."""
    return {
        OURS: [model.reconstruct(seen, mask) for model in lab.models(OURS)],
        "the plain autoencoder": [model.reconstruct(seen) for model in lab.models("plain autoencoder")],
        "PCA on the visible pixels": [by_components(lab, seen, mask)],
        "the nearest training images": [by_neighbours(lab.train, seen, mask)],
        "the mean image": [lab.train.mean(0, keepdim=True).expand_as(seen)],
    }


def by_components(lab: Lab, seen: Tensor, mask: Tensor) -> Tensor:
    """The reconstruction from the code that best explains the visible pixels.

    The mean of p(z | visible pixels) under x = V z + m + s eps, z ~ N(0, L), with the variances L of the components and
    s^2 that of what they leave: least squares, kept from exploding where few pixels are visible.
    """
    (pca,) = lab.models("PCA")
    width = pca.bottleneck.out_features
    origin = pca.decode(torch.zeros(1, width)).flatten().double()
    axes = columns(pca.decode, width, origin.float().view_as(seen[:1])).flatten(1).double().T  # (P, D)
    variance = encoded(pca, lab.train).double().var(0)
    left = lab.train.flatten(1).double().var(0).sum() - variance.sum()
    visible = (1 - mask).expand_as(seen).flatten(1).double()
    precision = axes.T @ (visible[:, :, None] * axes) + torch.diag(left / (len(axes) - width) / variance)
    z = torch.linalg.solve(precision, (visible * (seen.flatten(1) - origin)) @ axes)
    whole: Tensor = z @ axes.T + origin
    return whole.view_as(seen).float()


def by_neighbours(train: Tensor, seen: Tensor, mask: Tensor) -> Tensor:
    """The mean of those training images that are nearest in the visible pixels."""
    points = train.flatten(1)
    visible = (1 - mask).expand_as(seen).flatten(1)
    found = []
    for x, weight in zip(torch.split(seen.flatten(1), BATCH), torch.split(visible, BATCH), strict=True):
        distance = weight @ points.square().T - 2 * (weight * x) @ points.T
        found.append(points[distance.topk(NEIGHBOURS, largest=False).indices].mean(1))
    return torch.cat(found).view_as(seen)


def cases(numbers: Numbers) -> list[Case]:
    """Against each other way for masks as in training; against the best of them for other masks."""
    found = []
    for name, number in numbers.items():
        if name.endswith(f", {TRAINED}") and not name.startswith(OVER_BEST):
            way = name.removeprefix("error over that of ").removesuffix(f", {TRAINED}")
            found.append(Case.of(f"It fills {TRAINED}, as in training, better than {way}", name, number, below=1.0))
    for kind in [kind for kind in MASKS if kind != TRAINED]:
        name = f"{OVER_BEST}, {kind}"
        found.append(Case.of(f"It fills {kind} better than each other way", name, numbers[name], below=1.0))
    name = f"{OVER_BEST}, {PIXELS}, {OF_PIXELS}"
    found.append(
        Case.of(f"Fitted to such masks, it fills {PIXELS} better than each other way", name, numbers[name], below=1.0)
    )
    return found


def draw(found: Mapping[str, Found]) -> Figure:
    """Masked images, filled in each way, and the errors inside the masks."""
    cell, pitch = 0.46, 7 * 0.46 + 0.9
    boxes = [
        box
        for k in range(len(found))
        for box in (
            rows_box(2.0, 0.3 + k * pitch, SHOWN, 7, cell),
            (2.3 + SHOWN * cell, 0.3 + k * pitch, 2.8, 7 * cell),
        )
    ]
    figure, panels = canvas(
        found,
        "Filling a gap: a masked autoencoder and its rivals",
        "test images with a masked block, filled in several ways; squared errors inside the block, 95 % intervals",
        boxes,
    )
    for k, (data, one) in enumerate(found.items()):
        pictures, dots = panels[2 * k : 2 * k + 2]
        draw_rows(pictures, one.shown["rows"])
        pictures.set_title(f"{title_of(data)}: pixels outside the block are the image's own")
        draw_dots(dots, one.shown["means"])
        dots.set(xlabel=SQUARED, yticklabels=[])
        dots.margins(x=0.12)  # room for the values
        dots.set_ylim(len(one.shown["means"]) - 0.5, -2.5)  # level with the rows of images
    return figure


CLAIM = Claim(
    title="A masked autoencoder restores masked pixels",
    claim="""An autoencoder that is fitted to give whole images from masked ones fills a masked part better than the
        mean image, than PCA fitted to the visible pixels, than a plain autoencoder and than the training images that
        are most alike.""",
    why="""Pixels of an image depend on one another: what is visible says much about what is not. Fitting to masked
        pixels makes the model learn this dependence.""",
    equation="""
        min sum_p w_p (x_p - g(f(m x))_p)^2, m = 0 on masked pixels; w = 1 there, and 0.25 elsewhere
        the optimum on masked pixels is E[x_p | visible pixels]: a mean, blurred where several values are possible""",
    done=f"""The masked autoencoder was fitted to images with one block of half their height and width masked. Test
        images ({IMAGES:,} digits, and all test photographs of faces, of people who are not in training) were masked in
        the same way, by smaller and larger blocks, and pixel by pixel. A second one was fitted to images of which three
        quarters of the pixels are masked. The error is that of masked pixels alone. PCA was given its best chance: the
        code is the most likely one given the visible pixels, by the variances of the components and of what they leave.
        Neighbours are the mean of the {NEIGHBOURS} training images that are nearest in the visible pixels. On masks
        unlike those in training, the masked autoencoder is compared with the best of the other ways, which stands
        beside the number.""",
    fails="""The gap is filled by a mean of what may stand there, so it is blurred. On masks of another size or kind
        than in training, the error is larger than that of the nearest training images or of PCA on the visible pixels.
        That is not only for want of such masks in training: fitted to masked pixels, the autoencoder comes much nearer
        to the best other way on these, but does not reach it.""",
    data=("mnist", "faces"),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "yy?ynnnnynyynnnn": """On masks as in training, it beats the plain autoencoder and the mean image. Whether it
            beats the nearest training images on digits is left open, and on faces PCA is better. On other masks, the
            nearest training images or PCA are better. Where three quarters of single pixels are masked, that is so even
            for an autoencoder fitted to such masks."""
    },
    draw=draw,
)
