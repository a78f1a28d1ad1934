"""Pictures of one model. Each view is a pure function: a figure, or why there is none, in one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from zoo.api import Model
from zoo.model.linear_decoder import atoms_of
from zoo.report.figures.pictures import signed
from zoo.report.figures.style import oklch, styled
from zoo.types import Discrete, HasPrior
from zoo.use.canvas import Panel, Strip, coloured, framed, maps, shades, shortened, strips, table, tiles

Codes = NDArray[np.float32]
UNITS, STEPS, BETWEEN = 16, 9, 11  # units that are traversed, values of each, points from one code to another
SHOWN, PAIRS, DRAWN, FEWER = 12, 3, 40, 30  # samples in a row, pairs, new images, new vectors
ATOMS = 60
GRID, PLOT = 14, 4.6  # cells along the plane, inches of a plot
CLASSES = 20  # that colours can distinguish
NO_CODES = "the file holds no codes of training samples; fit the model again"
NO_DATA = "the data is not known; give data=..."
DEVIATIONS = "standard deviations from the mean of reconstructed training samples"


@dataclass(frozen=True, eq=False)
class Scene:
    """A model with what its pictures may use.

    Attributes:
        model: the model.
        name: of it, for titles.
        x: samples that it was not fitted on, (N, *shape); None without data.
        labels: (N,) numbers of classes; None where there are none.
        classes: their names.
    """

    model: Model
    name: str
    x: NDArray[np.float32] | None = None
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()

    @property
    def is_image(self) -> bool:
        """Whether samples are drawn as images."""
        return self.model.form.kind == "image"

    @cached_property
    def known(self) -> Codes:
        """Codes of training samples: (M, D)."""
        return self.model.codes.numpy()

    @cached_property
    def codes(self) -> Codes:
        """Codes of the samples, or of training samples without data."""
        return self.known if self.x is None else self.model.encode(self.x)

    @cached_property
    def plane(self) -> Plane:
        """The plane of the first two principal components of the training codes; of two units, the codes themselves."""
        return Plane.of(self.known)

    @cached_property
    def usual(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each feature of reconstructed training samples: (D,) twice."""
        decoded = self.model.decode(self.known[:500]).astype(np.float64)
        spread = decoded.std(0)
        return decoded.mean(0), np.where(spread > 1e-9, spread, np.asarray(self.model.form.scale))

    @property
    def features(self) -> tuple[str, ...]:
        """Names of a vector's features."""
        return self.model.form.features or tuple(map(str, range(self.model.form.shape[0])))

    def decoded(self, z: Codes) -> torch.Tensor:
        """Codes as pictures: (N, 1 or 3, H, W)."""
        return shades(self.model.form, self.model.decode(z))

    def panel(self, name: str, x: NDArray[np.float32], marks: tuple[str, ...] = ()) -> Panel:
        """Vectors as a map of their features, in deviations from what is usual."""
        mean, spread = self.usual
        return Panel(name, ((x - mean) / spread).T, marks)

    def mapped(self, panels: list[Panel], title: str, subtitle: str) -> Figure:
        """Maps of vectors."""
        return maps(panels, self.features, title, subtitle, DEVIATIONS, 2.5)


@dataclass(frozen=True)
class Plane:
    """A plane in the space of codes: centre (D,), orthonormal axes (2, D), the share of variance of each."""

    centre: NDArray[np.float32]
    axes: NDArray[np.float32]
    share: tuple[float, float]
    labels: tuple[str, str]

    @classmethod
    def of(cls, codes: Codes) -> Plane:
        """The plane of the first two principal components of codes (M, D) with D >= 2."""
        width = codes.shape[1]
        if width == 2:
            return cls(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), (1.0, 0.0), ("unit 0", "unit 1"))
        centre = codes.mean(0)
        values, vectors = np.linalg.eigh(np.cov((codes - centre).T.astype(np.float64)))
        share = values[::-1][:2] / max(values.sum(), 1e-12)
        axes = vectors[:, ::-1][:, :2].T
        turned = np.where(axes[[0, 1], np.abs(axes).argmax(1)] < 0, -1.0, 1.0)[:, None] * axes  # largest entry above 0
        first, second = (f"component {k + 1} of the code ({part:.0%} of its variance)" for k, part in enumerate(share))
        return cls(centre, turned.astype(np.float32), (float(share[0]), float(share[1])), (first, second))

    def project(self, z: Codes) -> NDArray[np.float32]:
        """(N, D) -> (N, 2)."""
        return ((z - self.centre) @ self.axes.T).astype(np.float32)

    def lift(self, points: NDArray[np.float32]) -> Codes:
        """(N, 2) -> (N, D)."""
        found: Codes = (self.centre + points @ self.axes).astype(np.float32)
        return found


