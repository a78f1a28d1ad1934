"""New images come from any method: a plain autoencoder with a fitted density, and a VAE."""

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
from experiments.claims.models import decoded, encoded
from zoo.density.gaussian import GaussianDensity
from zoo.density.gaussian_mixture import MixtureDensity
from zoo.density.kernel import KernelEstimate
from zoo.evaluation.measures.distances import Likeness, Reals, likeness
from zoo.evaluation.measures.neighbours import nearest
from zoo.model.autoencoder import Autoencoder
from zoo.types import Density, HasPrior

IMAGES, CODES, SHOWN = 2_000, 10_000, 12
DENSITIES = {"Gaussian": GaussianDensity, "mixture": MixtureDensity, "kernel": KernelEstimate}
WAYS = {  # model and density; "prior" is the model's own
    "PCA": ("Gaussian", "mixture"),
    "autoencoder": ("Gaussian", "mixture", "kernel"),
    "VAE": ("prior", "mixture"),
}
AE_GAUSSIAN, AE_MIXTURE, AE_KERNEL = "autoencoder, Gaussian", "autoencoder, mixture", "autoencoder, kernel"
PCA_MIXTURE, VAE_PRIOR, VAE_MIXTURE = "PCA, mixture", "VAE, prior", "VAE, mixture"
MARGIN = 1.0  # Frechet distances larger by less count as no worse
COMPARED = (  # two ways whose Frechet distances are compared
    (AE_MIXTURE, VAE_PRIOR),
    (AE_MIXTURE, VAE_MIXTURE),
    (PCA_MIXTURE, AE_MIXTURE),
    (PCA_MIXTURE, VAE_PRIOR),
    (AE_MIXTURE, AE_GAUSSIAN),
    (AE_KERNEL, AE_MIXTURE),
)
BLUR = f"sharpness, {PCA_MIXTURE} over {AE_MIXTURE}"


def fits(data: str) -> dict[str, list[str]]:
    """PCA, an autoencoder, a VAE."""
    return {"PCA": ["variant=pca"], "autoencoder": ["variant=deep_ae"], "VAE": ["variant=vae"]}


def measure(lab: Lab) -> Found:
    """How samples of each way compare with test images."""
    reals = Reals(lab.references.test_features[:IMAGES])
    sets: dict[str, list[Likeness]] = {}
    sharp: dict[str, list[NDArray[np.float64]]] = {}
    near: dict[str, list[NDArray[np.float64]]] = {}
    rows = {"test images": lab.test[:SHOWN]}
    for name, densities in WAYS.items():
        for model in lab.models(name):
            for density in densities:
                images = samples(model, lab.train[:CODES], density, len(reals.features))
                way = f"{name}, {density}"
                features = lab.references.features(images)
                sets.setdefault(way, []).append(likeness(reals, features))
                sharp.setdefault(way, []).append(sharpness(images))
                if way in (AE_MIXTURE, AE_KERNEL):
                    distance = nearest(features, lab.references.train_features, 1)[0][:, 0]
                    near.setdefault(way, []).append(distance.double().numpy())
                rows.setdefault(way, images[:SHOWN])
    numbers = {}
    for way, each in sets.items():
        numbers[f"Frechet distance, {way}"] = statistics.compared([one.frechet for one in each])
        numbers[f"quality (precision), {way}"] = statistics.compared([one.manifold.precision for one in each]).within(
            0, 1
        )
        numbers[f"coverage, {way}"] = statistics.compared([one.manifold.coverage for one in each]).within(0, 1)
    for way, other in COMPARED:
        a, b = sets[way], sets[other]
        both = list(zip(a if len(a) >= len(b) else a * len(b), b if len(b) >= len(a) else b * len(a), strict=True))
        numbers[difference(way, other)] = statistics.compared([(x.frechet, y.frechet) for x, y in both])
    whole = sharpness(lab.test[:IMAGES])
    for way, found in sharp.items():
        numbers[f"sharpness over that of test images, {way}"] = statistics.ratio(found, whole)
    numbers[BLUR] = statistics.ratio(sharp[PCA_MIXTURE], sharp[AE_MIXTURE])
    usual = nearest(reals.features, lab.references.train_features, 1)[0][:, 0].double().numpy()
    for way in (AE_MIXTURE, AE_KERNEL):
        numbers[f"distance to the nearest training image, {way} over test images"] = statistics.ratio(near[way], usual)
    return Found(numbers, {"rows": rows})


def difference(way: str, other: str) -> str:
    """The name of the difference of two ways."""
    return f"Frechet distance, {way} less {other}"


def sharpness(images: Tensor) -> NDArray[np.float64]:
    """Mean absolute difference of neighbouring pixels, in [0, 1]: (N,)."""
    x = images.clamp(0, 1).double()
    across, down = (x.diff(dim=side).abs().flatten(1).mean(1) for side in (3, 2))
    found: NDArray[np.float64] = (across + down).numpy()
    return found


def samples(model: Autoencoder, train: Tensor, density: str, count: int) -> Tensor:
    """New images: (N, C, H, W)."""
    if density == "prior":
        assert isinstance(model.bottleneck, HasPrior)
        return decoded(model, model.bottleneck.sample(count, torch.Generator().manual_seed(0)))
    fitted: Density = DENSITIES[density]().fit(encoded(model, train))
    return decoded(model, fitted.sample(count, 0))


