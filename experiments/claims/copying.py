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
from experiments.claims.models import encoded, per_image, reconstructed
from zoo.model.autoencoder import Autoencoder
from zoo.model.linear_decoder import columns

PLAIN, NOISY, SPARSE, NARROW = "wide, no constraint", "wide, noisy input", "wide, sparse", "narrow (PCA)"
SLOW = "wide, no constraint, AdamW"
IMAGES, CODES, SHOWN, ATOMS = 1_000, 4_000, 8, 16
COPIED, NOT_COPIED = 0.05, 0.5  # of static's variance that is lost: static is copied, or is not
SMALLER = 0.9  # of the size of a digit
SAME_FIT = "lost of static, sparse less unconstrained, both fitted by AdamW"


def fits(data: str) -> dict[str, list[str]]:
    """A linear autoencoder with more units than pixels, in three ways, and PCA."""
    units, few, epochs = {
        "digits": (256, ["budget.epochs=25"], ["budget.epochs=25"]),
        "mnist": (1024, ["budget.epochs=2"], []),
    }[data]
    wide = ["variant=overcomplete_ae", f"bottleneck.width={units}"]
    # orthogonal updates reach directions of little variance as fast as those of much
    muon = [*wide, "optimizer=muon", "optimizer.largest=null", *few]
    return {
        PLAIN: muon,
        SLOW: [*wide, *epochs],
        NOISY: [*muon, "corruption=gaussian"],
        SPARSE: ["variant=topk", f"bottleneck.units={units}", *epochs],
        NARROW: ["variant=pca"],
    }


def measure(lab: Lab) -> Found:
    """What is lost of digits and of static, and how large atoms are."""
    x = lab.test[:IMAGES]
    sets = {"digits": x, "static": static(x)}
    size = float(spread(x).mean())
    numbers: dict[str, Number] = {
        relative("digits within a quarter of the image"): statistics.mean(spread(quarters(x)) / size)
    }
    lost, pictures, rows = {}, {"static": sets["static"][:SHOWN]}, {}
    for name in lab.jobs:
        models = lab.models(name)
        for kind, images in sets.items():
            lost[kind, name] = [per_image(reconstructed(model, images) - images) for model in models]
            numbers[lost_of(kind, name)] = statistics.ratio(lost[kind, name], per_image(images - images.mean(0)))
        found = [atoms(model, lab.train) for model in models]
        numbers[relative(name)] = statistics.over_seeds(
            [float((spread(each) * share).sum()) / size for each, share in found]
        )
        pictures[name] = reconstructed(models[0], pictures["static"])
        rows[name] = coloured(found[0][0][:ATOMS])
    varies = per_image(sets["static"] - sets["static"].mean(0))
    numbers[SAME_FIT] = statistics.over_images(
        lambda a, b, whole: (a - b) / whole, lost["static", SPARSE], lost["static", SLOW], varies
    )
    return Found(numbers, {"static": pictures, "atoms": rows})


def lost_of(kind: str, name: str) -> str:
    """The name of a share that is lost."""
    return f"lost of {kind}, {name}"


def relative(name: str) -> str:
    """The name of a size."""
    return f"size over that of digits, {name if name.startswith('digits') else f'atoms, {name}'}"


def static(x: Tensor) -> Tensor:
    """Images whose pixels are independent, each drawn from the values of that pixel in x: (N, C, H, W)."""
    order = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)).argsort(0)
    return x.gather(0, order)


def atoms(model: Autoencoder, train: Tensor) -> tuple[Tensor, NDArray[np.float64]]:
    """What units add to an image, those first that carry most variance: (M, C, H, W), and their shares of it: (M,)."""
    codes = encoded(model, train[:CODES])
    width = codes.shape[1]
    found = columns(model.decode, width, model.decode(torch.zeros(1, width)))
    carried = (found.flatten(1).norm(dim=1) * codes.std(0)).square()
    order = carried.argsort(descending=True, stable=True)
    order = order[carried[order] > 0]
    share: NDArray[np.float64] = (carried[order] / carried[order].sum()).double().numpy()
    return found[order], share


def spread(images: Tensor) -> NDArray[np.float64]:
    """Root mean square distance, in pixels, of the squared values of an image to their centre: (N,)."""
    weight = images.double().square().sum(1)
    weight = weight / weight.sum((1, 2), keepdim=True)
    squares = torch.zeros(len(images), dtype=torch.float64)
    for along in (1, 2):
        place, mass = torch.arange(weight.shape[along]).double(), weight.sum(3 - along)
        squares += mass @ place.square() - (mass @ place).square()
    found: NDArray[np.float64] = squares.sqrt().numpy()
    return found


def quarters(x: Tensor) -> Tensor:
    """Images that are 0 but for the quarter with most light: (N, C, H, W)."""
    high, wide = x.shape[2] // 2, x.shape[3] // 2
    parts = [torch.zeros_like(x) for _ in range(4)]
    for k, part in enumerate(parts):
        rows = slice(0, high) if k < 2 else slice(high, None)
        columns_ = slice(0, wide) if k % 2 == 0 else slice(wide, None)
        part[..., rows, columns_] = x[..., rows, columns_]
    every = torch.stack(parts)
    brightest = every.sum((2, 3, 4)).argmax(0)
    return every[brightest, torch.arange(len(x))]


