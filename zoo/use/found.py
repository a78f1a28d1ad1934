"""Finds the model that a command names, and its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zoo import files
from zoo.api import Model, load
from zoo.data.images import Images, shuffled
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.hub import ADDRESS
from zoo.runs.compose import composed, composing, trusted_in
from zoo.runs.job import Job
from zoo.runs.records import Record, read_record
from zoo.runs.rescore import Rescoring, data_from, data_node
from zoo.runs.weights import check_model, is_of
from zoo.use.reading import read_samples

KNOWN = ("run", "data", "path", "paths", "trust")
MOST = 2_000  # samples that are encoded for a figure


@dataclass(frozen=True)
class Found:
    """A model with what is known about it.

    Attributes:
        model: the model.
        place: the file, the folder or the address of the model.
        name: the method and its data, or the name of the file.
        data: what it was fitted on, or what `data=` named; None where that is not known.
        about: why there is no data, in one line; empty where there is.
        record: of its run; None where there is none.
    """

    model: Model
    place: str
    name: str
    data: Splits | None
    about: str
    record: Record | None


def find(words: Sequence[str], *, needs_data: bool = True) -> Found:
    """The model that a command names, its record, and its data.

    Args:
        words: the model (a file, a model folder, or hf://user/name), or run=<record>; then overrides: data= and
            data.source.* for other data, path= for your own files that have moved, paths.*, trust=.
        needs_data: read the data, too.

    Raises:
        ZooError: no model, no such record, a model that is not its record's, another setting, or data that was named
            and cannot be used.
    """
    places = [word for word in words if not is_setting(word)]
    overrides = [word for word in words if is_setting(word)]
    for override in overrides:
        if override.partition("=")[0].partition(".")[0] not in KNOWN:
            raise ZooError(f"{override}: not a setting of a saved model; give {', '.join(f'{key}=' for key in KNOWN)}")
    run = [override.partition("=")[2] for override in overrides if override.startswith("run=")]
    if len(places) + len(run) != 1:
        raise ZooError(f"{len(places) + len(run)} models: give one, model.safetensors or run=<record>")
    with composing([o for o in overrides if not o.startswith(("data", "run="))]) as given:
        asked = Rescoring.of(composed("evaluate", given))
    if run:
        known = files.existing(run[0])
        if not known.is_file():
            raise ZooError(f"run={known}: no such record; give the file of one run, outputs/records/.../<hash>-s0.json")
        record: Record | None = (own := read_record(known))
        place = str(asked.models / own.data / own.variant / f"{own.hash}-s{own.seed}.safetensors")
        model = load(place, trusted_in(overrides))
        check_model(own, Path(place), model.config, model.seed)
    else:
        place = places[0] if places[0].startswith(ADDRESS) else str(files.existing(places[0]))
        model = load(place, trusted_in(overrides))
        record = _record_of(Path(place), model)
    name = Path(place.removeprefix(ADDRESS)).stem if record is None else f"{record.name} on {record.data}"
    data, about = None, ""
    if needs_data and any(override.startswith("data") for override in overrides):
        data = _named([o for o in overrides if not o.startswith(("run=", "path="))])
    elif needs_data:
        try:
            data = data_from(place, data_node(place, model.config), None if record is None else record.path, asked)
        except ZooError as error:
            about = f"without data ({error}); give data=..."
    return Found(model, place, name, data, about, record)


def is_setting(word: str) -> bool:
    """Whether a word of a command is a setting, and not a file or folder, whose name may hold an equals sign, too."""
    return "=" in word and not Path(word).exists()


def samples_of(words: Sequence[str]) -> tuple[Model, NDArray[Any], list[str]]:
    """The model that a command names, and samples in its form with their names: of a file, or the test samples of data.

    Args:
        words: as `find` takes them; behind the model, a file or folder of samples, see `read_samples`.

    Raises:
        ZooError: no model, no samples, or samples of another form.
    """
    places = [word for word in words if not is_setting(word)]
    if any(word.startswith("run=") for word in words):
        places = ["", *places]
    if len(places) == 2:
        model = find([word for word in words if word is not places[1]], needs_data=False).model
        x, names = read_samples(places[1], model.form)
        return model, x, names
    found = find(words)
    if found.data is None:
        raise ZooError(f"no samples: give a file, a folder of pictures, or data=... {found.about}".strip())
    x, _ = own_units(found.data.test, found.data, len(found.data.test))
    return found.model, x, [f"test {number}" for number in range(len(x))]


def own_units(images: Images, data: Splits, most: int = MOST) -> tuple[NDArray[np.float32], NDArray[np.integer]]:
    """Samples of a set in the units and shape of their owner, and their labels; at most so many, chosen by chance."""
    index = shuffled(len(images), torch.Generator().manual_seed(0))[:most].sort().values
    x = np.concatenate([data.form.outward(images[part]) for part in torch.split(index, 512)])
    return x, images.labels[index].numpy()


def _named(overrides: list[str]) -> Splits:
    """The data that overrides name."""
    with composing(overrides) as given:
        data: Splits = Job.of(composed("config", given)).make("data")
    _ = data.train
    return data


def _record_of(place: Path, model: Model) -> Record | None:
    """The record of the run that wrote a model to <results>/models/<data>/<variant>/<hash>-s<seed>.safetensors.

    A record there that is of another fit does not count.
    """
    below = place.resolve()
    if len(below.parents) < 4:
        return None
    inner = Path("records", *below.with_suffix(".json").parts[-3:])
    for root in (below.parents[3], files.home() / "outputs", files.home() / "results"):
        if (root / inner).is_file():
            record = read_record(root / inner)
            if is_of(record, place, model.config, model.seed):
                return record
    return None
