"""One run, from data to record."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from zoo.data.images import Images
from zoo.data.splits import Splits
from zoo.errors import ZooError
from zoo.evaluation.evaluator import evaluate
from zoo.evaluation.measures.cosines import directions
from zoo.evaluation.shortfall import shortfall
from zoo.fitting.loggers import Silent
from zoo.memory import keep_freed_memory, peak_memory
from zoo.model.autoencoder import Autoencoder
from zoo.model.io import build_model, kept_codes, save_model, weights_digest
from zoo.model.linear_decoder import atoms_of
from zoo.options import build, template
from zoo.runs.bars import evaluation_bar
from zoo.runs.job import AXES, Job
from zoo.runs.outside import outside_images
from zoo.runs.processes import fit_by_processes
from zoo.runs.records import DUE, Record, write_record
from zoo.runs.siblings import siblings_of
from zoo.runs.strips import MODES, STEPS, encode_strip
from zoo.runs.versions import versions
from zoo.runs.weights import model_of
from zoo.types import FitReport, HasPrior, Logs, Resumes

COLUMNS = 80  # of a terminal
SHOWN = 10  # test images whose reconstructions a record carries
ATOMS = 20  # of a linear decoder
CODES = 1000  # test codes that give the range of a traversal


@dataclass(frozen=True)
class Fitted:
    """The outcome of a fit.

    Attributes:
        model: fitted.
        data: the data that it was fitted to.
        report: duration and history of the fit.
        peak_memory: of the process during the fit, in MiB; None where it can't be measured.
        stacked: models that were fitted at once, this one among them; the memory is that of all.
    """

    model: Autoencoder
    data: Splits
    report: FitReport
    peak_memory: float | None
    stacked: int = 1


def run_one(job: Job, kept: tuple[Fitted, Record] | None = None) -> Record:
    """Fit, measure and record one run, except for what its record already holds.

    A fit is saved before it is measured, and a record only ever gains metrics.

    Args:
        job: the run.
        kept: its model and its record, if it was fitted among others.

    Raises:
        ZooError: a mistake of the user; nothing is written.
    """
    keep_freed_memory()  # of evaluations, too
    torch.set_num_threads(job.threads)
    if kept is not None:
        fitted, saved = kept
        return measured(job, saved, fitted.model, fitted.data, job.due(saved))
    record = job.existing()
    if record is not None:
        lacking = job.due(record)
        if not lacking:
            return record
        if job.model_path.exists():
            return measured(job, record, model_of(record, job.model_path, job.trust), read(job), lacking)
        if not job.refit:
            raise ZooError(
                f"{job.model_path}: this model is not on this machine, so the {len(lacking)} metrics that its record "
                "lacks cannot be measured; refit=true fits it again, and measures all metrics of the record again"
            )
    due = due_of(job)
    check_parts(job)
    data = read(job)
    _ = outside_images(job.outliers, data, due, job.trust)  # reports unreadable data before the fit
    fitted = fit_one(job, data)
    return measured(job, keep(job, fitted, due), fitted.model, fitted.data, due)


def due_of(job: Job) -> list[str]:
    """The metrics of a new fit: those asked for, and those that the record of an earlier fit held."""
    due = job.due(None)
    return [*due, *(name for name in job.measurable(job.recorded()) if name not in due)]


def check_parts(job: Job) -> None:
    """ZooError if a part refuses its settings, before data are read, as far as that does not depend on them."""
    with torch.random.fork_rng(devices=[]):
        parts = {axis: job.make(axis) for axis in AXES}
        parts["bottleneck"]()
    job.make_logger()
    for node in job.densities.values():
        if not node.items() <= {"option": node["option"], **template("density", node["option"], job.trust)}.items():
            build("density", node, job.trust)  # as its file has it, a density is right, and may take long to import


def fit_one(job: Job, data: Splits) -> Fitted:
    """Fit the model of one run on its data, by this process or by several."""
    devices = job.axes["fit"].get("devices")
    if devices is None:
        return fit_here(job, data)
    model = build_model(job.config, data.shape, job.seed, job.trust, data.kind)
    report, peak = fit_by_processes(job, devices, model)
    return Fitted(model.eval(), data, report, peak)


def fit_here(job: Job, data: Splits, first: bool = True) -> Fitted:
    """Fit the model of one run by this process.

    Args:
        job: the run.
        data: its data.
        first: False for all processes but one of those that share a fit: they log nothing.
    """
    model = build_model(job.config, data.shape, job.seed, job.trust, data.kind)
    fit = job.make("fit")
    if isinstance(fit, Resumes) and job.checkpoint_seconds is not None:
        fit = fit.resuming(job.checkpoint_path, checkpointed(job), job.checkpoint_seconds)
    if first and isinstance(fit, Logs):
        logger, place = job.make_logger().open(job.results, f"{job.data}/{job.variant}", f"{job.key}-s{job.seed}")
        if logger is not None:
            logger.log_hyperparams({**job.config, "seed": job.seed})
            print(f"log     {place}", flush=True)
        if job.trial is not None:
            from zoo.runs.watched import Watched  # Lightning takes seconds to import

            logger = Watched(job.trial.open(), logger)
        fit = fit if logger is None else fit.logging_to(logger)
    with peak_memory() as peak:
        report = fit(model, data, job.make("objective"), job.seed)
    return Fitted(model.eval(), data, report, peak())


def checkpointed(job: Job) -> dict[str, Any]:
    """Everything that the result of a fit depends on; a checkpoint that differs in it is ignored."""
    return {"hash": job.key, "seed": job.seed, "code": job.code, "versions": versions()}


def fit_together(jobs: Sequence[Job]) -> list[tuple[Fitted, Record]]:
    """Fit models that differ only in their seeds together, and save them all; an empty list if that changes the result.

    The list is also empty if the history is logged, because epochs of models fitted together end together.

    Raises:
        ZooError: the loss of one of them is no longer a finite number, outliers of another data set cannot be read, or
            a model cannot be saved.
    """
    first, seeds = jobs[0], [job.seed for job in jobs]
    check_parts(first)
    data = read(first)
    _ = outside_images(first.outliers, data, first.due(None), first.trust)  # as in run_one
    from zoo.fitting.stacked import fit_stacked, stackable  # Lightning takes seconds to import

    torch.set_num_threads(first.threads)
    fit, objective = first.make("fit"), first.make("objective")
    models = [build_model(first.config, data.shape, job.seed, job.trust, data.kind) for job in jobs]
    if not isinstance(first.make_logger(), Silent) or not stackable(fit, models, data, objective):
        return []
    if first.checkpoint_seconds is not None:
        fit = fit.resuming(first.checkpoint_path, checkpointed(first) | {"seed": seeds}, first.checkpoint_seconds)
    with peak_memory() as peak:
        reports = fit_stacked(fit, models, data, objective, seeds)
    kept = []
    for job, model, report in reversed([*zip(jobs, models, reports, strict=True)]):  # the first has the checkpoint
        fitted = Fitted(model.eval(), data, report, peak(), len(jobs))
        kept.append((fitted, keep(job, fitted, due_of(job))))
    return kept[::-1]


def keep(job: Job, fitted: Fitted, due: Sequence[str]) -> Record:
    """Save a fitted model, and write its record without metrics yet, but with the names of those that are due.

    Raises:
        ZooError: they cannot be written to their place; they are then written elsewhere if possible.
    """
    try:
        return written(job, fitted, due)
    except (OSError, SafetensorError) as error:
        place = error.filename if isinstance(error, OSError) and error.filename is not None else job.model_path
        refuge: Path | None = None
        try:
            refuge = Path(tempfile.mkdtemp(prefix="zoo-"))
            written(replace(job, results=refuge, models=refuge / "models"), fitted, due)
        except (OSError, SafetensorError):
            if refuge is not None:
                shutil.rmtree(refuge, ignore_errors=True)
            raise ZooError(
                f"{place}: cannot be written ({reason(error)}), nor anything in the folder of temporary files: the fit "
                "is lost; make room, or choose other paths.results= and paths.models="
            ) from error
        raise ZooError(
            f"{place}: cannot be written ({reason(error)}); the fit is kept in {refuge}: make room, copy "
            f"{refuge / 'records'} to {job.results} and what is in {refuge / 'models'} to {job.models}, and run again"
        ) from error


def reason(error: Exception) -> str:
    """The reason of a failed file operation, without the path."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def written(job: Job, fitted: Fitted, due: Sequence[str]) -> Record:
    """A fitted model, written, and its record without metrics yet, which is written too."""
    fit = asdict(fitted.report) | {"peak_memory": fitted.peak_memory, "load": load()}
    if fitted.stacked > 1:
        fit["stacked"] = fitted.stacked
    if short := shortfall(fitted.model, fitted.data, bool(fitted.report.history)):
        fit["shortfall"] = short
    codes = kept_codes(fitted.model, fitted.data.train)
    save_model(job.model_path, fitted.model, job.config, fitted.data.form, job.seed, codes)
    record = Record(
        name=job.name,
        variant=job.variant,
        data=job.data,
        width=job.width,
        seed=job.seed,
        hash=job.key,
        config=job.config,
        code=job.code,
        fit=fit | {"history": rounded(fitted.report.history)},
        metrics={},
        images=strips(fitted.model, fitted.data, codes),
        environment=environment() | {DUE: [*due]},
        path=None if job.path is None else str(job.path),
        trust=list(job.trust),
        kind=fitted.data.kind,
        weights=weights_digest(job.model_path),
    )
    write_record(job.results, record)
    job.checkpoint_path.unlink(missing_ok=True)
    return record


