"""A denoising autoencoder removes noise, also of strengths and kinds that it never saw."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

from experiments import documents
from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_lines, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import per_image
from zoo.catalogue import title_of
from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.measures.restoration import median_filter
from zoo.model.corruptions import GaussianNoise, Pixelate, SaltAndPepper, Stain
from zoo.model.io import read_model
from zoo.types import Corruption

STDS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
TRAINED, WEAK, STRONG = 0.5, 0.1, 1.0
GAUSSIAN: dict[str, Corruption] = {f"Gaussian noise, std {std}": GaussianNoise(std) for std in STDS}
IMAGES, READ, SHOWN, PAGES = 2_000, 1_000, 7, 6
OURS = "denoising autoencoder"
SQUARED = "squared error per pixel"
BEST = "error over that of the best other way"
AS_IS, DIVIDED = "the noisy image", "division by the background"
NEIGHBOUR, CLASSIFIER = "by the nearest training image", "by a classifier of clean images"
MISTAKEN = "mistaken digits"
NOISE = "pure noise"
ALIKE = "highest correlation with a training image"
PAGE_ERRORS = Path(__file__).parents[2] / "results" / "documents" / "documents.json"
DIRT = ("coffee", "folds", "footprints", "wrinkles")  # of scanned pages
SCANNED = "scanned pages, mean of four kinds of dirt"
Way = Callable[[Tensor], Tensor]


def fits(data: str) -> dict[str, list[str]]:
    """A denoising autoencoder, the plain one, and PCA; pages have a model of their own."""
    if data == "pages":
        return {}
    ours = ["variant=denoising_ae", *(["budget.epochs=30"] if data == "digits" else [])]
    return {OURS: ours, "plain autoencoder": ["variant=deep_ae"], "PCA": ["variant=pca"]}


def measure(lab: Lab) -> Found:
    """Errors of restored images, or of restored pages."""
    return on_pages() if lab.data == "pages" else on_images(lab)


def on_images(lab: Lab) -> Found:
    """Errors under each kind of noise, and digits that are mistaken for others."""
    x = lab.test[:IMAGES]
    ways: dict[str, list[Way]] = {name: [model.reconstruct for model in lab.models(name)] for name in lab.jobs}
    ways |= {"median filter": [lambda seen: median_filter(seen, seen)], AS_IS: [lambda seen: seen]}
    errors = {kind: errors_of(corruption, x, ways) for kind, corruption in (GAUSSIAN | other_kinds(lab.full)).items()}
    numbers = {f"{BEST}, {kind}": against_best(each) for kind, each in errors.items()}
    numbers |= mistaken(lab, ways)
    noise = corrupted(GaussianNoise(TRAINED), torch.zeros_like(x[:READ]))
    made = {name: [way(noise) for way in ways[name]] for name in (OURS, "plain autoencoder", "PCA")}
    numbers |= likeness(lab, x[:READ], noise, made)
    curves = {
        name: [statistics.mean(errors[f"Gaussian noise, std {std}"][name], SQUARED) for std in STDS] for name in ways
    }
    seen = corrupted(GAUSSIAN[f"Gaussian noise, std {STRONG}"], x)[:SHOWN]
    rows = {"clean": x[:SHOWN], f"noise, std {STRONG}": seen}
    rows |= {name: ways[name][0](seen) for name in (OURS, "plain autoencoder", "PCA", "median filter")}
    strokes = made[OURS][0][:SHOWN]
    rows |= {"pure noise": noise[:SHOWN], "made of it, brightened": strokes / strokes.amax((1, 2, 3), keepdim=True)}
    return Found(numbers, {"curves": curves, "rows": rows})


def mistaken(lab: Lab, ways: Mapping[str, list[Way]]) -> dict[str, Number]:
    """The share of digits that are mistaken for others, by two readers: clean, noisy and restored ones."""
    x, labels = lab.test[:READ], lab.test_labels[:READ]
    readers: dict[str, Way] = {
        NEIGHBOUR: lambda images: lab.train_labels[nearest(images.flatten(1), lab.train.flatten(1), 1)[1][:, 0]],
        CLASSIFIER: lambda images: lab.references.logits(images).argmax(1),
    }
    numbers = {}
    for reader, read in readers.items():
        numbers[f"{MISTAKEN} {reader}, clean images"] = statistics.share((read(x) != labels).double())
        for std, names in ((TRAINED, tuple(ways)), (STRONG, (OURS, AS_IS))):
            seen = corrupted(GAUSSIAN[f"Gaussian noise, std {std}"], x)
            wrong = {
                name: np.array([(read(way(seen)) != labels).double().numpy() for way in ways[name]]) for name in names
            }
            for name, each in wrong.items():
                numbers[f"{MISTAKEN} {reader}, {name}, std {std}"] = statistics.share(each)
            numbers[f"{MISTAKEN} {reader}, {OURS} less {AS_IS}, std {std}"] = statistics.difference(
                wrong[OURS], wrong[AS_IS]
            )
    return numbers


def likeness(lab: Lab, x: Tensor, noise: Tensor, made: Mapping[str, list[Tensor]]) -> dict[str, Number]:
    """How alike to a training image is what is made of pure noise, and how bright it is.

    The correlation does not depend on brightness: a faint stroke is as alike as a bright one.
    """
    train = directions(lab.train)

    def alike(images: Tensor) -> NDArray[np.float64]:
        found: NDArray[np.float64] = 1 - nearest(directions(images), train, 1)[0][:, 0].double().square().numpy() / 2
        return found

    numbers = {f"{ALIKE}, {name}": statistics.mean(alike(each)) for name, each in (("test images", x), (NOISE, noise))}
    for name, each in made.items():
        numbers[f"{ALIKE}, made of noise by {name}"] = statistics.mean([alike(one) for one in each])
    light = [one.clamp(0, 1).flatten(1).mean(1).double().numpy() for one in made[OURS]]
    numbers["brightness of what is made of noise over that of test images"] = statistics.ratio(
        light, x.flatten(1).mean(1).double().numpy()
    )
    return {key: one.within(-1, 1) if key.startswith(ALIKE) else one for key, one in numbers.items()}


def directions(images: Tensor) -> Tensor:
    """Images less their mean grey, scaled to length 1: (N, C, H, W) -> (N, P). Their products are correlations."""
    rows = images.flatten(1)
    return nn.functional.normalize(rows - rows.mean(1, keepdim=True), dim=1)


def other_kinds(full: bool) -> dict[str, Corruption]:
    """Noise that is not Gaussian; on images of a few pixels, more of it."""
    return {
        "salt and pepper": SaltAndPepper(0.3 if full else 0.5),
        "stains": Stain(blots=2, creases=1) if full else Stain(blots=20, creases=10),
        "coarse pixels": Pixelate(2),
    }


def corrupted(corruption: Corruption, x: Tensor) -> Tensor:
    """Corrupted images, always with the same noise."""
    return corruption(x, torch.Generator().manual_seed(0))[0]


def errors_of(corruption: Corruption, x: Tensor, ways: Mapping[str, list[Way]]) -> dict[str, NDArray[np.float64]]:
    """Mean squared error of each restored image: {way: (S, N)}."""
    seen = corrupted(corruption, x)
    return {name: np.array([per_image(way(seen) - x) for way in each]) for name, each in ways.items()}


def against_best(errors: Mapping[str, NDArray[np.float64]]) -> Number:
    """The error of the denoising autoencoder over the smallest of the others, which the unit names."""
    best = min((name for name in errors if name != OURS), key=lambda name: float(errors[name].mean()))
    return replace(statistics.ratio(errors[OURS], errors[best]), unit=f"times that of {best}")


def on_pages() -> Found:
    """Errors on drawn pages, and those on scanned pages that experiments.documents has measured."""
    from zoo.data.sources.page_pairs import black_pages

    saved = read_model(documents.MODEL)
    true = black_pages("test", PAGES, documents.SEED).float().div(255)
    dirty = corrupted(documents.WHOLE, true)
    clean = torch.stack([documents.clean(saved.model, saved.config, page[None])[0] for page in dirty])
    ways = {
        OURS: clean,
        AS_IS: dirty,
        "median filter": torch.stack([documents.median(page) for page in dirty]),
        DIVIDED: torch.stack([documents.flattened(page) for page in dirty]),
    }
    errors = {name: per_image(pages - true)[None] for name, pages in ways.items()}
    numbers = {f"{BEST}, drawn pages": against_best(errors)}
    scanned = json.loads(PAGE_ERRORS.read_text())["rmse"]["test pages"]
    ours = scanned.pop("document_ae")
    best = min(scanned, key=lambda way: float(scanned[way]["all"]))
    ratios = [(ours[dirt] / scanned[best][dirt]) ** 2 for dirt in DIRT]
    numbers[f"{BEST}, {SCANNED}"] = statistics.over_seeds(ratios, f"times that of pages {best}", positive=True)
    crop = (slice(1, 2), slice(None), slice(340, 420), slice(160, 480))  # with a fold, creases and coffee
    rows = {"dirty page": dirty, DIVIDED: ways[DIVIDED], "cleaned": clean}
    rows = {name: pages[crop] for name, pages in (rows | {"true page": true}).items()}
    return Found(numbers, {"rows": rows})


def cases(numbers: Numbers) -> list[Case]:
    """Noise as in training, weaker, stronger, and other kinds; pages; beside them, which digit it is."""
    every = "it restores images better than every other way"
    parts = {
        f"Gaussian noise, std {TRAINED}": f"Under noise as in training, {every}",
        f"Gaussian noise, std {WEAK}": f"Under noise of a fifth of that strength, {every}",
        f"Gaussian noise, std {STRONG}": f"Under noise of twice that strength, {every}",
        "salt and pepper": f"Under salt and pepper, {every}",
        "stains": f"Under stains, {every}",
        "coarse pixels": f"Of coarse pixels, {every}",
        "drawn pages": "It cleans drawn pages of folds, creases and coffee better than filters",
        SCANNED: "It cleans scanned pages of coffee, folds, footprints and wrinkles better than filters",
    }
    found = [
        Case.of(part, f"{BEST}, {kind}", numbers[f"{BEST}, {kind}"], below=1.0)
        for kind, part in parts.items()
        if f"{BEST}, {kind}" in numbers
    ]
    for reader in (NEIGHBOUR, CLASSIFIER):
        name = f"{MISTAKEN} {reader}, {OURS} less {AS_IS}, std {TRAINED}"
        if name in numbers:
            part = f"Restored digits are mistaken less often than noisy ones, {reader}"
            found.append(Case.of(part, name, numbers[name], below=0.0, beside=True))
    return found


def draw(found: Mapping[str, Found]) -> Figure:
    """Noisy images and what is made of them; errors by the strength of the noise; pages."""
    images = {data: one for data, one in found.items() if data != "pages"}
    rows = max(len(one.shown["rows"]) for one in images.values())
    boxes = [
        box
        for k in range(len(images))
        for box in (
            rows_box(1.5, 0.3 + 4.6 * k, SHOWN, rows, 0.46),
            (2.2 + SHOWN * 0.46, 0.3 + 4.6 * k, 2.6, rows * 0.46),
        )
    ]
    if "pages" in found:
        boxes.append((1.5, 0.3 + 4.6 * len(images), 4.8, 4.8))
    figure, panels = canvas(
        found,
        "Noisy images and pages, and what a denoising autoencoder makes of them",
        f"fitted to Gaussian noise of std {TRAINED} alone (dashed line), and on pages to dirt of these kinds; "
        "bars: 95 % intervals",
        boxes,
        right=1.5,
    )
    for k, (data, one) in enumerate(images.items()):
        pictures, curves = panels[2 * k : 2 * k + 2]
        draw_rows(pictures, one.shown["rows"])
        pictures.set_title(f"test images of {title_of(data)}")
        draw_lines(curves, {name: (STDS, each) for name, each in one.shown["curves"].items()})
        curves.set(yscale="log", xlabel="std of Gaussian noise", ylabel=SQUARED)
        curves.axvline(TRAINED, lw=0.8, ls="--", color="grey")
    if "pages" in found:
        draw_rows(panels[-1], found["pages"].shown["rows"])
        panels[-1].set_title("part of a page, by the autoencoder of experiments.documents")
    return figure


CLAIM = Claim(
    title="A denoising autoencoder removes noise, also of strengths and kinds that it never saw",
    claim="""An autoencoder that is fitted to give clean images from noisy ones restores images better than an
        autoencoder that has seen clean ones alone, than PCA, than a median filter and than leaving them as they are,
        also for strengths and kinds of noise that it never saw.""",
    why="""The best answer to a noisy image is the mean of all clean images that may be behind it. These lie near a
        surface of few dimensions, while noise points in all directions: the fit learns to lead back to the surface.""",
    equation="""
        x_hat = g(f(x + s eps)), eps ~ N(0, I), with least |x - x_hat|^2: the optimum is E[x | x + s eps]""",
    done=f"""A denoising autoencoder was fitted to Gaussian noise of one strength, and a plain autoencoder and PCA to
        clean images, all with codes of equal width. {IMAGES:,} test images were given noise of that strength, weaker
        and stronger noise, and other kinds of noise. Each restoration was compared with the clean image. The error is
        divided by that of the best alternative, which is named beside the number; doing nothing is one of them. Beside
        the claim, {READ:,} digits were read. A digit counts as mistaken if its nearest training
        image shows another digit, or if a classifier that was fitted to clean images takes it for another one. The same
        number of images of pure noise were given to the models, and what they make of them was compared with the
        training images by correlation, which does not depend on brightness. {PAGES} pages with drawn folds, creases and
        coffee, in fonts and words that are not in training, and scanned pages (NoisyOffice) were restored by the
        convolutional autoencoder of experiments.documents. It was fitted to dirt of these kinds, on other pages, and
        compared with a median filter, with division by the page's background and with the page as it is; there is no
        plain autoencoder or PCA for pages. The interval of the scanned pages is over four kinds of dirt: coffee, folds,
        footprints and wrinkles.""",
    fails="""Weak noise does less harm than the narrow code, and then a median filter is better. What is lost before the
        noise is added, as in coarse pixels, it does not bring back: there the plain autoencoder is better. Whether a
        restored digit is easier to read depends on the reader. The classifier of clean images mistakes fewer restored
        digits than noisy ones. By the nearest training image, which independent noise disturbs little, more of the
        restored ones are mistaken. Under strong noise, both readers take many restored digits for others. Of pure noise
        it makes faint strokes, which are more like training images than what the plain autoencoder or PCA make of it.
        """,
    data=("mnist", "pages"),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "ynyyynyy": """It holds for noise as strong as in training and stronger, for salt and pepper, for stains, and on
            pages with dirt of the kinds seen in fitting. Under weak noise a median filter is better, and the plain
            autoencoder restores coarse pixels better."""
    },
    draw=draw,
)
