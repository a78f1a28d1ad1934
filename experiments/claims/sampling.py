"""New images come from any method: a plain autoencoder with a fitted density, and a VAE."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import decoded, encoded
from zoo.density.gaussian import GaussianDensity
from zoo.density.gaussian_mixture import MixtureDensity
from zoo.density.kernel import KernelEstimate
from zoo.evaluation.measures.distances import Likeness, Reals, likeness
from zoo.model.autoencoder import Autoencoder
from zoo.types import Density, HasPrior

IMAGES, CODES, SHOWN = 2_000, 10_000, 12
DENSITIES = {"Gaussian": GaussianDensity, "mixture": MixtureDensity, "kernel": KernelEstimate}
WAYS = {  # model and density; "prior" is the model's own
    "PCA": ("Gaussian", "mixture"),
    "autoencoder": ("Gaussian", "mixture", "kernel"),
    "VAE": ("prior", "mixture"),
}
AE_GAUSSIAN, AE_MIXTURE, PCA_MIXTURE = "autoencoder, Gaussian", "autoencoder, mixture", "PCA, mixture"
VAE_PRIOR, VAE_MIXTURE = "VAE, prior", "VAE, mixture"
COMPARED = {  # condition: the way that should be better, and the other one
    "for a mixture against one Gaussian, codes of an autoencoder": (AE_MIXTURE, AE_GAUSSIAN),
    "for an autoencoder with a mixture against a VAE with its prior": (AE_MIXTURE, VAE_PRIOR),
    "for an autoencoder with a mixture against a VAE with a mixture": (AE_MIXTURE, VAE_MIXTURE),
    "for PCA with a mixture against a VAE with its prior": (PCA_MIXTURE, VAE_PRIOR),
}


def fits(data: str) -> dict[str, list[str]]:
    """PCA, an autoencoder, a VAE."""
    return {"PCA": ["variant=pca"], "autoencoder": ["variant=deep_ae"], "VAE": ["variant=vae"]}


def measure(lab: Lab) -> Found:
    """How samples of each way compare with test images."""
    reals = Reals(lab.references.test_features[:IMAGES])
    sets: dict[str, list[Likeness]] = {}
    rows = {"test images": lab.test[:SHOWN]}
    for name, densities in WAYS.items():
        for model in lab.models(name):
            for density in densities:
                images = samples(model, lab.train[:CODES], density, len(reals.features))
                way = f"{name}, {density}"
                sets.setdefault(way, []).append(likeness(reals, lab.references.features(images)))
                rows.setdefault(way, images[:SHOWN])
    numbers = {}
    for way, each in sets.items():
        numbers[f"Frechet distance, {way}"] = statistics.compared([one.frechet for one in each])
        numbers[f"quality (precision), {way}"] = statistics.compared([one.manifold.precision for one in each])
        numbers[f"coverage, {way}"] = statistics.compared([one.manifold.coverage for one in each])
    for better, other in COMPARED.values():
        a, b = sets[better], sets[other]
        both = list(zip(a if len(a) >= len(b) else a * len(b), b if len(b) >= len(a) else b * len(a), strict=True))
        numbers[difference(better, other)] = statistics.compared([(x.frechet, y.frechet) for x, y in both])
    return Found(numbers, {"rows": rows})


def difference(better: str, other: str) -> str:
    """The name of the difference of two ways."""
    return f"Frechet distance, {better} less {other}"


def samples(model: Autoencoder, train: Tensor, density: str, count: int) -> Tensor:
    """New images: (N, C, H, W)."""
    if density == "prior":
        assert isinstance(model.bottleneck, HasPrior)
        return decoded(model, model.bottleneck.sample(count, torch.Generator().manual_seed(0)))
    fitted: Density = DENSITIES[density]().fit(encoded(model, train))
    return decoded(model, fitted.sample(count, 0))


def cases(numbers: Numbers) -> list[Case]:
    """Pairs of ways, compared by the Frechet distance of their samples from test images."""
    names = {when: difference(*pair) for when, pair in COMPARED.items()}
    return [Case.of(when, name, numbers[name], below=0.0) for when, name in names.items()]


def draw(found: Mapping[str, Found]) -> Figure:
    """Samples of each way beside its three scores."""
    (one,) = found.values()
    rows, cell = one.shown["rows"], 0.46
    left, high = 1.9 + SHOWN * cell + 0.3, len(rows) * cell
    figure, (pictures, *dots) = canvas(
        "New images from PCA, an autoencoder and a VAE",
        "decoded draws of a density of codes, or of the VAE's prior, compared with test images in features of a "
        "classifier (a low Frechet distance, a high precision and coverage are good); bars: 95 % intervals",
        [rows_box(1.9, 0.25, SHOWN, len(rows), cell), *((left + 1.7 * k, 0.25, 1.5, high) for k in range(3))],
    )
    draw_rows(pictures, rows)
    for panel, score in zip(dots, ("Frechet distance", "quality (precision)", "coverage"), strict=True):
        draw_dots(panel, {way: one.numbers[f"{score}, {way}"] for way in rows if f"{score}, {way}" in one.numbers})
        panel.set(yticklabels=[], title=score)
        panel.set_ylim(len(rows) - 1.5, -1.5)  # level with the rows of images
    return figure


CLAIM = Claim(
    title="New images come from any method: a plain autoencoder with a mixture samples like a VAE",
    claim="""A VAE has a prior to draw from. But a density can be fitted to the codes of any model after training, and
        its draws decoded: a plain autoencoder with a mixture of Gaussians then gives images as good as those of a
        VAE.""",
    why="""A sample needs a code that is like those of images, and a decoder. A VAE forces its codes towards a fixed
        prior, which costs reconstruction, and never quite succeeds; a density fitted afterwards follows the codes as
        they are.""",
    equation="""
        p(x) = integral of p(z) p(x | z) dz, with p(z) = N(0, I) in a VAE, or fitted to codes z_n = f(x_n) of any model
        Frechet distance: |m - m'|^2 + tr(S + S' - 2 (S S')^1/2) of features of samples and of test images""",
    done="""Codes of training images were described by one Gaussian, by a mixture of ten with full covariances and by a
        kernel on each code. As many draws as test images were decoded and compared with these in the features of a
        small classifier: by the Frechet distance, by precision (samples that are near some test image: quality) and by
        coverage (test images with a sample nearby).""",
    fails="""One Gaussian does not describe the codes of an autoencoder, which form clusters. A wide code needs a better
        density than a mixture. PCA has as good a density as any, and decodes to blurred sums of its components. A
        kernel on each code gives images close to training images: it is hard to tell from a copy. Scores are in the
        features of a small classifier and rank methods on one data set alone.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
