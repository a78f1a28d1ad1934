"""One run, from data to record."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from experiments.job import Job
from experiments.models import build_model, load_model, make, save_model
from experiments.progress import evaluation_bar
from zoo.autoencoder import Autoencoder
from zoo.data.datamodule import ImageData
from zoo.evaluation.evaluator import evaluate
from zoo.figures.strips import encode_strip
from zoo.fit import FitReport
from zoo.fit.memory import peak_memory
from zoo.fit.stacked import fit_stacked, stackable
from zoo.records import Record, write_record

PACKAGES = ("torch", "lightning", "torchvision", "scikit-learn", "numpy", "hydra-core", "bottleneck-zoo")
SHOWN = 10  # test images whose reconstructions a record carries


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves.

    Attributes:
        model: fitted.
        data: what it was fitted on.
        report: how the fit went.
        peak_memory: of the process while it ran, in MiB; None where it can't be measured.
        stacked: models that were fitted at once, this one among them; the memory is that of all.
    """

    model: Autoencoder
    data: ImageData
    report: FitReport
    peak_memory: float | None
    stacked: int = 1


def run_one(job: Job, fitted: Fitted | None = None) -> Record:
    """Fit, score and record one run, as far as its record does not have it already.

    Args:
        job: the run.
        fitted: its model, if it was fitted among others.

    Raises:
        ZooError: what the user can mend; nothing is written then.
    """
    record = job.existing()
    missing = job.groups if record is None else job.missing(record)
    if record is not None and not missing:
        return record
    torch.set_num_threads(job.threads)
    if record is not None and job.model_path.exists():
        metrics = score(job, load_model(job.model_path), read(job), missing, record.fit)
        record = replace(record, metrics=record.metrics | metrics)
        write_record(job.results, record)
        return record
    return keep(job, fitted or fit_one(job))


def fit_one(job: Job) -> Fitted:
    """Fit the model of one run."""
    data = read(job)
    model = build_model(job.config, data.shape, job.seed)
    with peak_memory() as peak:
        report = make(job.axes["fit"])(model, data, make(job.axes["objective"]), job.seed)
    return Fitted(model, data, report, peak())


def fit_together(jobs: Sequence[Job]) -> list[Fitted]:
    """Fit the models of runs that differ in their seeds, all at once; an empty list if that would not be the same.

    Raises:
        ZooError: the loss of one of them is no longer a finite number.
    """
    first = jobs[0]
    torch.set_num_threads(first.threads)
    data, fit, objective = read(first), make(first.axes["fit"]), make(first.axes["objective"])
    models = [build_model(first.config, data.shape, job.seed) for job in jobs]
    if not stackable(fit, models, data, objective):
        return []
    with peak_memory() as peak:
        reports = fit_stacked(fit, models, data, objective, [job.seed for job in jobs])
    return [Fitted(model, data, report, peak(), len(jobs)) for model, report in zip(models, reports, strict=True)]


def keep(job: Job, fitted: Fitted) -> Record:
    """Score and record a fitted model, and save it."""
    model, data, report = fitted.model.eval(), fitted.data, fitted.report
    fit = asdict(report) | {"peak_memory": fitted.peak_memory}
    if fitted.stacked > 1:
        fit["stacked"] = fitted.stacked
    metrics = score(job, model, data, job.groups, fit)
    save_model(job.model_path, model, job.config, data.shape, job.seed)
    record = Record(
        name=job.name,
        variant=job.variant,
        data=job.data,
        width=job.width,
        seed=job.seed,
        hash=job.key,
        config=job.config,
        fit=fit | {"history": rounded(report.history)},
        metrics=metrics,
        images=strips(model, data),
        environment=environment(),
    )
    write_record(job.results, record)
    return record


def read(job: Job) -> ImageData:
    """The run's data, in memory."""
    data = ImageData(**make(job.axes["data"]))
    data.setup()
    return data


def score(
    job: Job, model: Autoencoder, data: ImageData, groups: Sequence[str], fit: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The evaluator's answers, in `groups`, with a bar where the job wants one."""
    with evaluation_bar(job.name, job.progress) as show:
        return evaluate(model, data, groups, fit, show, job.features)


@torch.no_grad()
def strips(model: Autoencoder, data: ImageData) -> dict[str, str]:
    """What the figures show of a run: the same few test images, and what the model makes of them.

    The images are the first of each class in turn, then the first of all; the noise is drawn with a fixed seed.
    """
    labels = data.test.labels
    first = [int(torch.nonzero(labels == label)[0]) for label in sorted(set(labels.tolist()))]
    others = [index for index in range(min(len(labels), 2 * SHOWN)) if index not in first]
    first = [*first, *others][:SHOWN]
    x = data.test[torch.tensor(first)]
    images = {"original": x, "reconstruction": model.reconstruct(x)}
    seen, hidden = model.corruption(x, torch.Generator().manual_seed(0))
    if hidden is not None:
        images |= {"corrupted": seen, "restored": model.reconstruct(seen, hidden if model.corruption.hides else None)}
    if hasattr(model.bottleneck, "sample"):
        images["samples"] = model.decode(model.bottleneck.sample(2 * SHOWN, torch.Generator().manual_seed(0)))
    return {name: encode_strip(batch) for name, batch in images.items()}


def rounded(history: dict[str, list[float]]) -> dict[str, list[float]]:
    """Six significant digits: what a curve can show."""
    return {name: [float(f"{value:.6g}") for value in values] for name, values in history.items()}


def environment() -> dict[str, Any]:
    """Package versions, git commit, machine, and the time of the run."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    git = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "git": git or None,
        "machine": {
            "system": platform.system(),
            "processor": processor(),
            "cpu": torch.backends.cpu.get_cpu_capability(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "threads": torch.get_num_threads(),
        },
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def processor() -> str:
    """The processor's name where the system tells it (Linux), else its architecture."""
    try:
        about = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in about.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe(job: Job, record: Record) -> None:
    """Tell a person what came out and where the files are."""
    width = max(map(len, record.metrics))
    for name, entry in record.metrics.items():
        shown = f"{entry['value']:>14.6g}" if entry["value"] is not None else f"{'n/a':>14}"
        print(f"  {name:<{width}} {shown}  {entry['unit']}")
    print(f"record  {job.record_path}")
    print(f"model   {job.model_path}" + ("" if job.model_path.exists() else " (not on this machine)"))
