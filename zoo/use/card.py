"""A model folder to share: weights, configuration, and a model card."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.api import Model, evaluate, save
from zoo.errors import ZooError
from zoo.evaluation.shortfall import shortfall
from zoo.hub import upload
from zoo.model.io import PARTS
from zoo.options import imported, targets
from zoo.runs.versions import installed
from zoo.samples import Form
from zoo.types import DrawsCodes, HasPrior
from zoo.use.found import Found, own_units
from zoo.use.ranking import write
from zoo.use.show import writable

Metrics = Mapping[str, Mapping[str, Any]]
GROUPS = ("reconstruction", "probing", "generation", "code", "cost")
SPEED = ("fit_seconds", "fit_peak_memory", "encode_images_per_second", "decode_images_per_second")
KIND = {"image": "images", "vector": "vectors", "counts": "vectors of counts"}
SECTION = re.compile(r"^(Limitations?|Where this differs from the paper): (.+?)(?:\n\s*\n|\Z)", re.M | re.S)


def card(
    model: Model,
    folder: str | Path,
    *,
    name: str = "model",
    data: str = "samples of its owner",
    metrics: Metrics | None = None,
    measured_on: str = "",
    limitations: Sequence[str] = (),
    address: str = "",
) -> list[Path]:
    """Write a model folder: model.safetensors, config.json, and README.md, its card. `zoo.load(folder)` loads it.

    Args:
        model: the model.
        folder: created if it does not exist.
        name: the method, for the title.
        data: description of the data that the model was fitted to.
        metrics: of `zoo.evaluate`, or of a record; None for none.
        measured_on: description of the samples that it was measured on.
        limitations: further limitations, a sentence each.
        address: from which the card's example loads the model; empty for the folder.

    Returns:
        The paths of the three files.

    Raises:
        ZooError: the folder cannot be written.
    """
    place = writable(Path(folder))
    about = {
        "config": model.config,
        "form": model.form.as_json(),
        "seed": model.seed,
        "zoo": installed("bottleneck-zoo"),
    }
    text = "\n".join(_lines(model, name, data, metrics or {}, measured_on, limitations, address or str(place)))
    path = place / "model.safetensors"
    try:
        save(model, path)
    except OSError as error:
        raise ZooError(f"{path}: cannot be written ({error.strerror})") from error
    write(place / "config.json", json.dumps(about, indent=1, sort_keys=True).encode() + b"\n")
    write(place / "README.md", text.encode() + b"\n")
    return [path, place / "config.json", place / "README.md"]


def about(found: Found) -> dict[str, Any]:
    """The content of `card` for a model that a command has found: from its record, or measured on its data."""
    record, splits = found.record, found.data
    if record is not None:
        said = {"name": record.name, "data": f"`{record.data}`", "metrics": record.metrics}
        said["measured_on"] = f"the test samples of `{record.data}`"
    elif splits is not None:
        train, test = (own_units(part, splits) for part in (splits.train, splits.test))
        metrics = evaluate(found.model, *test, train=train)
        said = {"name": found.name, "data": f"`{splits.name}`", "metrics": metrics}
        said["measured_on"] = f"{len(test[0]):,} test samples of `{splits.name}`"
    else:
        return {"name": found.name}
    if splits is not None and (short := shortfall(found.model.module, splits)):
        said["limitations"] = [short]
    return said


def push_to_hub(model: Model, repository: str, *, private: bool = False, **about: Any) -> str:
    """Put a model with its card on the Hugging Face hub, and return the address that `zoo.load` takes: hf://user/name.

    Needs the extra `hub`, and a login: `hf auth login`.

    Args:
        model: the model.
        repository: user/name.
        private: whether a new repository is private.
        about: arguments of `card`: name, data, metrics, measured_on, limitations.

    Raises:
        ZooError: not logged in, no network, or the extra is missing.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ZooError(f"{repository}: a model of the hub is called user/name")
    with tempfile.TemporaryDirectory() as folder:
        card(model, folder, address=f"hf://{repository}", **{"name": repository.partition("/")[2], **about})
        return upload(Path(folder), repository, private)