def reconstructions(scene: Scene) -> Figure | str:
    """Samples and what the model makes of them: typical ones, and the worst."""
    if scene.x is None:
        return NO_DATA
    model, x = scene.model, scene.x
    rebuilt = model.reconstruct(x)
    if not scene.is_image:
        return _values(scene, x, rebuilt)
    error = (model.form.inward(x) - model.form.inward(rebuilt)).square().flatten(1).mean(1).numpy()
    order = np.argsort(error, kind="stable")
    typical, worst = order[np.linspace(0, len(order) - 1, min(SHOWN, len(order))).astype(int)], order[::-1][:SHOWN]
    rows = []
    for name, chosen, apart in (("from best to worst", typical, False), ("the worst", worst, True)):
        rows.append(Strip(name, shades(model.form, x[chosen]), apart))
        rows.append(Strip("reconstruction", shades(model.form, rebuilt[chosen])))
    told = f"{len(x):,} samples; mean squared error per pixel {error.mean():.3g}, worst {error.max():.3g} (white is 1)"
    return strips(rows, f"Reconstructions: {scene.name}", told, SHOWN)


def _values(scene: Scene, x: NDArray[np.float32], rebuilt: NDArray[np.float32]) -> Figure:
    """True and reconstructed values of a dozen features of five samples."""
    variance = x.var(0).astype(np.float64)
    explained = 1 - np.square(x.astype(np.float64) - rebuilt).mean(0) / np.where(variance > 0, variance, 1)
    order = np.argsort(-explained, kind="stable")
    rows = order if len(order) <= SHOWN else np.concatenate([order[: SHOWN // 2], order[-SHOWN // 2 :]])
    chosen = np.linspace(0, len(x) - 1, min(5, len(x))).astype(int)
    spread = np.maximum(x.std(0), 1e-12)
    lines, shade = [], []
    for row in rows:
        pairs = [(float(x[i, row]), float(rebuilt[i, row])) for i in chosen]
        lines.append(
            [shortened(scene.features[row]), f"{explained[row]:.2f}", *(f"{a:.4g} → {b:.4g}" for a, b in pairs)]
        )
        shade.append([0.0, 0.0, *(abs(a - b) / spread[row] / 2 for a, b in pairs)])
    head = ["feature", "R²", *(f"sample {i}" for i in chosen)]
    few = "" if len(rows) == len(order) else f"; the {SHOWN // 2} best and {SHOWN // 2} worst of {len(order)} features"
    told = f"true → reconstructed; R² over {len(x):,} samples; red: an error of 2 standard deviations{few}"
    return table(head, lines, np.array(shade), f"Reconstructions: {scene.name}", told)


@styled
def code_plane(scene: Scene) -> Figure | str:
    """The codes of samples in two dimensions, coloured by class."""
    if not len(scene.known):
        return NO_CODES
    width = scene.model.width
    if width == 1:
        low = np.random.default_rng(0).uniform(0, 1, len(scene.codes))
        points, names = np.stack([scene.codes[:, 0], low], 1), ("unit 0", "no meaning: spread to be seen")
    else:
        points, names = scene.plane.project(scene.codes), scene.plane.labels
    several = scene.labels is not None and 2 <= len(scene.classes) <= CLASSES
    known = [shortened(name, 18) for name in scene.classes] if several else []
    what = "training samples" if scene.x is None else "samples that the model was not fitted on"
    told = f"{len(points):,} codes of {width} units, of {what}"
    if len(scene.classes) > CLASSES:
        told += f"; {len(scene.classes)} classes are too many for colours"
    figure, ax, _ = framed(PLOT, PLOT, f"The plane of codes: {scene.name}", told, 1.4 if known else 0.0)
    size = 14 if len(points) < 600 else 7
    if known and scene.labels is not None:
        hues = len(known)
        order = np.random.default_rng(0).permutation(len(points))
        shade = np.array([oklch(0.5 + 0.18 * (k % 2), 0.15, k / hues) for k in range(hues)])
        ax.scatter(points[order, 0], points[order, 1], s=size, c=shade[scene.labels[order]], lw=0, alpha=0.8)
        for k, name in enumerate(known):
            ax.scatter([], [], s=18, color=shade[k], lw=0, label=name)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, handletextpad=0.2)
    else:
        ax.scatter(points[:, 0], points[:, 1], s=size, color="#3b6ea5", lw=0, alpha=0.6)
    ax.set(xlabel=names[0], ylabel=names[1])
    if width == 1:
        ax.set_yticks([])
    return figure


def traversals(scene: Scene) -> Figure | str:
    """One unit at a time takes other values, from its least to its greatest usual one, around a typical code."""
    if not len(scene.known):
        return NO_CODES
    known, bottleneck = scene.known, scene.model.module.bottleneck
    start = known[np.square(known - known.mean(0)).sum(1).argmin()]
    if isinstance(bottleneck, Discrete):
        varied = _symbols(scene, bottleneck, start)
        what, of = "symbol", "each position takes its most frequent entries"
    else:
        units = np.sort(np.argsort(-known.std(0), kind="stable")[:UNITS])
        low, high = np.percentile(known[:, units], (1, 99), axis=0)
        rare = (known[:, units] == 0).mean(0) > 0.5  # of a sparse code, whose percentiles are 0
        low, high = np.where(rare, known[:, units].min(0), low), np.where(rare, known[:, units].max(0), high)
        varied = []
        for unit, least, most in zip(units, low, high, strict=True):
            z = np.repeat(start[None], STEPS, 0)
            z[:, unit] = np.linspace(least, most, STEPS)
            varied.append((int(unit), z))
        what, of = "unit", "each unit from the 1st to the 99th percentile of training codes"
        of = "each unit from its least to its greatest value in training codes" if rare.all() else of
        if scene.model.width > UNITS:
            of += f"; the {UNITS} of {scene.model.width} units that vary most"
    title = f"Traversals: {scene.name}"
    told = f"{of}; the others are those of the training sample whose code is nearest to the mean"
    if scene.is_image:
        return strips([Strip(f"{what} {k}", scene.decoded(z)) for k, z in varied], title, told)
    return scene.mapped([scene.panel(f"{what} {k}", scene.model.decode(z)) for k, z in varied], title, told)


@torch.no_grad()
def _symbols(scene: Scene, book: Discrete, start: Codes) -> list[tuple[int, Codes]]:
    """Codes in which one symbol takes its most frequent entries."""
    entries = book.indices(scene.model.codes)
    first = book.indices(torch.from_numpy(start)[None])
    varied = []
    for position in range(min(UNITS, first.shape[1])):
        counts = entries[:, position].bincount(minlength=book.codebook_size)
        used = counts.argsort(descending=True, stable=True)[:STEPS]
        changed = first.repeat(len(used), 1)
        changed[:, position] = used
        varied.append((position, book.points(changed).numpy()))
    return varied


def interpolation(scene: Scene) -> Figure | str:
    """From the code of one sample to that of another: along a straight line, and along a great circle."""
    codes = scene.codes
    if len(codes) < 2:
        return NO_CODES
    rows, panels = [], []
    for number, (a, b) in enumerate(pairwise(_apart(scene))):
        ends = ""
        if scene.labels is not None and len(scene.classes) > 1:
            ends = " → ".join(shortened(scene.classes[scene.labels[end]], 10) for end in (a, b)) + ", "
        for kind, between in (("straight", straight), ("spherical", spherical)):
            z = between(codes[a], codes[b], scene.known.mean(0) if len(scene.known) else codes.mean(0))
            if scene.is_image:
                rows.append(Strip(ends + kind, scene.decoded(z), apart=number > 0 and kind == "straight"))
            else:
                panels.append(scene.panel(ends + kind, scene.model.decode(z)))
    what = "training samples" if scene.x is None else "samples"
    told = f"from the code of one of two {what} to that of the other; spherical: around the mean code"
    if isinstance(scene.model.module.bottleneck, Discrete):
        told += "; the codes between are no entries of the codebook"
    title = f"Interpolation: {scene.name}"
    return strips(rows, title, told, BETWEEN) if scene.is_image else scene.mapped(panels, title, told)


def straight(a: Codes, b: Codes, centre: Codes) -> Codes:
    """Points from code a to code b (D,) on a straight line: (P, D)."""
    t = np.linspace(0, 1, BETWEEN, dtype=np.float32)[:, None]
    return (1 - t) * a + t * b


def spherical(a: Codes, b: Codes, centre: Codes) -> Codes:
    """Points from code a to code b (D,) on the great circle around `centre`, their distances from it linear: (P, D).

        sin((1 - t) w) a / sin(w) + sin(t w) b / sin(w), of unit vectors a, b with the angle w between them

    K. Shoemake, "Animating rotation with quaternion curves", 1985.
    """
    t = np.linspace(0, 1, BETWEEN, dtype=np.float32)[:, None]
    a, b = a - centre, b - centre
    long_a, long_b = (max(float(np.linalg.norm(side)), 1e-12) for side in (a, b))
    angle = float(np.arccos(np.clip(a @ b / (long_a * long_b), -1, 1)))
    if not 1e-3 < angle < np.pi - 1e-3:
        return straight(a, b, centre) + centre
    turned = (np.sin((1 - t) * angle) * (a / long_a) + np.sin(t * angle) * (b / long_b)) / np.sin(angle)
    found: Codes = (centre + turned * ((1 - t) * long_a + t * long_b)).astype(np.float32)
    return found


def _apart(scene: Scene) -> list[int]:
    """Samples to interpolate between one after another: of different classes where there are some."""
    order = np.random.default_rng(0).permutation(len(scene.codes))
    if scene.labels is None or len(scene.classes) < 2:
        return [int(index) for index in order[: PAIRS + 1]]
    first = [int(order[scene.labels[order] == label][0]) for label in np.unique(scene.labels)]
    return [*first, *map(int, order)][: PAIRS + 1]


def samples(scene: Scene) -> Figure | str:
    """New samples: from the prior, or from a Gaussian fitted to the codes of training samples."""
    has_prior = isinstance(scene.model.module.bottleneck, HasPrior)
    if not has_prior and not len(scene.known):
        return NO_CODES
    drawn = scene.model.sample(DRAWN)
    title = f"New samples: {scene.name}"
    told = "decoded from draws of the prior" if has_prior else "decoded from draws of a Gaussian fitted to codes"
    if scene.is_image:
        return tiles(shades(scene.model.form, drawn), (), title, told)
    panels = [scene.panel("new", drawn[:FEWER])]
    if scene.x is not None:
        panels.append(scene.panel("true", scene.x[:FEWER]))
    return scene.mapped(panels, title, told)


@styled
def gaps(scene: Scene) -> Figure | str:
    """The plane of codes decoded on a grid; cells that no training code is near are shaded."""
    if not len(scene.known):
        return NO_CODES
    if scene.model.width < 2:
        return "the code has one unit, and no plane"
    points = scene.plane.project(scene.known)
    low, high = np.stack([points.min(0), points.max(0)])
    cell = np.maximum((high - low) / GRID, 1e-9)
    low, high = low - cell, high + cell
    across = GRID + 2
    xs, ys = (low[k] + (np.arange(across) + 0.5) * cell[k] for k in (0, 1))
    centres = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
    apart = np.concatenate([np.abs((centre - points) / cell).max(1).min(keepdims=True) for centre in centres])
    empty = (apart > 1).reshape(across, across)
    told = f"red: none of {len(points):,} training codes within one cell of it; {empty.mean():.0%} of the cells"
    if scene.model.width > 2:
        told += f"; the plane holds {sum(scene.plane.share):.0%} of the variance"
    h, w = scene.model.form.inner_shape[1:] if scene.is_image else (1, 1)
    down, along = (PLOT * 1.5 * max(side / max(h, w), 0.3) for side in (h, w))
    figure, ax, _ = framed(along, down, f"Empty regions of the code: {scene.name}", told)
    extent = (low[0], high[0], low[1], high[1])
    if scene.is_image:
        images = pad(scene.decoded(scene.plane.lift(centres.astype(np.float32))).expand(-1, 3, -1, -1))
        h, w = images.shape[-2:]
        sheet = images.view(across, across, 3, h, w).flip(0).permute(0, 3, 1, 4, 2).reshape(across * h, across * w, 3)
        ax.imshow(sheet.numpy(), extent=extent, aspect="auto", interpolation="nearest" if max(h, w) < 60 else None)
        ax.imshow(_shading(empty, (0.84, 0.25, 0.2, 0.5)), extent=extent, aspect="auto", interpolation="nearest")
    else:
        ax.imshow(_shading(empty, (0.84, 0.25, 0.2, 0.25)), extent=extent, aspect="auto", interpolation="nearest")
        ax.scatter(points[:, 0], points[:, 1], s=6, color="#3b6ea5", lw=0, alpha=0.7)
    ax.set(xlabel=scene.plane.labels[0], ylabel=scene.plane.labels[1], xlim=extent[:2], ylim=extent[2:])
    return figure


def pad(images: torch.Tensor) -> torch.Tensor:
    """Images with a white border."""
    return torch.nn.functional.pad(images, [max(1, max(images.shape[-2:]) // 20)] * 4, value=1.0)


def _shading(empty: NDArray[np.bool_], colour: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """Cells (rows from below) as an image of one colour, clear where they are not empty."""
    return np.where(empty[::-1, :, None], np.array(colour), 0.0)


@torch.no_grad()
def atoms(scene: Scene) -> Figure | str:
    """What one unit adds to a sample, where the decoder is linear: the columns of V in raw = V z + b."""
    model, width = scene.model, scene.model.width
    columns = atoms_of(model.module.decoder, width)
    if columns is None:
        return "the decoder is not linear"
    spread = model.codes.std(0) if len(model.codes) > 1 else torch.ones(width)
    weight = columns.flatten(1).norm(dim=1) * spread
    order = weight.argsort(descending=True, stable=True)[: ATOMS if scene.is_image else 2 * SHOWN]
    ranked = "ordered by how much of the variance of samples they carry"
    told = f"{len(order)} of {width} atoms, {ranked}" if len(order) < width else f"{width} atoms, {ranked}"
    title = f"Atoms: {scene.name}"
    marks = [str(int(unit)) for unit in order]
    if scene.is_image:
        colours = "grey at 0" if columns.shape[1] in (3, 4) else "blue below 0, red above"
        shown = signed(coloured(columns[order]) if columns.shape[1] == 4 else columns[order])
        return tiles(shown, [f"unit {mark}" for mark in marks], title, f"{told}; {colours}, each by itself")
    values = (columns * spread.view(-1, 1, 1, 1)).flatten(1)[order].T.double().numpy()
    values = values[: model.form.shape[0]]
    end = float(np.abs(values).max())
    panel = Panel("units", values, marks)
    bar = "change of the scaled feature by one standard deviation of the unit"
    return maps([panel], scene.features, title, told, bar, end)


VIEWS: dict[str, Callable[[Scene], Figure | str]] = {
    view.__name__: view for view in (reconstructions, code_plane, traversals, interpolation, samples, gaps, atoms)
}