def measured(job: Job, record: Record, model: Autoencoder, data: Splits, due: Sequence[str]) -> Record:
    """Measure metrics and add them to the record."""
    outside, siblings = outside_images(job.outliers, data, due, job.trust), siblings_of(job.model_path)
    given = (job.features, job.densities, job.trust, outside, siblings, job.judgements)
    with evaluation_bar(job.name, job.progress) as show:
        found = evaluate(model, data, due, record.fit, show, *given)
    record = record.measured(found, commit(), machine())
    try:
        write_record(job.results, record)
    except OSError as error:
        kept = f"the fit is kept in {job.model_path}, and the same command measures it again"
        raise ZooError(f"{job.record_path}: cannot be written ({reason(error)}); {kept}") from error
    return record


def read(job: Job) -> Splits:
    """The run's data, in memory."""
    data: Splits = job.make("data")
    _ = data.train
    return data


@torch.no_grad()
def strips(model: Autoencoder, data: Splits, codes: Tensor) -> dict[str, str]:
    """Test images, reconstructions and other pictures for figures; empty for images that are neither grey nor RGB.

    The images are the first of each class in turn, then the first of all; the noise is drawn with a fixed seed.

    Args:
        model: fitted.
        data: the data that it was fitted to.
        codes: of training images, (N, D), by which the atoms of a linear decoder are chosen.
    """
    if data.kind != "image" or data.shape[0] not in MODES:
        return {}
    labels = data.test.labels
    first = [int(torch.nonzero(labels == label)[0]) for label in sorted(set(labels.tolist()))]
    others = [index for index in range(min(len(labels), 2 * SHOWN)) if index not in first]
    first = [*first, *others][:SHOWN]
    x = data.test[torch.tensor(first)]
    images = {"original": x, "reconstruction": model.reconstruct(x)}
    seen, hidden = model.corruption(x, torch.Generator().manual_seed(0))
    if hidden is not None:
        images |= {"corrupted": seen, "restored": model.reconstruct(seen, hidden if model.corruption.masks else None)}
    if isinstance(model.bottleneck, HasPrior):
        images["samples"] = model.decode(model.bottleneck.sample(2 * SHOWN, torch.Generator().manual_seed(0)))
    planted = None if data.atoms is None else data.atoms[:ATOMS]
    if planted is not None:
        images["planted"] = as_strip(planted)
    if (atoms := atoms_of(model.decode, codes.shape[1])) is not None:
        found = most_used(atoms, codes) if planted is None else nearest_to(planted, atoms, codes)
        if len(found):
            images["atoms"] = as_strip(found)
    if data.factors:
        images["traversals"] = traversals(model, data.test, len(data.factors))
    return {name: encode_strip(batch) for name, batch in images.items()}