def _lines(
    model: Model,
    name: str,
    data: str,
    metrics: Metrics,
    measured_on: str,
    limitations: Sequence[str],
    address: str,
) -> Iterator[str]:
    """The card, in Markdown; its head holds the metadata for the hub."""
    shape, width = ", ".join(map(str, model.form.shape)), model.width
    parameters = sum(parameter.numel() for parameter in model.module.parameters())
    yield from ("---", "library_name: bottleneck-zoo", "tags: [autoencoder, representation-learning]", "---", "")
    yield from (f"# {name}", "")
    yield f"A model of the bottleneck zoo: it compresses {KIND[model.form.kind]} of shape ({shape}) to codes of {width}"
    yield f"numbers, and reconstructs them. It has {parameters:,} parameters."
    yield from ("", "```python", "import zoo  # pip install bottleneck-zoo", "", f'model = zoo.load("{address}")')
    yield f"codes = model.encode(x)  # (N, {shape}) -> (N, {width})"
    yield from (f"x_hat = model.decode(codes)  # (N, {width}) -> (N, {shape})", "```", "")
    yield from ("## Parts", "", "| axis | option | settings |", "| --- | --- | --- |")
    for axis, node in model.config.items():
        if axis != "data":
            settings = ", ".join(f"{key}={_plain(value)}" for key, value in node.items() if key != "option")
            yield f"| {axis} | `{node['option']}` | {settings} |"
    yield from ("", f"Fitted with seed {model.seed}. `config.json` holds all options.")
    yield from ("", "## Data", "", f"Fitted on {data}. {_scaling(model.form)}", "", "## Metrics", "")
    yield from _table(metrics, measured_on)
    yield from ("", "## Limitations", "")
    yield from (f"- {sentence}" for sentence in [*_limits(model, metrics), *limitations])


def _table(metrics: Metrics, measured_on: str) -> Iterator[str]:
    """The metrics, by group."""
    rows = [(key, entry) for key, entry in metrics.items() if entry.get("value") is not None and key not in SPEED]
    rows = [(key, entry) for key, entry in rows if entry.get("group") in GROUPS]
    if not rows:
        yield "Not measured."
        return
    yield f"Measured on {measured_on or 'samples that it was not fitted on'}. Intervals: bootstrap, 95 %, over samples."
    yield from ("", "| metric | value | interval | unit | better |", "| --- | ---: | :---: | --- | --- |")
    for key, entry in sorted(rows, key=lambda row: GROUPS.index(row[1]["group"])):
        interval = " to ".join(f"{end:.4g}" for end in entry.get("interval") or ())
        unit = "" if entry["unit"] == "1" else entry["unit"]
        better = entry["direction"] if entry.get("direction") in ("lower", "higher") else ""
        yield f"| {key} | {entry['value']:,.6g} | {interval} | {unit} | {better} |"


def _plain(value: Any) -> str:
    return json.dumps(value).replace('"', "").replace("|", "\\|")


def _scaling(form: Form) -> str:
    if len(form.shift) > 1:
        return "Each feature is standardised by the mean and the deviation of training samples, inside the model."
    if form.shift[0] == 0 and form.scale[0] == 1:
        return "Values are used as they are."
    shifted = f"(x - {form.shift[0]:g})" if form.shift[0] else "x"
    return f"Values x are scaled to {shifted} / {form.scale[0]:g}, inside the model."


def _limits(model: Model, metrics: Metrics) -> Iterator[str]:
    """Limitations that follow from the parts and the metrics of the model."""
    yield "Samples unlike those that it was fitted on are encoded and reconstructed badly, without a warning."
    yield "One fit with one seed: another seed gives other codes, and the units of two models are not comparable."
    bottleneck = model.module.bottleneck
    if not isinstance(bottleneck, HasPrior):
        yield "It has no prior: `sample` draws codes from a density, fitted to codes of training samples."
    if not isinstance(bottleneck, DrawsCodes):
        yield "It has no posterior: `score_samples` is the reconstruction error in nats, no likelihood of a sample."
    else:
        yield "`score_samples` is a lower bound of the likelihood, from 16 samples."
    if not metrics:
        yield "Nothing was measured."
    if (worst := metrics.get("mse", {}).get("worst")) is not None and metrics["mse"].get("value"):
        yield f"The worst 1 % of samples have {worst / metrics['mse']['value']:.1f} times the mean squared error."
    seen = set()
    for axis in (*PARTS, "objective", "fit"):
        for target in targets(axis, model.config[axis]) if axis in model.config else ():
            part = imported(target)
            for section in SECTION.finditer(inspect.getdoc(part) or ""):
                if (text := " ".join(section[2].split())) not in seen:
                    seen.add(text)
                    yield f"`{part.__name__}`, {section[1].lower()}: {text}"
