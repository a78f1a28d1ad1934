"""A code that is wider than the input copies, unless it is sparse or the input is noisy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import encoded, reconstructed
from zoo.model.autoencoder import Autoencoder
from zoo.model.linear_decoder import columns

PLAIN, NOISY, SPARSE, NARROW = "wide, no constraint", "wide, noisy input", "wide, sparse", "narrow (PCA)"
IMAGES, SHOWN, ATOMS = 1_000, 8, 16
COPIED = 0.05  # of static's variance that is lost: below it, static is copied
LOCAL = "pixels that an atom covers, sparse over unconstrained"
LOST = "share of the variance that is lost"


def fits(data: str) -> dict[str, list[str]]:
    """A linear autoencoder with more units than pixels, in three ways, and PCA."""
    units, linear, sparse = {
        "digits": (256, ["budget.epochs=25"], ["budget.epochs=25"]),
        "mnist": (1024, ["budget.epochs=2"], []),
    }[data]
    # orthogonal updates reach directions of little variance as fast as those of much
    wide = ["variant=overcomplete_ae", f"bottleneck.width={units}", "optimizer=muon", "optimizer.largest=null", *linear]
    return {
        PLAIN: wide,
        NOISY: [*wide, "corruption=gaussian"],
        SPARSE: ["variant=topk", f"bottleneck.units={units}", *sparse],
        NARROW: ["variant=pca"],
    }


def measure(lab: Lab) -> Found:
    """What is lost of digits and of static, and how many pixels an atom covers."""
    x = lab.test[:IMAGES]
    sets = {"digits": x, "static": static(x)}
    numbers: dict[str, Number] = {}
    covered: dict[str, list[float]] = {}
    pictures, rows = {"static": sets["static"][:SHOWN]}, {}
    for name in lab.jobs:
        models = lab.models(name)
        for kind, images in sets.items():
            lost = [((reconstructed(model, images) - images).square().flatten(1).sum(1)).numpy() for model in models]
            spread = (images - images.mean(0)).square().flatten(1).sum(1).numpy()
            numbers[f"lost of {kind}, {name}"] = statistics.ratio(lost, spread)
        covered[name] = [float(coverage(atoms(model, lab.train)).mean()) for model in models]
        numbers[f"share of the pixels that an atom covers, {name}"] = statistics.over_seeds(covered[name])
        pictures[name] = reconstructed(models[0], pictures["static"])
        rows[name] = coloured(atoms(models[0], lab.train)[:ATOMS])
    numbers[LOCAL] = statistics.over_seeds(np.array(covered[SPARSE]) / np.mean(covered[PLAIN]))
    return Found(numbers, {"static": pictures, "atoms": rows})


def static(x: Tensor) -> Tensor:
    """Images whose pixels are independent, each drawn from the values of that pixel in x: (N, C, H, W)."""
    order = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).argsort(0)
    return x.gather(0, order)


def atoms(model: Autoencoder, train: Tensor) -> Tensor:
    """What units add to an image, those first that carry most variance of training images: (M, C, H, W)."""
    codes = encoded(model, train[: 4 * IMAGES])
    width = codes.shape[1]
    found = columns(model.decode, width, model.decode(torch.zeros(1, width)))
    carried = found.flatten(1).norm(dim=1) * codes.std(0)
    order = carried.argsort(descending=True, stable=True)
    return found[order[: int((carried > 1e-3 * carried.max()).sum())]]


def coverage(found: Tensor) -> NDArray[np.float64]:
    """Share of the pixels that an atom covers, (sum a^2)^2 / (P sum a^4): 1 if all are equal, 1 / P if it is one."""
    squares = found.flatten(1).double().square()
    share: NDArray[np.float64] = (squares.sum(1).square() / squares.square().sum(1) / squares.shape[1]).numpy()
    return share


def coloured(found: Tensor) -> Tensor:
    """Atoms as grey images, each to its own scale, 0 as grey."""
    return 0.5 + 0.5 * found / found.abs().flatten(1).amax(1)[:, None, None, None]


def cases(numbers: Numbers) -> list[Case]:
    """It copies static without a constraint, and does not with noise or sparsity, whose atoms are local."""
    plain, noisy, sparse = (f"lost of static, {name}" for name in (PLAIN, NOISY, SPARSE))
    return [
        Case.of("for a wide code without a constraint, which copies static", plain, numbers[plain], below=COPIED),
        Case.of("for noise on the input, with which static is not copied", noisy, numbers[noisy], above=COPIED),
        Case.of("for a sparse code, which does not copy static", sparse, numbers[sparse], above=COPIED),
        Case.of("for atoms of a sparse code, which cover fewer pixels", LOCAL, numbers[LOCAL], below=1.0),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Static and its reconstructions, what is lost, and atoms."""
    (one,) = found.values()
    cell = 0.42
    figure, (pictures, dots, rows) = canvas(
        "Wider than the input, a code copies, unless it is sparse or its input noisy",
        "static, that is independent pixels, reconstructed by models of digits, and atoms of their decoders",
        [
            rows_box(1.5, 0.0, SHOWN, 5, cell),
            (1.5 + SHOWN * cell + 1.9, 0.0, 2.6, 5 * cell),
            rows_box(1.5, 5 * cell + 0.75, ATOMS, 4, cell),
        ],
    )
    draw_rows(pictures, one.shown["static"])
    ends = {"digits": "digits", "static": "static"}
    draw_dots(
        dots,
        {f"{kind}, {name}": one.numbers[f"lost of {kind}, {name}"] for kind in ends for name in one.shown["atoms"]},
    )
    dots.set(xlabel=LOST)
    draw_rows(rows, one.shown["atoms"])
    rows.set_title("atoms that carry most variance, each to its own scale, grey at 0")
    return figure


CLAIM = Claim(
    title="Wider than the input, an autoencoder copies",
    claim="""An autoencoder whose code is wider than its input learns to copy: it loses little even of static. With a
        sparse code, or with noise on its input, it cannot copy; the atoms of a sparse code then resemble parts of
        digits.""",
    why="""With as many units as pixels, the identity is one of the linear maps, and has no error. A few active units,
        or noise in all directions, leave it only what digits have in common.""",
    equation="""
        x_hat = V W x with V W = I is possible as soon as W has as many rows as x has pixels
        noise: V W (x + s eps) has least error at V W = C (C + s^2 I)^-1, C the covariance: nearly 0 along directions
        in which the data vary little;  sparse: z has k of its D units active: at most (D choose k) planes""",
    done="""A linear autoencoder with more units than pixels was fitted to digits by Muon: without a constraint, and
        with Gaussian noise on its input. A sparse one, with only the largest units active, as many as other codes here
        have units, was fitted by AdamW. They were given test digits, and static: images whose pixels are independent,
        each drawn from the values of that pixel in the test images. What is lost is the squared error over the
        variance. An atom is what a unit adds to the image; the share of pixels that it covers is (sum a^2)^2 / (P sum
        a^4).""",
    fails="""The unconstrained code still loses a larger share of static than of digits. A short fit with AdamW, which
        is slow in directions of little variance, loses much of static: the linear autoencoders were therefore fitted
        with Muon. A narrow code, PCA, does not copy static either. The share of pixels does not tell strokes from
        blurred digits: atoms of PCA cover least. A sparse code reconstructs digits worse than the unconstrained one:
        the constraint costs.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    draw=draw,
)
