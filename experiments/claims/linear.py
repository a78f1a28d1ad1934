"""An autoencoder with the identity activation recovers PCA."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

import zoo
from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_lines, log_scale
from experiments.claims.lab import Lab
from experiments.claims.models import errors
from zoo.model.autoencoder import Autoencoder
from zoo.model.linear_decoder import columns

WAYS = {  # what is fitted -> how it is called in the texts
    "tied": "tied weights",
    "free": "free weights",
    "slow": "free weights, a hundredth of the rate",
}
CLOSE, SAME = 10.0, 1.02  # degrees; ratio of errors
WHITENED = 5_000  # images, at most
DEGREES = "degrees"


def fits(data: str) -> dict[str, list[str]]:
    """PCA, SVD without centring, and the linear autoencoder in three ways."""
    long = {
        "digits": ["width=4", "budget.epochs=40"],
        "mnist": ["budget.epochs=10"],
        "faces": ["optimizer=adamw_linear", "budget.epochs=400"],
    }[data]
    return {
        "pca": ["variant=pca", *long],
        "svd": ["variant=svd", *long],
        "tied": ["variant=linear_ae_tied", *long],
        "free": ["variant=linear_ae", *long],
        "slow": ["variant=linear_ae", "optimizer.lr=1.6e-4", *long],
    }


def measure(lab: Lab) -> Found:
    """Errors on test images, and angles between the subspaces of decoders."""
    (pca,), (svd,) = lab.models("pca"), lab.models("svd")
    axes = atoms(pca)
    reference = errors(pca, lab.test)
    numbers: dict[str, Number] = {}
    shown: dict[str, list[Number]] = {}
    for key, way in WAYS.items():
        models = lab.models(key)
        turned = np.array([principal_angles(axes, atoms(model)) for model in models])
        numbers[f"error over that of PCA, {way}"] = statistics.ratio([errors(m, lab.test) for m in models], reference)
        numbers[f"largest angle to the subspace of PCA, {way}"] = statistics.over_seeds(turned.max(1), DEGREES)
        shown[way] = [statistics.over_seeds(column, DEGREES) for column in turned.T]
    free = lab.models("free")
    numbers["cosine of a unit and the nearest principal axis, free weights"] = statistics.over_seeds(
        [nearest_axis(axes, atoms(model)) for model in free]
    )
    numbers["distance of the decoder from the encoder's transpose over its norm, free weights"] = statistics.over_seeds(
        [from_transpose(model) for model in free]
    )
    ratio, turned = whitened(lab)
    numbers["error over that of PCA, whitened images"] = ratio
    numbers["largest angle to the subspace of PCA, whitened images"] = statistics.over_seeds(turned.max(1), DEGREES)
    shown["free weights, whitened images"] = [statistics.over_seeds(column, DEGREES) for column in turned.T]
    numbers["error over that of PCA, SVD without centring"] = statistics.ratio(errors(svd, lab.test), reference)
    first, mean = atoms(svd)[:1], lab.train.mean(0).flatten()[None]
    numbers["angle between the first axis of SVD without centring and the mean image"] = Number(
        float(principal_angles(first, mean)[0]), unit=DEGREES
    )
    return Found(numbers, shown)


def atoms(model: Autoencoder) -> Tensor:
    """What each unit adds to an image: (D, P)."""
    width = model.bottleneck.out_features
    with torch.no_grad():
        return columns(model.decode, width, model.decode(torch.zeros(1, width))).flatten(1)


def principal_angles(a: Tensor, b: Tensor) -> NDArray[np.float64]:
    """Principal angles between the row spaces of a, b: (D, P), smallest first, in degrees."""
    bases = [torch.linalg.qr(part.double().T).Q for part in (a, b)]
    sines = torch.linalg.svdvals(bases[1] - bases[0] @ (bases[0].T @ bases[1])).flip(0)  # exact for small angles
    found: NDArray[np.float64] = sines.clamp(max=1).asin().rad2deg().numpy()
    return found


def nearest_axis(axes: Tensor, units: Tensor) -> float:
    """Mean over units of the largest absolute cosine to an axis."""
    a, b = (torch.nn.functional.normalize(part.double(), dim=1) for part in (axes, units))
    return float((b @ a.T).abs().amax(1).mean())


def from_transpose(model: Autoencoder) -> float:
    """|V - W^T| / |V| of a decoder V and an encoder W."""
    encoder = next(part for part in model.encoder.modules() if isinstance(part, torch.nn.Linear))
    decoder = atoms(model)
    return float(((decoder - encoder.weight).norm() / decoder.norm()).detach())


def whitened(lab: Lab) -> tuple[Number, NDArray[np.float64]]:
    """The same on images whose principal components are scaled to the same variance.

    Returns:
        The ratio of errors, and the angles for each seed: (S, D).
    """
    from sklearn.decomposition import PCA

    width = lab.models("pca")[0].bottleneck.out_features
    rows = [part.flatten(1).numpy() for part in (lab.train[:WHITENED], lab.test)]
    white = PCA(2 * width, whiten=True, random_state=0).fit(rows[0])
    train, test = (white.transform(part).astype(np.float32) for part in rows)
    fitted = partial(zoo.fit, x=train, width=width, kind="vector", standardise=False, progress=False)
    pca, models = fitted("pca"), [fitted("linear_ae", seed=seed, epochs=20) for seed in range(lab.seeds)]
    lost = [((model.reconstruct(test) - test) ** 2).sum(1) for model in (pca, *models)]
    turned = [principal_angles(atoms(pca.module), atoms(model.module)) for model in models]
    return statistics.ratio(lost[1:], lost[0]), np.array(turned)


def cases(numbers: Numbers) -> list[Case]:
    """The error, the subspace, the units; what the rate and whitening change; SVD without centring."""
    error, angle = "error over that of PCA", "largest angle to the subspace of PCA"
    unit, mean = (
        "cosine of a unit and the nearest principal axis, free weights",
        "angle between the first axis of SVD without centring and the mean image",
    )
    return [
        *(
            Case.of(f"for the {what} with {WAYS[way]}", name, numbers[name], below=bound)
            for way in ("tied", "free")
            for what, name, bound in (
                ("error", f"{error}, {WAYS[way]}", SAME),
                ("subspace", f"{angle}, {WAYS[way]}", CLOSE),
            )
        ),
        Case.of("for single units, which are principal axes", unit, numbers[unit], above=0.95),
        Case.of(
            "at a hundredth of the rate in as many steps",
            f"{error}, {WAYS['slow']}",
            numbers[f"{error}, {WAYS['slow']}"],
            below=SAME,
        ),
        Case.of(
            "for the subspace of whitened images",
            f"{angle}, whitened images",
            numbers[f"{angle}, whitened images"],
            below=CLOSE,
        ),
        Case.of("for SVD without centring, whose first axis is the mean image", mean, numbers[mean], below=CLOSE),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Principal angles by their rank, and ratios of errors, for each data set."""
    boxes = [box for k in range(len(found)) for box in ((0.6, 0.3 + 3.3 * k, 3.4, 2.4), (7.9, 0.3 + 3.3 * k, 2.4, 2.4))]
    figure, panels = canvas(
        "A linear autoencoder finds the subspace of PCA, where that is unique",
        "angles between the subspaces of decoders and of PCA, and ratios of test errors; bars: 95 % intervals",
        boxes,
    )
    for k, (data, one) in enumerate(found.items()):
        angles, ratios = panels[2 * k : 2 * k + 2]
        draw_lines(angles, {way: (range(1, len(each) + 1), each) for way, each in one.shown.items()})
        least = min(number.value for each in one.shown.values() for number in each)
        angles.set(xlabel="principal angle, smallest first", ylabel="degrees (log scale)", title=data)
        angles.set(yscale="log", ylim=(0.7 * least, 100))
        draw_dots(
            ratios, {n.partition(", ")[2]: v for n, v in one.numbers.items() if n.startswith("error over")}, bound=1.0
        )
        ratios.set(xlabel="test error over that of PCA (log scale)")
        log_scale(ratios)
    return figure


