"""Halfway between two codes lies a hybrid of two images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from experiments.claims import statistics
from experiments.claims.claim import Case, Claim, Found, Number, Numbers
from experiments.claims.drawing import canvas, draw_dots, draw_rows, rows_box
from experiments.claims.lab import Lab
from experiments.claims.models import decoded, encoded
from zoo.catalogue import title_of
from zoo.evaluation.measures.code_points import spherical, straight
from zoo.evaluation.measures.neighbours import nearest
from zoo.model.autoencoder import Autoencoder
from zoo.report.figures.style import MUTED

PAIRS, SHOWN, STEPS = 1_000, 2, 7
PIXELS, PCA, AE, VAE = "pixels", "PCA", "autoencoder", "VAE"
ARTICLES = {AE: "an autoencoder", VAE: "a VAE"}
PER_PERSON, LEARNED = 10, 5  # photos of a person, and those of them that the classifier is fitted to
ALIKE = 1.1  # unlikeness may be so many times larger and count as no larger
UNLIKE = "unlikeness of middles"
Classifier = Callable[[Tensor], Tensor]


def fits(data: str) -> dict[str, list[str]]:
    """PCA, an autoencoder, a VAE."""
    return {PCA: ["variant=pca"], AE: ["variant=deep_ae"], VAE: ["variant=vae"]}


def measure(lab: Lab) -> Found:
    """How far middles are from real images, and whose they are."""
    faces = lab.data == "faces"
    labels = torch.arange(len(lab.test)) // PER_PERSON if faces else lab.test_labels
    first, other, groups = pairs_of_people(labels) if faces else pairs_of_classes(labels)
    classify = classifier_of_people(lab.test, labels) if faces else classifier_of_classes(lab)
    a, b = lab.test[first], lab.test[other]
    real = lab.train.flatten(1)
    middles, fades = {PIXELS: [straight(a, b)]}, {PIXELS: [straight(a, b)]}
    ends = {PIXELS: [(a, b)]}
    for name in (PCA, AE, VAE):
        models = lab.models(name)
        codes = [(encoded(model, a), encoded(model, b)) for model in models]
        pairs = list(zip(models, codes, strict=True))
        ends[name] = [(decoded(model, u), decoded(model, v)) for model, (u, v) in pairs]
        fades[name] = [straight(*each) for each in ends[name]]
        middles[name] = [decoded(model, straight(*each)) for model, each in pairs]
        if name != PCA:
            middles[on_sphere(name)] = [
                decoded(model, spherical(*each, encoded(model, lab.train).mean(0))) for model, each in pairs
            ]

    def share(values: list[NDArray[np.float64]]) -> Number:
        return statistics.share(values, groups)

    numbers: dict[str, Number] = {}
    far = {way: [unlikeness(images, real) for images in each] for way, each in middles.items()}
    faded = {way: [unlikeness(images, real) for images in each] for way, each in fades.items()}
    own = {way: [(unlikeness(x, real) + unlikeness(y, real)) / 2 for x, y in each] for way, each in ends.items()}
    for way, each in middles.items():
        numbers[f"{UNLIKE}, {way}"] = statistics.mean(far[way], groups=groups)
        numbers[whose(way)] = share([one_of_two(classify(images), labels[first], labels[other]) for images in each])
    for way, pair in ends.items():
        right = [(same(classify(x), labels[first]) + same(classify(y), labels[other])) / 2 for x, y in pair]
        ending = "test images" if way == PIXELS else f"reconstructions, {way}"
        numbers[f"unlikeness of {ending}"] = statistics.mean(own[way], groups=groups)
        numbers[recognised(ending)] = share(right)
        if way == PIXELS:
            usual = right[0]
        else:
            numbers[lost_identity(way)] = statistics.difference(usual, right, groups=groups)
    for way in (PCA, AE, VAE):
        numbers[f"unlikeness of cross-fades of reconstructions, {way}"] = statistics.mean(faded[way], groups=groups)
        numbers[against_fade(way)] = statistics.ratio(far[way], faded[way], groups)
        numbers[against_own(way)] = statistics.ratio(far[way], own[way], groups)
    for way in (AE, VAE):
        numbers[against_straight(way)] = statistics.ratio(far[on_sphere(way)], far[way], groups)
    numbers[CONTROL] = statistics.ratio(own[PIXELS], far[PIXELS], groups)
    shown = torch.linspace(0, len(first) - 1, SHOWN).long()
    return Found(numbers, {"rows": paths(lab, first[shown], other[shown])})


CONTROL = "unlikeness, test images over cross-fades of pixels"


def on_sphere(way: str) -> str:
    """The name of a way along great circles."""
    return f"{way}, spherical"


def against_fade(way: str) -> str:
    """The name of a ratio."""
    return f"unlikeness, middles over cross-fades of reconstructions, {way}"


def against_own(way: str) -> str:
    """The name of a ratio."""
    return f"unlikeness, middles over reconstructions, {way}"


def against_straight(way: str) -> str:
    """The name of a ratio."""
    return f"unlikeness of middles, spherical over straight, {way}"


def whose(way: str) -> str:
    """The name of a share."""
    return f"middles that are recognised as one of the two, {way}"


def recognised(images: str) -> str:
    """The name of a share."""
    return f"recognised rightly: {images}"


def lost_identity(way: str) -> str:
    """The name of a difference."""
    return f"recognised rightly, test images less reconstructions, {way}"


def pairs_of_classes(labels: Tensor) -> tuple[Tensor, Tensor, None]:
    """Pairs of images of two classes, each image in one pair at most: twice (N,)."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[: 2 * PAIRS]
    first, other = order[: len(order) // 2], order[len(order) // 2 :]
    apart = labels[first] != labels[other]
    return first[apart], other[apart], None


def pairs_of_people(people: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of photos that no classifier has seen: of two people each, and of no person with a second one.

    Returns:
        first, other: (N,), photos.
        groups: (N,), the two people; pairs of one group are no independent samples.
    """
    count = len(people) // PER_PERSON // 2
    photos = torch.arange(LEARNED, PER_PERSON)
    group, one, two = torch.cartesian_prod(torch.arange(count), photos, photos).T
    return group * PER_PERSON + one, (group + count) * PER_PERSON + two, group


def classifier_of_classes(lab: Lab) -> Classifier:
    """The classifier of the zoo's references, fitted to training images: images -> classes, (N,)."""
    return lambda images: lab.references.logits(images).argmax(1)


def classifier_of_people(photos: Tensor, people: Tensor) -> Classifier:
    """Logistic regression on pixels whatever the contrast, fitted to the first photos of each person.

    Args:
        photos: (N, C, H, W), person by person.
        people: (N,).
    """
    from sklearn.linear_model import LogisticRegression

    learned = torch.arange(len(photos)) % PER_PERSON < LEARNED
    fitted = LogisticRegression(C=100.0, max_iter=1_000).fit(directions(photos[learned]), people[learned])
    return lambda images: torch.from_numpy(fitted.predict(directions(images).numpy()))


def directions(images: Tensor) -> Tensor:
    """Images about their means, as unit vectors: (N, C, H, W) or (N, P) -> (N, P)."""
    rows = images.flatten(1)
    return torch.nn.functional.normalize(rows - rows.mean(1, keepdim=True), dim=1)


def unlikeness(images: Tensor, real: Tensor) -> NDArray[np.float64]:
    """1 less the correlation with the most alike real image, whatever the contrast: (N,)."""
    distance = nearest(directions(images), directions(real), 1)[0][:, 0]
    found: NDArray[np.float64] = (distance.double().square() / 2).numpy()  # |u - v|^2 / 2 of unit vectors
    return found


def same(found: Tensor, labels: Tensor) -> NDArray[np.float64]:
    """Whether classes are the right ones: (N,)."""
    right: NDArray[np.float64] = (found == labels).double().numpy()
    return right


def one_of_two(found: Tensor, first: Tensor, other: Tensor) -> NDArray[np.float64]:
    """Whether the class found is one of two: (N,)."""
    return same(found, first) + same(found, other)


def between(a: Tensor, b: Tensor, share: Tensor, origin: Tensor) -> Tensor:
    """Codes on the great circle around `origin` (D,) from a to b, (D,) each, at shares (S, 1) of the angle: (S, D)."""
    a, b = a - origin, b - origin
    angle = torch.nn.functional.cosine_similarity(a, b, dim=0).clamp(-1, 1).acos()
    return origin + (((1 - share) * angle).sin() * a + (share * angle).sin() * b) / angle.sin()


def paths(lab: Lab, first: Tensor, other: Tensor) -> dict[str, Tensor]:
    """The way from one image to another in equal steps, by several ways, pair by pair side by side."""
    share = torch.linspace(0, 1, STEPS)[:, None]
    a, b = lab.test[first], lab.test[other]
    rows = {
        PIXELS: torch.cat([torch.lerp(x[None], y[None], share[..., None, None]) for x, y in zip(a, b, strict=True)])
    }
    for name in (PCA, AE, VAE):
        model: Autoencoder = lab.models(name)[0]
        ends = list(zip(encoded(model, a), encoded(model, b), strict=True))
        rows[name] = decoded(model, torch.cat([torch.lerp(x[None], y[None], share) for x, y in ends]))
        if name != PCA:
            centre = encoded(model, lab.train).mean(0)
            rows[on_sphere(name)] = decoded(model, torch.cat([between(x, y, share, centre) for x, y in ends]))
    return rows


def cases(numbers: Numbers) -> list[Case]:
    """Middles against cross-fades as blurred, and against reconstructions; whose they are; controls."""

    def case(part: str, name: str, beside: bool = False, **rule: float) -> Case:
        return Case.of(part, name, numbers[name], beside=beside, **rule)

    found = []
    for way, article in ARTICLES.items():
        middle = f"A middle in the code of {article}"
        found += [
            case(
                f"{middle} is more like a real image than a cross-fade of its reconstructions",
                against_fade(way),
                below=1.0,
            ),
            case(f"{middle} is as much like a real image as its reconstructions", against_own(way), below=ALIKE),
            case(f"{middle} is recognised as one of the two", whose(way), above=0.5),
        ]
    for way, article in ARTICLES.items():
        part = f"Reconstructions by {article} are recognised less often than test images"
        found.append(case(part, lost_identity(way), True, above=0.0))
    name = recognised("test images")
    found.append(case("Control: test images are recognised rightly", name, True, above=0.5))
    found.append(case("Control: test images are more like real images than cross-fades are", CONTROL, True, below=1.0))
    name = against_straight(VAE)
    found.append(case("Spherical paths are better than straight ones in a VAE", name, True, below=1.0))
    return found


def draw(found: Mapping[str, Found]) -> Figure:
    """Ways from one image to another, how unlike middles are to real images, and whose they are."""
    cell, count = 0.46, 6
    pitch, left = count * cell + 1.1, 1.6 + SHOWN * STEPS * cell + 0.3
    figure, panels = canvas(
        found,
        "Halfway between two images: in pixels, and in codes",
        "from one test image to another in equal steps; right: middles of many pairs, how unlike they are to any "
        "training image, and whose they are; x: cross-fades of reconstructions; dashed: test images",
        [
            box
            for k in range(len(found))
            for box in (
                rows_box(1.6, 0.25 + k * pitch, SHOWN * STEPS, count, cell),
                (left, 0.25 + k * pitch, 2.3, count * cell),
                (left + 2.6, 0.25 + k * pitch, 2.3, count * cell),
            )
        ],
    )
    for k, (data, one) in enumerate(found.items()):
        pictures, unlike, shares = panels[3 * k : 3 * k + 3]
        rows = one.shown["rows"]
        draw_rows(pictures, rows)
        pictures.set_title(title_of(data))
        level_dots(unlike, {way: one.numbers[f"{UNLIKE}, {way}"] for way in rows})
        for place, way in enumerate(rows):
            if way in (PCA, AE, VAE):
                faded = one.numbers[f"unlikeness of cross-fades of reconstructions, {way}"].value
                unlike.plot([faded], [place], ls="", marker="x", ms=6, color=MUTED)
        unlike.axvline(one.numbers["unlikeness of test images"].value, ls="--", lw=0.8, color=MUTED)
        unlike.set(xlabel="1 - correlation", title="unlike real images")
        unlike.margins(x=0.15)
        level_dots(shares, {way: one.numbers[whose(way)] for way in rows})
        shares.set(xlabel="share", title="recognised as one of the two", xlim=(-0.1, 1.1))
    return figure


def level_dots(ax: Axes, numbers: Mapping[str, Number]) -> None:
    """Numbers level with rows of images."""
    draw_dots(ax, numbers)
    ax.set(yticklabels=[])
    ax.set_ylim(len(numbers) - 0.5, -0.5)


CLAIM = Claim(
    title="Halfway between two codes lies a hybrid that looks real",
    claim="""The middle of two images in pixels is a double exposure. The middle of their codes, decoded, is a hybrid: a
        face, or a digit, between the two.""",
    why="""A decoder has only learned to make faces, and codes of faces lie on a surface that is nearly flat in the
        code. PCA is linear, so that its middle is the projection of the double exposure. In many dimensions the middle
        of two random codes has a smaller norm than any code of an image, which spherical paths avoid.""",
    equation="""
        pixels: (x + y) / 2; straight: g((f(x) + f(y)) / 2); cross-fade of reconstructions: (g(f(x)) + g(f(y))) / 2
        spherical: g(m + (u + v) / (2 cos(w / 2))), u, v the codes less the mean code m, w the angle between them""",
    done=f"""Pairs of test images of two classes (up to {PAIRS:,}, no image twice), or of two people whom no model saw,
        were joined halfway in pixels, in PCA, in an autoencoder and in a VAE. Unlikeness is 1 minus the highest
        correlation with any training image. Blur can lower it: a middle is therefore compared with a cross-fade of the
        reconstructions of the same model, and with these reconstructions, and not with those of another model. It
        counts as no less real than these up to {ALIKE:g} times their unlikeness. A classifier decides whom a middle
        shows: for digits a small convolutional network fitted to training images; for people logistic regression on
        {LEARNED} photos of each outside all pairs. Each person is paired with one other; all pairs of two people are
        resampled together.""",
    fails="""Unlikeness favours blur: by it, photos of people whom no model saw are less real than a cross-fade of their
        pixels, as a control shows. Only images of one model are therefore compared, though these may differ in blur,
        too, which was not measured. A double exposure in pixels is recognised as one of the two as often as middles of
        codes are, or more often: to be recognised makes no hybrid. Whether a middle is a hybrid
        of two people depends on whether a code keeps who a person is, which is tested beside the claim: these models,
        fitted to few photos, lose much of it in their reconstructions already. PCA, which is linear, makes exactly the
        cross-fade of its reconstructions. On digits, the middles of spherical paths are less like any training image
        than those of straight ones, but recognised more often; which of the two are better depends on the measure.""",
    data=("mnist", "faces"),
    fits=fits,
    measure=measure,
    cases=cases,
    answers={
        "ynyynyy?????": """Between digits, a middle is a little more like a real image than a cross-fade of
            reconstructions of the same model, and mostly recognised as one of the two, but so is a double exposure in
            pixels; and it is much less like real images than reconstructions are. For faces, there are too few people
            to tell much, except that the middle of an autoencoder is a little more like a real image than such a
            cross-fade.""",
    },
    draw=draw,
)