def most_used(atoms: Tensor, codes: Tensor) -> Tensor:
    """The 20 atoms that carry most of the variance of images, those of units in use: (M, C, H, W), M <= 20.

    The sign of an atom is arbitrary if its unit takes both signs; the largest entry is then made positive.

    Args:
        atoms: (D, C, H, W).
        codes: of training images: (N, D).
    """
    carried = atoms.flatten(1).norm(dim=1) * codes.std(0, correction=0)
    order = carried.argsort(descending=True, stable=True)[:ATOMS]
    order = order[carried[order] > 0]
    found, both = atoms[order].flatten(1), (codes[:, order] < 0).any(0) & (codes[:, order] > 0).any(0)
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    return torch.where(both[:, None], found * largest.sign(), found).view(-1, *atoms.shape[1:])


def nearest_to(planted: Tensor, atoms: Tensor, codes: Tensor) -> Tensor:
    """For each planted atom, the one of largest absolute cosine of units in use, with the sign of the cosine.

    Args:
        planted: (K, C, H, W).
        atoms: (D, C, H, W).
        codes: of training images: (N, D).

    Returns:
        Unit vectors (K, C, H, W); without any unit in use, (0, C, H, W).
    """
    used = directions(atoms.flatten(1) * (codes != 0).any(0)[:, None])
    if not len(used):
        return planted[:0]
    products = planted.flatten(1) @ used.T
    nearest = products.abs().argmax(1, keepdim=True)
    turned = torch.where(products.gather(1, nearest) < 0, -1.0, 1.0)
    return (used[nearest[:, 0]] * turned).view_as(planted)


