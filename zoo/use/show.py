"""Pictures of any model in one folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from zoo.api import Model
from zoo.errors import ZooError
from zoo.hub import ADDRESS


def show(
    model: Model,
    folder: str | Path,
    x: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    classes: Sequence[str] = (),
    name: str = "model",
) -> list[str]:
    """Draw a model: reconstructions, the plane of codes, traversals, interpolation, samples, empty regions, atoms.

    Args:
        model: the model.
        folder: of the pictures; it is made.
        x: samples that the model was not fitted on, (N, *shape); None draws only what needs none.
        labels: (N,) class of each sample; None for none.
        classes: names of the classes where labels are their numbers; else the labels' own texts.
        name: of the model, for titles.

    Returns:
        One line per view: the path of its picture, or why there is none.

    Raises:
        ZooError: samples of another form, or a folder that cannot be written.
    """
    from zoo.report.figures.style import save  # matplotlib takes half a second to import
    from zoo.use.views import VIEWS, Scene

    kept = None if x is None else np.asarray(x, np.float32)
    numbers = None
    if kept is not None:
        model.form.inward(kept[:1])
    if kept is not None and labels is not None:
        found = np.asarray(labels)
        if found.shape != (len(kept),):
            raise ZooError(f"labels of shape {found.shape} for {len(kept)} samples: give one per sample")
        if classes:
            numbers = found.astype(np.int64)
        else:
            texts, numbers = np.unique(found, return_inverse=True)
            classes = tuple(map(str, texts))
    place = writable(Path(folder))
    scene = Scene(model, name, kept, numbers, tuple(classes))
    lines = []
    for view, draw in VIEWS.items():
        figure = draw(scene)
        if isinstance(figure, str):
            lines.append(f"no {view.replace('_', ' ')}: {figure}")
        else:
            save(figure, place / f"{view}.png")
            lines.append(str(place / f"{view}.png"))
    return lines


def writable(folder: Path) -> Path:
    """The folder, made where it is missing.

    Raises:
        ZooError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZooError(f"{folder}: no folder can be made there ({error.strerror})") from error
    if not os.access(folder, os.W_OK):
        raise ZooError(f"{folder}: this folder cannot be written to")
    return folder


def beside(place: str) -> Path:
    """Where the pictures of a model lie by default: in a folder beside its file, or within its own folder."""
    if place.startswith(ADDRESS):
        return Path("pictures")
    return Path(place) / "pictures" if Path(place).is_dir() else Path(place).with_suffix("")