CLAIM = Claim(
    title="An autoencoder with the identity activation recovers PCA",
    claim="""An autoencoder with one linear layer on each side, fitted by gradients to the squared error, finds what PCA
        computes in closed form: the same error and the same subspace. With tied weights, the decoder is the encoder's
        transpose.""",
    why="""The best linear code of a given width spans the subspace of the leading eigenvectors of the covariance, and
        the squared error of a linear autoencoder has no other local minima (Baldi and Hornik 1989).""",
    equation="""
        min over W, V, a, b of sum_n |x_n - V (W x_n + a) - b|^2
        optimum: V W = U U^T, b = mean - V W mean - V a, with U the leading eigenvectors of the covariance
        V may be U R for any invertible R, W is then R^-1 U^T; tied weights, V = W^T, leave rotations R only""",
    done="""The linear autoencoder was fitted with tied and with free weights, at its usual rate and at a hundredth of
        it. The subspace that its decoder spans was compared with that of PCA by principal angles, and its error on test
        images with PCA's. The same was done for whitened images, whose principal components all have the same variance,
        and PCA was compared with the SVD of images that are not centred, which is the best linear code without
        biases.""",
    fails="""The units of the autoencoder are no principal axes: any invertible mixture of them gives the same
        reconstruction (nested dropout or a closed form order them). Where eigenvalues beyond the last unit are nearly
        equal, and after whitening all are, many subspaces are equally good, and gradients find any of them. Directions
        of little variance are learned last, so that a small rate or few steps miss them. Without biases, or without
        centring, one axis is spent on the mean image.""",
    data=("mnist", "faces"),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