def cases(numbers: Numbers) -> list[Case]:
    """Pairs of ways, compared by the Frechet distance of their samples from test images."""

    def case(part: str, name: str, beside: bool = False, **rule: float) -> Case:
        return Case.of(part, name, numbers[name], beside=beside, **rule)

    prior, mixture, pca, pca_prior, better, best = (difference(*pair) for pair in COMPARED)
    return [
        case("An autoencoder with a mixture samples no worse than a VAE with its prior", prior, below=MARGIN),
        case("It samples no worse than a VAE with a mixture", mixture, below=MARGIN),
        case("PCA with a mixture samples no worse than the autoencoder with one", pca, below=MARGIN),
        case("PCA with a mixture samples no worse than a VAE with its prior", pca_prior, True, below=MARGIN),
        case("On codes of an autoencoder, a mixture is better than one Gaussian", better, True, below=0.0),
        case("A kernel on each of these codes is better than the mixture", best, True, below=0.0),
        case("Images of PCA with a mixture are blurrier than those of an autoencoder with one", BLUR, True, below=1.0),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Samples of each way beside its scores."""
    (one,) = found.values()
    rows, cell = one.shown["rows"], 0.46
    left, high = 1.9 + SHOWN * cell + 0.3, len(rows) * cell
    titles = {
        "Frechet distance": "Frechet distance\n(low is good)",
        "quality (precision)": "quality (precision)\n(high is good)",
        "coverage": "coverage\n(high is good)",
        "sharpness over that of test images": "sharpness\n(test images: 1)",
    }
    figure, (pictures, *dots) = canvas(
        found,
        "New images from PCA, an autoencoder and a VAE",
        "decoded draws of a density of codes, or of the VAE's prior, compared with test images, the first three in "
        "features of a classifier; bars: 95 % intervals",
        [rows_box(1.9, 0.4, SHOWN, len(rows), cell), *((left + 1.75 * k, 0.4, 1.5, high) for k in range(len(titles)))],
    )
    draw_rows(pictures, rows)
    for panel, (score, title) in zip(dots, titles.items(), strict=True):
        draw_dots(panel, {way: one.numbers[f"{score}, {way}"] for way in rows if f"{score}, {way}" in one.numbers})
        panel.set(yticklabels=[], title=title)
        panel.margins(x=0.15)
        panel.set_ylim(len(rows) - 1.5, -1.5)  # level with the rows of images
    return figure


CLAIM = Claim(
    title="New images come from any method: a plain autoencoder with a mixture samples no worse than a VAE",
    claim="""A VAE has a prior to draw from. But a density can be fitted to the codes of any model after training, and
        its draws decoded: a plain autoencoder with a mixture of Gaussians then gives images at least as good as those
        of a VAE. The model does not matter: PCA will do.""",
    why="""A sample needs a code that is like those of images, and a decoder. A VAE forces its codes towards a fixed
        prior, which costs reconstruction, and never quite succeeds; a density fitted afterwards follows the codes as
        they are. P. Ghosh et al. (2020, arXiv:1903.12436) found samples of such autoencoders, of regularised ones above
        all, to be as good as those of VAEs, or better.""",
    equation="""
        p(x) = integral of p(z) p(x | z) dz, with p(z) = N(0, I) in a VAE, or fitted to codes z_n = f(x_n) of any model
        Frechet distance: |m - m'|^2 + tr(S + S' - 2 (S S')^1/2) of features of samples and of test images""",
    done=f"""Codes of up to {CODES:,} training images were described by one Gaussian, by a mixture of ten with full
        covariances and by a kernel on each code. As many draws as test images, up to {IMAGES:,}, were decoded and
        compared with these in the features of a small classifier: by the Frechet distance, by precision (samples that
        are near some test image: quality) and by coverage (test images with a sample nearby). A way counts as no worse
        if its Frechet distance is larger by less than {MARGIN:g}. Sharpness is the mean absolute difference of
        neighbouring pixels. The Frechet distance falls with the number of images compared: it may be compared within
        this table, and not with one from other numbers of images.""",
    fails="""With one Gaussian in place of the mixture, the autoencoder samples much worse. The VAE, too, samples
        better with a mixture than with its prior. PCA decodes the same kind of density to blurred images, and
        precision does not notice: that of PCA with a mixture is as high as the autoencoder's. By the Frechet distance,
        a kernel on each code is better still than the mixture; on average, its images are farther from training images
        than test images are, so that most are no copies. All scores are in the features of one small classifier, on
        one data set.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "yyn": """It holds for the autoencoder: with a mixture, it samples better than a VAE does from its prior, and no
            worse than a VAE with a mixture. It does not hold for every model: PCA with a mixture is worse, and its
            images are blurred.""",
        "y?n": """It holds for the autoencoder against a VAE that draws from its prior. Whether it samples as well as a
            VAE with a mixture is undecided. It does not hold for every model: PCA with a mixture is worse, and its
            images are blurred.""",
    },
    draw=draw,
)
