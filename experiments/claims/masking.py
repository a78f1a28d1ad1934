"""A masked autoencoder fills the gaps of images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import encoded
from zoo.model.corruptions import BlockMask, PixelMask
from zoo.model.linear_decoder import columns
from zoo.types import Corruption

MASKS: dict[str, Corruption] = {
    "a block of half the sides": BlockMask(0.5),
    "a block of a quarter of the sides": BlockMask(0.25),
    "a block of three quarters of the sides": BlockMask(0.75),
    "three quarters of the pixels": PixelMask(0.75),
}
TRAINED = next(iter(MASKS))
OURS = "masked autoencoder"
IMAGES, SHOWN, NEIGHBOURS, BATCH = 1_000, 10, 5, 250
SQUARED = "squared error per masked pixel"


def fits(data: str) -> dict[str, list[str]]:
    """A masked autoencoder, the plain one, and PCA."""
    return {OURS: ["variant=inpainting_ae"], "plain autoencoder": ["variant=deep_ae"], "PCA": ["variant=pca"]}


def measure(lab: Lab) -> Found:
    """Squared errors inside masks, by what fills them."""
    x = lab.test[:IMAGES]
    errors: dict[str, dict[str, NDArray[np.float64]]] = {}
    pictures: dict[str, Tensor] = {}
    for kind, corruption in MASKS.items():
        seen, mask = corruption(x, torch.Generator().manual_seed(0))
        assert mask is not None
        filled = fillings(lab, seen, mask)
        errors[kind] = {way: np.array([inside(one - x, mask) for one in each]) for way, each in filled.items()}
        if kind == TRAINED:
            pictures = {"test images": x[:SHOWN], "masked": torch.where(mask == 1, 0.5, seen)[:SHOWN]}
            pictures |= {way: torch.where(mask == 1, each[0], seen)[:SHOWN] for way, each in filled.items()}
    numbers = {
        f"error over that of {way}, {TRAINED}": statistics.ratio(errors[TRAINED][OURS], each)
        for way, each in errors[TRAINED].items()
        if way != OURS
    }
    for kind, each in errors.items():
        best = min((way for way in each if way != OURS), key=lambda way: float(each[way].mean()))
        numbers[f"error over that of the best other way, {kind}"] = statistics.ratio(each[OURS], each[best])
    means = {way: statistics.mean(each, SQUARED) for way, each in errors[TRAINED].items()}
    numbers |= {f"error inside {TRAINED}, {way}": one for way, one in means.items()}
    return Found(numbers, {"rows": pictures, "means": means})


def inside(difference: Tensor, mask: Tensor) -> NDArray[np.float64]:
    """Mean square over the masked pixels of each image: (N,)."""
    squares = (difference.square() * mask).flatten(1).sum(1) / (mask.flatten(1).sum(1) * difference.shape[1])
    found: NDArray[np.float64] = squares.double().numpy()
    return found


def fillings(lab: Lab, seen: Tensor, mask: Tensor) -> dict[str, list[Tensor]]:
    """Whole images from masked ones by each way: {way: [(N, C, H, W), ...]}, one per seed."""
    return {
        OURS: [model.reconstruct(seen, mask) for model in lab.models(OURS)],
        "plain autoencoder": [model.reconstruct(seen) for model in lab.models("plain autoencoder")],
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
    against = [name for name in numbers if name.startswith("error over that of ") and name.endswith(TRAINED)]
    found = []
    for name in against:
        way = name.removeprefix("error over that of ").removesuffix(f", {TRAINED}")
        if way != "the best other way":
            found.append(Case.of(f"against {way}, for masks as in training", name, numbers[name], below=1.0))
    for kind in [kind for kind in MASKS if kind != TRAINED]:
        name = f"error over that of the best other way, {kind}"
        found.append(Case.of(f"against all of these, for {kind}", name, numbers[name], below=1.0))
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
        "What stands in the gap?",
        "test images with a masked block, filled in several ways; squared errors inside the block, 95 % intervals",
        boxes,
    )
    for k, (data, one) in enumerate(found.items()):
        pictures, dots = panels[2 * k : 2 * k + 2]
        draw_rows(pictures, one.shown["rows"])
        pictures.set_title(f"{data}: pixels outside the block are the image's own")
        draw_dots(dots, one.shown["means"])
        dots.set(xlabel=SQUARED, yticklabels=[])
        dots.set_ylim(len(one.shown["means"]) - 0.5, -2.5)  # level with the rows of images
    return figure


CLAIM = Claim(
    title="A masked autoencoder fills the gaps",
    claim="""An autoencoder that is fitted to give whole images from masked ones fills a masked part better than the
        mean image, than PCA fitted to the visible pixels, than a plain autoencoder and than the training images that
        are most alike.""",
    why="""Pixels of an image depend on one another: what is visible says much about what is not. A fit that is asked
        for the masked part only learns that dependence.""",
    equation="""
        min sum_p w_p (x_p - g(f(m x))_p)^2, m = 0 on masked pixels; w = 1 there, and 0.25 elsewhere
        the optimum on masked pixels is E[x_p | visible pixels]: a mean, blurred where several values are possible""",
    done="""The masked autoencoder was fitted to images with one block of half their height and width masked. Test
        images were masked in the same way, by smaller and larger blocks, and pixel by pixel. The error is that of
        masked pixels alone. PCA was given its best chance: the code is the most likely one given the visible pixels, by
        the variances of the components and of what they leave. Neighbours are the mean of the five training images that
        are nearest in the visible pixels.""",
    fails="""The gap is filled by a mean of what may stand there, so it is blurred, and wrong where the visible part
        leaves several digits possible. A model that is fitted to one kind of mask loses to PCA and to neighbours on
        masks of another kind; a mask of random shape and size in training helps.""",
    data=("mnist", "faces"),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
