"""A denoising autoencoder sees behind the noise, also behind noise that it never saw."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from experiments import documents
from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_lines, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import per_image
from zoo.evaluation.measures.neighbours import nearest
from zoo.evaluation.measures.restoration import median_filter
from zoo.model.corruptions import GaussianNoise, Pixelate, SaltAndPepper, Stain
from zoo.model.io import read_model
from zoo.types import Corruption

STDS = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
TRAINED, WEAK, STRONG = 0.5, 0.1, 1.0
GAUSSIAN: dict[str, Corruption] = {f"Gaussian noise, std {std}": GaussianNoise(std) for std in STDS}
IMAGES, SHOWN, PAGES = 2_000, 7, 6
OURS = "denoising autoencoder"
SQUARED = "squared error per pixel"
MISREAD = "digits taken for others, denoising autoencoder less the noisy image"
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
    """Errors under each kind of noise, and digits that are taken for others."""
    x, labels = lab.test[:IMAGES], lab.test_labels[:IMAGES]
    ways: dict[str, list[Way]] = {name: [model.reconstruct for model in lab.models(name)] for name in lab.jobs}
    ways |= {"median filter": [lambda seen: median_filter(seen, seen)], "the noisy image": [lambda seen: seen]}
    errors = {kind: errors_of(corruption, x, ways) for kind, corruption in (GAUSSIAN | other_kinds(lab.full)).items()}
    numbers = {f"error over that of the best other way, {kind}": against_best(each) for kind, each in errors.items()}
    for std in (TRAINED, STRONG):
        seen = corrupted(GAUSSIAN[f"Gaussian noise, std {std}"], x)
        wrong = {name: [misread(way(seen), labels, lab) for way in ways[name]] for name in (OURS, "the noisy image")}
        for name, each in wrong.items():
            numbers[f"digits taken for others, {name}, std {std}"] = statistics.mean(each)
        numbers[f"{MISREAD}, std {std}"] = statistics.difference(wrong[OURS], wrong["the noisy image"])
    noise = corrupted(GaussianNoise(TRAINED), torch.zeros_like(x))
    usual = nearest(x.flatten(1), lab.train.flatten(1), 1)[0][:, 0]
    from_noise = [nearest(way(noise).flatten(1), lab.train.flatten(1), 1)[0][:, 0] for way in ways[OURS]]
    numbers["distance of what is made of pure noise to the nearest training image, over that of test images"] = (
        statistics.ratio([each.numpy() for each in from_noise], usual.numpy())
    )
    curves = {
        name: [statistics.mean(errors[f"Gaussian noise, std {std}"][name], SQUARED) for std in STDS] for name in ways
    }
    seen = corrupted(GAUSSIAN[f"Gaussian noise, std {STRONG}"], x)[:SHOWN]
    rows = {"clean": x[:SHOWN], f"noise, std {STRONG}": seen}
    rows |= {name: ways[name][0](seen) for name in (OURS, "plain autoencoder", "PCA", "median filter")}
    rows |= {"pure noise": noise[:SHOWN], "made of it": ways[OURS][0](noise[:SHOWN])}
    return Found(numbers, {"curves": curves, "rows": rows})


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
    """The error of the denoising autoencoder over the smallest of the others."""
    best = min((each for name, each in errors.items() if name != OURS), key=lambda each: float(each.mean()))
    return statistics.ratio(errors[OURS], best)


def misread(images: Tensor, labels: Tensor, lab: Lab) -> NDArray[np.float64]:
    """Whether the nearest training image of each image is of another class: (N,)."""
    index = nearest(images.flatten(1), lab.train.flatten(1), 1)[1][:, 0]
    return (lab.train_labels[index] != labels).double().numpy()


def on_pages() -> Found:
    """Errors on drawn pages, and those on scanned pages that experiments.documents has measured."""
    from zoo.data.sources.page_pairs import black_pages

    saved = read_model(documents.MODEL)
    true = black_pages("test", PAGES, documents.SEED).float().div(255)
    dirty = corrupted(documents.WHOLE, true)
    clean = torch.stack([documents.clean(saved.model, saved.config, page[None])[0] for page in dirty])
    ways = {
        OURS: clean,
        "the noisy image": dirty,
        "median filter": torch.stack([documents.median(page) for page in dirty]),
        "divided by its background": torch.stack([documents.flattened(page) for page in dirty]),
    }
    errors = {name: per_image(pages - true)[None] for name, pages in ways.items()}
    numbers = {"error over that of the best other way, drawn pages": against_best(errors)}
    scanned = json.loads(PAGE_ERRORS.read_text())["rmse"]["test pages"]
    ours = scanned.pop("document_ae")
    best = min(scanned.values(), key=lambda errors: float(errors["all"]))
    ratios = [(ours[dirt] / best[dirt]) ** 2 for dirt in DIRT]
    numbers[f"error over that of the best other way, {SCANNED}"] = statistics.over_seeds(ratios)
    crop = (slice(0, 1), slice(None), slice(110, 190), slice(60, 380))
    rows = {"dirty page": dirty[crop], "median filter": ways["median filter"][crop], "cleaned": clean[crop]}
    return Found(numbers, {"rows": rows})


def cases(numbers: Numbers) -> list[Case]:
    """Noise of the strength seen in training, weaker, stronger, and other kinds; which digit it is; pages."""
    error = "error over that of the best other way, "
    whens = {
        f"Gaussian noise, std {TRAINED}": "for noise as in training",
        f"Gaussian noise, std {WEAK}": "for noise of a fifth of its strength",
        f"Gaussian noise, std {STRONG}": "for noise of twice its strength",
        "salt and pepper": "for salt and pepper",
        "stains": "for stains",
        "coarse pixels": "for coarse pixels",
        "drawn pages": "for drawn pages with creases and coffee",
        SCANNED: "for scanned pages with folds, coffee and other dirt",
    }
    found = [
        Case.of(when, error + kind, numbers[error + kind], below=1.0)
        for kind, when in whens.items()
        if error + kind in numbers
    ]
    wrong = f"{MISREAD}, std {TRAINED}"
    if wrong in numbers:
        found.append(Case.of("for which digit it is, by the nearest training image", wrong, numbers[wrong], below=0.0))
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
        boxes.append((1.5, 0.3 + 4.6 * len(images), 4.8, 3.6))
    figure, panels = canvas(
        "A denoising autoencoder sees behind the noise, and under strong noise makes digits up",
        f"fitted to Gaussian noise of std {TRAINED} alone; bars: 95 % intervals",
        boxes,
        right=1.5,
    )
    for k, (data, one) in enumerate(images.items()):
        pictures, curves = panels[2 * k : 2 * k + 2]
        draw_rows(pictures, one.shown["rows"])
        pictures.set_title(f"test images of {data}")
        draw_lines(curves, {name: (STDS, each) for name, each in one.shown["curves"].items()})
        curves.set(yscale="log", xlabel="std of Gaussian noise", ylabel=SQUARED)
        curves.axvline(TRAINED, lw=0.8, ls="--", color="grey")
    if "pages" in found:
        draw_rows(panels[-1], found["pages"].shown["rows"])
        panels[-1].set_title("part of a page, by the autoencoder of experiments.documents")
    return figure


CLAIM = Claim(
    title="A denoising autoencoder sees behind the noise",
    claim="""An autoencoder that is fitted to give clean images from noisy ones restores images better than an
        autoencoder that has seen clean ones alone, than PCA and than a median filter, also for strengths and kinds of
        noise that it never saw.""",
    why="""The best answer to a noisy image is the mean of all clean images that may be behind it. These lie near a
        surface of few dimensions, while noise points in all directions: the fit learns to lead back to the surface.""",
    equation="""
        x_hat = g(f(x + s eps)), eps ~ N(0, I), with least |x - x_hat|^2: the optimum is E[x | x + s eps]""",
    done="""A denoising autoencoder was fitted to Gaussian noise of one strength, and a plain autoencoder and PCA to
        clean images, all with codes of equal width. Test images were given noise of that strength, weaker and stronger
        noise, and other kinds of noise. Each restoration was compared with the clean image. The error is divided by
        that of the best other way, among which is to leave the noisy image as it is. Digits are called taken for others
        where the nearest training image is of another class. Pages with drawn folds, creases and coffee, in fonts and
        words that are not in training, and scanned pages (NoisyOffice) were restored by the convolutional autoencoder
        of experiments.documents, and compared with division by the page's background, too. The interval of the scanned
        pages is over four kinds of dirt: coffee, folds, footprints and wrinkles.""",
    fails="""Weak noise does less harm than the narrow code, and then the image is best left as it is. The restoration
        is nearer to the clean image, but not easier to read: what is made of an image resembles the training images,
        and under strong noise it is often another digit, with nothing in it that says so. Of pure noise it makes
        strokes, too. What is lost before the noise is added, as in coarse pixels, it does not bring back.""",
    data=("mnist", "pages"),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