def as_strip(atoms: Tensor) -> Tensor:
    """Atoms (M, C, H, W), each to its own scale, as images: 0 is 1/2, and the largest absolute value 0 or 1."""
    return 0.5 + 0.5 * atoms / atoms.abs().flatten(1).amax(1)[:, None, None, None]


def traversals(model: Autoencoder, test: Images, units: int) -> Tensor:
    """The decoded code of the first test image as one unit moves, for the units that change the image most.

    In six equal steps from the 2.5 % to the 97.5 % quantile of the unit over 1,000 test codes, unit by unit:
    (6 * units, C, H, W), fewer where the code has fewer units.
    """
    z = torch.cat([model.encode(x) for x in test.spaced(CODES).batches(CODES)])
    low, high = z.quantile(z.new_tensor([0.025, 0.975]), 0)
    share = torch.linspace(0, 1, STEPS)
    moves = []
    for unit in range(z.shape[1]):
        codes = z[:1].repeat(STEPS, 1)
        codes[:, unit] = low[unit] + share * (high[unit] - low[unit])
        moves.append(codes)
    changes = torch.stack([model.decode(codes).var(0).sum() for codes in moves])
    chosen = changes.topk(min(units, len(moves))).indices.tolist()
    return model.decode(torch.cat([moves[unit] for unit in chosen]))


def load() -> float | None:
    """Processes per core that ran or waited in the last minute; None where the system does not say it (Windows)."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):
        return None


def rounded(history: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Six significant digits: as many as a curve can show."""
    return {name: [float(f"{value:.6g}") for value in values] for name, values in history.items()}


def environment() -> dict[str, Any]:
    """Package versions, git commit of the zoo's checkout, machine, and the time of the run."""
    return {
        "versions": versions(),
        "git": commit(),
        "machine": machine(),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def machine() -> dict[str, Any]:
    """What computes here."""
    return {
        "system": platform.system(),
        "processor": processor(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
    }


def commit() -> str | None:
    """The commit of the zoo's checkout; None for an installed package, or without git."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:
        return None


def processor() -> str:
    """The processor's name where the system says it (Linux), else its architecture."""
    try:
        about = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in about.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe(job: Job, record: Record) -> None:
    """Print the metrics and the paths of the files."""
    show_metrics(record, job.due(None))
    print(f"record  {job.record_path}")
    print(f"model   {job.model_path}" + ("" if job.model_path.exists() else " (not on this machine)"))
    if short := record.fit.get("shortfall"):
        print(f"warning {short}")


def show_metrics(record: Record, names: Sequence[str]) -> None:
    """Print values of metrics, one a line in 80 columns; then which raised an error, and why.

    A mean over test samples is followed by its 95 % interval, and "n/a" by the reason.
    """
    entries = {name: record.metrics[name] for name in names if name in record.metrics}
    width = max(map(len, entries), default=0)
    for name, entry in entries.items():
        if entry["value"] is None:
            about = [entry.get("reason") or ""]
        else:
            interval = " to ".join(f"{end:.4g}" for end in entry.get("interval") or ())
            about = [f"({interval})" if interval else "", "" if entry["unit"] == "1" else entry["unit"]]
        value = "n/a" if entry["value"] is None else f"{entry['value']:.6g}"
        text = "  ".join([f"  {name:<{width}} {value:>12}", *filter(None, about)])
        print(textwrap.fill(text, COLUMNS, subsequent_indent=" " * (width + 17)))
    for name, entry in entries.items():
        if entry.get("failed"):
            print(f"failed  {name}: {entry['reason']}")


def failed(record: Record) -> list[str]:
    """The metrics that raised an error."""
    return [name for name, entry in record.metrics.items() if entry.get("failed")]
