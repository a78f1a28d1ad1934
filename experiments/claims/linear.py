"""An autoencoder with the identity activation recovers PCA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

import zoo
from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import Box, canvas, draw_dots, look
from experiments.claims.drawing import errors as bars
from experiments.claims.lab import Lab
from experiments.claims.models import errors, per_image, reconstructed
from zoo.catalogue import title_of
from zoo.model.autoencoder import Autoencoder
from zoo.model.linear_decoder import columns
from zoo.report.figures.style import INK

WAYS = {  # what is fitted -> how it is called in the texts
    "tied": "tied weights",
    "free": "free weights",
    "slow": "free weights, a hundredth of the rate",
}
CLOSE, LEAST, MOST = 10.0, 0.98, 1.02  # degrees; ratios of errors that count as the same
SOME = 5_000  # images, at most, that are whitened or fitted without biases
DEGREES = "degrees"
TRAINING, TEST = "training error over that of PCA", "test error over that of PCA"
ANGLE = "largest angle to the subspace of PCA"
UNIT = "cosine of a unit and the nearest principal axis, free weights"
FIRST = "angle between the first axis of SVD without centring and the mean image"
SEEN = f"{TEST}, free weights that read only what is in the span of the training images"
BARE, BARE_MEAN = "training error without biases over that of SVD", "angle to the mean image, no biases"
WHITE = "whitened images"
GAPS = (0.25, 0.5, 0.75, 0.9, 1.0)  # variance of the first direction dropped over that of the last one kept
MADE_UP, KEPT, SIDE = 2_000, 4, 16  # samples with these gaps, directions of large variance, and of all
STEPS, BATCH, RATE = 1_000, 128, 1.6e-2  # of the fits without biases and of those to made-up samples


def fits(data: str) -> dict[str, list[str]]:
    """PCA, SVD without centring, and the linear autoencoder in three ways."""
    long, slow = {
        "digits": (["width=4", "budget.epochs=40"], 1.6e-4),
        "mnist": (["budget.epochs=10"], 1.6e-4),
        "faces": (["optimizer=adamw_linear", "optimizer.lr=1.6e-3", "budget.epochs=400"], 1.6e-5),
    }[data]
    return {
        "pca": ["variant=pca", *long],
        "svd": ["variant=svd", *long],
        "tied": ["variant=linear_ae_tied", *long],
        "free": ["variant=linear_ae", *long],
        "slow": ["variant=linear_ae", *long, f"optimizer.lr={slow}"],
    }


def measure(lab: Lab) -> Found:
    """Errors on training and on test images, and angles between the subspaces of decoders."""
    (pca,), (svd,) = lab.models("pca"), lab.models("svd")
    axes = atoms(pca)
    learned, reference = errors(pca, lab.train).mean(), errors(pca, lab.test)
    numbers: dict[str, Number] = {}
    turned: dict[str, NDArray[np.float64]] = {}
    for key, way in WAYS.items():
        models = lab.models(key)
        turned[way] = np.array([principal_angles(axes, atoms(model)) for model in models])
        numbers[f"{TRAINING}, {way}"] = statistics.over_seeds(
            [errors(model, lab.train).mean() / learned for model in models], positive=True
        )
        numbers[f"{TEST}, {way}"] = statistics.ratio(
            [errors(model, lab.test) for model in models], reference, groups=lab.groups
        )
        numbers[f"{ANGLE}, {way}"] = degrees(turned[way].max(1))
    free = lab.models("free")
    if len(lab.train) < lab.train[0].numel():
        near = in_span(lab.train, lab.test)
        lost = [per_image(reconstructed(model, near) - lab.test) for model in free]
        numbers[SEEN] = statistics.ratio(lost, reference, groups=lab.groups)
    numbers[UNIT] = statistics.over_seeds([nearest_axis(axes, atoms(model)) for model in free]).within(0, 1)
    numbers[f"{TRAINING}, {WHITE}"], numbers[f"{TEST}, {WHITE}"], turned[f"free weights, {WHITE}"] = whitened(lab)
    numbers[f"{ANGLE}, {WHITE}"] = degrees(turned[f"free weights, {WHITE}"].max(1))
    numbers[f"{TEST}, SVD without centring"] = statistics.ratio(errors(svd, lab.test), reference, groups=lab.groups)
    mean = lab.train.mean(0).flatten()[None]
    numbers[FIRST] = Number(float(principal_angles(atoms(svd)[:1], mean)[0]), unit=DEGREES)
    shown: dict[str, object] = {"turned": turned}
    if lab.data != "faces":
        numbers |= without_biases(lab)
        numbers["angle to the mean image, free weights"] = degrees([angle_to(mean, atoms(model)) for model in free])
        gaps = near_equal(GAPS if lab.full else (GAPS[0], GAPS[-1]), lab.seeds)
        numbers |= {f"{ANGLE}, ratio of variances {gap}": one for gap, one in gaps.items()}
        shown["gaps"] = gaps
    return Found(numbers, shown)


def degrees(values: ArrayLike) -> Number:
    """The mean over seeds of angles."""
    return statistics.over_seeds(values, DEGREES).within(0, 90)


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


def angle_to(direction: Tensor, axes: Tensor) -> float:
    """The angle between a direction (1, P) and the row space of axes (D, P), in degrees."""
    basis, unit = torch.linalg.qr(axes.double().T).Q, nn.functional.normalize(direction.double().flatten(), dim=0)
    return float((unit - basis @ (basis.T @ unit)).norm().clamp(max=1).asin().rad2deg())


def nearest_axis(axes: Tensor, units: Tensor) -> float:
    """Mean over units of the largest absolute cosine to an axis."""
    a, b = (nn.functional.normalize(part.double(), dim=1) for part in (axes, units))
    return float((b @ a.T).abs().amax(1).mean())


def in_span(train: Tensor, x: Tensor) -> Tensor:
    """The nearest images to x that are the mean of the training images plus a combination of their deviations."""
    mean = train.mean(0).flatten().double()
    basis = torch.linalg.svd(train.flatten(1).double() - mean, full_matrices=False).Vh[: len(train) - 1]
    near: Tensor = mean + (x.flatten(1) - mean) @ basis.T @ basis
    return near.float().view_as(x)


def whitened(lab: Lab) -> tuple[Number, Number, NDArray[np.float64]]:
    """The same on images whose leading principal components, twice as many as units, have the same variance.

    Returns:
        The ratios of errors on training and on test images, and the angles for each seed: (S, D).
    """
    from sklearn.decomposition import PCA

    width = lab.models("pca")[0].bottleneck.out_features
    rows = [part.flatten(1).numpy() for part in (lab.train[:SOME], lab.test)]
    white = PCA(2 * width, whiten=True, random_state=0).fit(rows[0])
    train, test = (white.transform(part).astype(np.float32) for part in rows)
    fitted = partial(zoo.fit, x=train, width=width, kind="vector", standardise=False, progress=False)
    pca, models = fitted("pca"), [fitted("linear_ae", seed=seed, epochs=20) for seed in range(lab.seeds)]
    learned, lost = (
        [((model.reconstruct(part) - part) ** 2).sum(1) for model in (pca, *models)] for part in (train, test)
    )
    ratios = [one.mean() / learned[0].mean() for one in learned[1:]]
    turned = [principal_angles(atoms(pca.module), atoms(model.module)) for model in models]
    return (
        statistics.over_seeds(ratios, positive=True),
        statistics.ratio(lost[1:], lost[0], groups=lab.groups),
        np.array(turned),
    )


def by_gradients(x: Tensor, width: int, seed: int) -> tuple[Tensor, Tensor]:
    """A linear autoencoder without biases, fitted to samples (N, P) in a short loop of its own.

    Returns:
        Encoder and decoder: (D, P) each.
    """
    rng = torch.Generator().manual_seed(seed)
    encoder, decoder = (torch.randn(width, x.shape[1], generator=rng) / x.shape[1] ** 0.5 for _ in range(2))
    weights = [encoder.requires_grad_(), decoder.requires_grad_()]
    with torch.enable_grad():
        optimiser = torch.optim.Adam(weights, RATE)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, STEPS)
        for _ in range(STEPS):
            batch = x[torch.randint(len(x), (BATCH,), generator=rng)]
            loss = (batch @ encoder.T @ decoder - batch).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return encoder.detach(), decoder.detach()


def without_biases(lab: Lab) -> dict[str, Number]:
    """The linear autoencoder without biases beside SVD without centring, on the same training images."""
    x = lab.train[:SOME].flatten(1)
    width = lab.models("pca")[0].bottleneck.out_features
    axes = torch.linalg.svd(x, full_matrices=False).Vh[:width]
    least = (x - x @ axes.T @ axes).square().mean()
    models = [by_gradients(x, width, seed) for seed in range(lab.seeds)]
    lost = [(x @ encoder.T @ decoder - x).square().mean() for encoder, decoder in models]
    return {
        BARE: statistics.over_seeds([each / least for each in lost], positive=True),
        BARE_MEAN: degrees([angle_to(x.mean(0), decoder) for _, decoder in models]),
    }


def near_equal(gaps: Sequence[float], seeds: int) -> dict[float, Number]:
    """Angles to the subspace of PCA, on samples whose variances are 1 in it, and smaller or 1 elsewhere."""
    rng = torch.Generator().manual_seed(0)
    drawn = torch.randn(MADE_UP, SIDE, generator=rng, dtype=torch.float64)
    even = torch.linalg.svd(drawn - drawn.mean(0), full_matrices=False).U * MADE_UP**0.5  # their covariance is I
    found = {}
    for gap in gaps:
        x = (even * torch.cat([torch.ones(KEPT), torch.full((SIDE - KEPT,), gap)]).sqrt()).float()
        decoders = [by_gradients(x, KEPT, seed)[1] for seed in range(seeds)]
        found[gap] = degrees([principal_angles(torch.eye(SIDE)[:KEPT], each).max() for each in decoders])
    return found


def cases(numbers: Numbers) -> list[Case]:
    """Errors and subspaces with tied and free weights, at a small rate and on whitened images; units, and biases."""
    same, close = {"above": LEAST, "below": MOST}, {"below": CLOSE}

    def case(part: str, name: str, rule: Mapping[str, float], beside: bool = False) -> Case:
        return Case.of(part, name, numbers[name], beside=beside, **rule)

    found = [
        case(f"With {WAYS[way]}, the {what}", f"{number}, {WAYS[way]}", rule)
        for way in ("tied", "free")
        for what, number, rule in (
            ("error on training images is that of PCA", TRAINING, same),
            ("error on test images is that of PCA", TEST, same),
            ("subspace is that of PCA", ANGLE, close),
        )
    ]
    found += [
        case(
            "At a hundredth of the rate, in as many steps, the error on training images is that of PCA",
            f"{TRAINING}, {WAYS['slow']}",
            same,
        ),
        case("On whitened images, the error on training images is that of PCA", f"{TRAINING}, {WHITE}", same),
        case("On whitened images, the subspace is that of PCA", f"{ANGLE}, {WHITE}", close),
        case("Single units are principal axes", UNIT, {"above": 0.95}, beside=True),
        case("The first axis of SVD without centring is the mean image", FIRST, close, beside=True),
    ]
    if SEEN in numbers:
        found.append(
            case(
                "With free weights that read only what is in the span of the training images, the error on test images "
                "is at most a tenth above that of PCA",
                SEEN,
                {"below": 1.1},
                beside=True,
            )
        )
    if BARE in numbers:
        found += [
            case("Without biases, the error is that of SVD without centring", BARE, same, beside=True),
            case("Without biases, the subspace includes the mean image", BARE_MEAN, close, beside=True),
        ]
    found += [
        case(
            f"On made-up samples, where the first variance dropped is {gap} of the last one kept, the subspace is that "
            "of PCA",
            name,
            close,
            beside=True,
        )
        for gap in (GAPS[0], GAPS[-1])
        if (name := f"{ANGLE}, ratio of variances {gap}") in numbers
    ]
    return found


def draw(found: Mapping[str, Found]) -> Figure:
    """Principal angles by their rank and ratios of errors for each data set; angles by the gap of variances."""
    pitch, high = 3.3, 2.4
    boxes: list[Box] = []
    for k in range(len(found) + 1):
        boxes += [(0.6, 0.3 + pitch * k, 3.6, high), (6.9, 0.3 + pitch * k, 3.2, high)]
    figure, panels = canvas(
        found,
        "A linear autoencoder finds the subspace of PCA, where variances differ and its fit is long enough",
        "angles between the subspaces of decoders and of PCA, with their range over seeds; ratios of errors, with 95 % "
        "intervals",
        boxes,
    )
    for k, (data, one) in enumerate(found.items()):
        angles, ratios = panels[2 * k : 2 * k + 2]
        for number, (way, each) in enumerate(one.shown["turned"].items()):
            ranks, colour = np.arange(1, each.shape[1] + 1), look(number)["color"]
            angles.fill_between(ranks, each.min(0), each.max(0), color=colour, alpha=0.2, lw=0)
            angles.plot(ranks, each.mean(0), label=way, ms=3, mec="white", mew=0.3, **look(number))
        angles.set(xlabel="principal angle, smallest first", ylabel="degrees", ylim=(-2, 92), title=title_of(data))
        angles.grid(True)
        draw_ratios(ratios, {way: one.numbers[f"{TRAINING}, {way}"] for way in (*WAYS.values(), WHITE)})
        ratios.set(xlabel=TRAINING, title=f"{title_of(data)}, training images (colours of both panels)")
    gaps, last = next(iter(found.values())).shown["gaps"], panels[-2]
    each = list(gaps.values())
    last.errorbar(list(gaps), [one.value for one in each], bars(each), ms=4, capsize=2, **look(1))
    last.set(xlabel="first variance dropped over last one kept", ylabel="largest angle, degrees", ylim=(-2, 92))
    last.set(title="made-up samples, free weights")
    last.grid(True)
    names = {
        "tied weights": f"{TEST}, {WAYS['tied']}",
        "free weights": f"{TEST}, {WAYS['free']}",
        "free weights, input projected\nonto the training images": SEEN,
        "SVD without centring": f"{TEST}, SVD without centring",
    }
    data, one = list(found.items())[-1]
    draw_ratios(panels[-1], {name: one.numbers[key] for name, key in names.items() if key in one.numbers})
    panels[-1].set(xlabel=TEST, title=f"{title_of(data)}, test images")
    return figure


def draw_ratios(ax: Axes, numbers: Mapping[str, Number]) -> None:
    """Ratios of errors, 1 marked; their names in their colours, and their values beside the dots, off the line at 1."""
    draw_dots(ax, numbers, bound=1.0)
    for k, (text, label, number) in enumerate(zip(ax.texts, ax.get_yticklabels(), numbers.values(), strict=True)):
        text.set(text=f"{number.value:.3f}", ha="left", color=INK)
        text.set_position((5, 4))
        label.set_color(look(k)["color"])
    low, most = ax.get_xlim()
    ax.set_xlim(min(low, 1 - 0.05 * (most - 1)), most + 0.15 * (most - low))


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
    done=f"""The linear autoencoder was fitted with tied and with free weights at its usual rate, which is a tenth as
        large for faces, and at a hundredth of that. The subspace that its decoder spans was compared with that of PCA
        by principal angles, and its error with PCA's, on training images, where PCA has the least possible error, and
        on test images. Errors count as the same if their ratio is between {LEAST} and {MOST}, and subspaces if the
        largest angle is below {CLOSE:.0f} degrees. The same was done for up to {SOME:,} whitened images: their leading
        principal components, twice as many as the code has units, were scaled to the same variance, and the others left
        out. Beside the claim, on digits: an autoencoder without biases, fitted to {SOME:,} images, was compared with
        the SVD of images that are not centred, and autoencoders of {KEPT} units were fitted to {MADE_UP:,} made-up
        samples of {SIDE} numbers, whose {KEPT} largest variances are equal, and all others a known share of them.
        Beside the claim, on faces, which have more pixels than there are training images: test images were projected
        onto what the training images span before they were encoded.""",
    fails="""The units of the autoencoder are no principal axes: any invertible mixture of them gives the same
        reconstruction. Where the last variance kept and the first one dropped are equal, as after whitening, many
        subspaces have the same error, and gradients find any of them; after the same number of steps, the angle is
        larger the closer the two variances are. A small rate needs more steps. On faces, the subspaces
        differ in the last few of their directions, and the errors in training show that the fits have not arrived.
        Besides, with fewer images than pixels, free weights may be close to PCA in training and far from it on test
        images: the training images do not determine what the encoder reads outside of their span. Gradients lie within
        it, so the random start stays there, and Adam's scaling of each weight adds arbitrary parts. Where only the
        part of a test image in that span is encoded, most of that difference vanishes. Without biases, the subspace
        includes the mean image, and the first axis of SVD without centring is the mean image. Compared with PCA, SVD
        without centring has a larger error on test images of digits, and a smaller one on those of faces.""",
    data=("mnist", "faces"),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "yyyyyynynnn??nnnnn": """On digits it holds, with tied and with free weights. At a small rate the fit falls
            short, and on whitened digits, where many subspaces are equally good, only the error is that of PCA; on
            whitened faces not even that. On faces, the fits find all but the last few directions, and free weights do
            far worse than PCA on test images."""
    },
    draw=draw,
)