def coloured(found: Tensor) -> Tensor:
    """Atoms as grey images, each to its own scale, 0 as grey."""
    return 0.5 + 0.5 * found / found.abs().flatten(1).amax(1)[:, None, None, None]


def cases(numbers: Numbers) -> list[Case]:
    """It copies static without a constraint, and does not with noise or sparsity, whose atoms are parts."""
    plain, noisy, sparse = (lost_of("static", name) for name in (PLAIN, NOISY, SPARSE))
    size, whole = relative(SPARSE), relative(NARROW)
    cut = relative("digits within a quarter of the image")
    return [
        Case.of("A wide code without a constraint copies static", plain, numbers[plain], below=COPIED),
        Case.of("With noise on the input, it does not copy static", noisy, numbers[noisy], above=NOT_COPIED),
        Case.of("With a sparse code, it does not copy static", sparse, numbers[sparse], above=NOT_COPIED),
        Case.of("Atoms of the sparse code are smaller than a digit", size, numbers[size], below=SMALLER),
        Case.of(
            "The sparse code loses more of static than an unconstrained one fitted by the same optimiser, AdamW",
            *(SAME_FIT, numbers[SAME_FIT]),
            beside=True,
            above=0.0,
        ),
        Case.of("Control: quarters of digits are smaller than a digit", cut, numbers[cut], beside=True, below=SMALLER),
        Case.of("Control: components of PCA are not", whole, numbers[whole], beside=True, above=SMALLER),
    ]


def draw(found: Mapping[str, Found]) -> Figure:
    """Static and its reconstructions, what is lost, and atoms."""
    (one,) = found.values()
    cell, names = 0.42, list(one.shown["atoms"])
    count = len(names)
    left = 2.1 + SHOWN * cell + 0.3
    figure, (pictures, digits, noise, rows) = canvas(
        found,
        "Wider than the input, a code copies, unless it is sparse or its input noisy",
        "static, that is independent pixels, reconstructed by models of digits; what they lose; atoms of decoders",
        [
            rows_box(2.1, 0.25, SHOWN, count + 1, cell),
            (left, 0.25, 1.9, (count + 1) * cell),
            (left + 2.2, 0.25, 1.9, (count + 1) * cell),
            rows_box(2.1, 0.25 + (count + 1) * cell + 1.1, ATOMS, count, cell),
        ],
    )
    draw_rows(pictures, one.shown["static"])
    for panel, kind in ((digits, "digits"), (noise, "static")):
        draw_dots(panel, {name: one.numbers[lost_of(kind, name)] for name in names})
        panel.set(yticklabels=[], xlabel="share of the variance", title=f"lost of {kind}", xlim=(-0.15, 1.15))
        panel.set_ylim(count - 0.5, -1.5)  # level with the rows of images
    draw_rows(rows, one.shown["atoms"])
    rows.set_title("atoms that carry most variance, each to its own scale, grey at 0")
    return figure


CLAIM = Claim(
    title="Wider than the input, an autoencoder copies",
    claim="""An autoencoder whose code is wider than its input learns to copy: it reconstructs even images of
        independent random pixels. With a sparse code, or noise on its input, it cannot copy; the atoms of a sparse code
        are then parts of digits.""",
    why="""With as many units as pixels, the identity is one of the linear maps, and has no error. A few active units,
        or noise in all directions, leave it only what digits have in common.""",
    equation="""
        x_hat = V W x with V W = I is possible as soon as W has as many rows as x has pixels
        noise: V W (x + s eps) has least error at V W = C (C + s^2 I)^-1, C the covariance: nearly 0 along directions
        in which the data vary little;  sparse: z has k of its D units active: at most (D choose k) planes""",
    done=f"""A linear autoencoder with more units than pixels was fitted to digits by Muon: without a constraint, and
        with Gaussian noise on its input. A sparse one, with only the largest units active, as many as other codes here
        have units, was fitted by AdamW; so was another one without a constraint, for comparison. They were given up to
        {IMAGES:,} test digits, and as many images of static: their pixels are independent, each drawn from the values
        of that pixel in the test images. What is lost is the squared error over the variance. Static counts as copied
        if less than {100 * COPIED:g} % is lost, and as not copied if more than {100 * NOT_COPIED:g} % is. An atom is
        what a unit adds to the image. Its size is the root mean square distance of its squared pixels to their centre,
        averaged over atoms in proportion to the variance that they carry in up to {CODES:,} training images.""",
    fails="""Atoms of this sparse code are no parts: they are about as large as a digit, and in the figure look like
        one. Without a constraint, too, a short fit need not copy: one with AdamW, which is slow in directions of little
        variance, loses more of static than one with Muon. A narrow code, PCA, does not copy static either. A sparse
        code reconstructs digits worse than the unconstrained one: the constraint costs.""",
    data=("mnist",),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "yyyn": """Without a constraint, a wide code fitted by Muon copies even static. With noise on the input, or with
            few active units, it does not. But the atoms of the sparse code are not parts of digits: they are as large
            as whole ones.""",
    },
    draw=draw,
)
