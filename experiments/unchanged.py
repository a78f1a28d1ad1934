"""Carry records over a change of code that changes no number: `python -m experiments.unchanged COMMIT`.

A record is stale where code that its parts come from has changed, whatever the change did. This fits each method of
each study once with the code of COMMIT and once as the code is now, committed or not: for one epoch, with one seed, on
this machine. If data, losses, weights, codes and reconstructions are equal bit for bit, the records name the code as it
is now, and remember the earlier code and COMMIT under `environment: same_code`. If one fit differs or fails, no record
is changed, unless `--equal-only` is given. `--images 2000` takes so many training images of each data set: minutes
instead of an hour, for changes that every step of a fit goes through.

Limitations: what happens in later epochs alone, such as early stopping, or with other seeds is not compared, nor are
metrics, which have versions of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from experiments.speed.arms import load
from experiments.speed.parts import whole
from zoo.errors import ZooError, nearest
from zoo.files import locked
from zoo.options import names
from zoo.runs.compose import composed, composing
from zoo.runs.grid import jobs_of
from zoo.runs.job import Job
from zoo.runs.records import Record, lock_of, read_record, write_record
from zoo.runs.single import fit_one, read

ROOT = Path(__file__).parents[1]
SAME = "same_code"
COMPARED = 512  # test samples of which codes and reconstructions are compared
FAILED = "failed: "

Fits = dict[str, dict[str, str]]  # {key of a configuration: {"name", "code", "outcome"}}, see `fits`


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare all fits of two versions of the code, and carry records over."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("commit", help="at which the records are not stale")
    parser.add_argument("--results", type=Path, action="append", help="a folder of records (default: results)")
    parser.add_argument("--study", action="append", help="a study (default: all of them)")
    parser.add_argument("--equal-only", action="store_true", help="carry over those that are equal, if others differ")
    parser.add_argument("--images", type=int, help="training images of each fit (default: all)")
    parser.add_argument("--fits-to", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="of all runs, such as paths.data=...")
    said = parser.parse_intermixed_args(arguments)
    known, folders = names("study"), said.results or [Path("results")]
    if said.fits_to is not None:  # one of the two versions, see `with_code_of`
        wanted = json.loads(said.fits_to.read_text()) if said.fits_to.exists() else None
        found = fits([study for study in said.study if study in known], folders, said.overrides, wanted, said.images)
        said.fits_to.write_text(json.dumps(found))
        return
    for study in said.study or ():
        if study not in known:
            raise ZooError(f"--study {study}: no such study{nearest(study, known)}")
    commit = digest_of(said.commit)
    options = [f"--study={study}" for study in said.study or known] + [f"--results={folder}" for folder in folders]
    if said.images is not None:
        options.append(f"--images={said.images}")
    before, after = both(commit, [*options, *said.overrides])
    equal = [key for key, fit in before.items() if same(fit["outcome"], after[key]["outcome"])]
    print(f"{len(before)} fits at {commit} and now: {len(equal)} are equal bit for bit")
    for key in sorted(before.keys() - equal):
        reasons = {fit["outcome"] for fit in (before[key], after[key]) if fit["outcome"].startswith(FAILED)}
        print(": ".join([f"not equal: {before[key]['name']}", *sorted(reasons)]))
    if len(equal) < len(before) and not said.equal_only:
        raise ZooError("no record is changed; --equal-only carries over those of methods that are equal")
    codes = {key: (before[key]["code"], after[key]["code"]) for key in equal}
    print(f"{sum(carried(folder, codes, commit) for folder in folders)} records carried over")


def digest_of(commit: str) -> str:
    """A commit by ten digits; ZooError where it does not exist."""
    command = ["git", "rev-parse", "--verify", "--quiet", "--short=10", f"{commit}^{{commit}}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        raise ZooError(f"{commit}: no such commit of {ROOT}")
    return found.stdout.strip()


def same(before: str, after: str) -> bool:
    """Whether two outcomes are equal, and those of fits that did not fail."""
    return before == after and not before.startswith(FAILED)


def both(commit: str, said: Sequence[str]) -> tuple[Fits, Fits]:
    """What `fits` returns with the code of a commit, and of the same configurations with the code as it is now.

    Args:
        commit: at which the records are not stale.
        said: the command line's options and overrides.
    """
    with TemporaryDirectory() as place:
        tree, told = Path(place) / "tree", Path(place) / "fits.json"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
        try:
            before = with_code_of(tree, told, [commit, *said])
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
        if not before:
            raise ZooError(f"no record of these studies is of the code of {commit}")
        told.write_text(json.dumps(list(before)))
        return before, with_code_of(ROOT, told, [commit, *said])


def with_code_of(tree: Path, told: Path, said: Sequence[str]) -> Fits:
    """What `fits` returns with the code below `tree`, through the file `told`, in a process of its own."""
    command = [sys.executable, __file__, *said, f"--fits-to={told}"]
    if subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tree)}).returncode:
        raise ZooError(f"the fits with the code of {tree} ended early, see above")
    found: Fits = json.loads(told.read_text())
    return found


def fits(
    studies: Iterable[str],
    folders: Sequence[Path],
    overrides: Sequence[str],
    wanted: Sequence[str] | None,
    images: int | None,
) -> Fits:
    """One epoch of each configuration of studies, by its key: name, digest of the code, and outcome.

    Args:
        studies: their names.
        folders: of records.
        overrides: of all runs.
        wanted: keys; None for those of which a folder has a record that is not stale.
        images: training images of each fit; None for all.
    """
    found: Fits = {}
    for study in studies:
        for job in first_of_each(study, overrides):
            if job.key not in found and (has_record(job, folders) if wanted is None else job.key in wanted):
                print(f"{study}: {job.name}", flush=True)
                found[job.key] = {
                    "name": f"{job.name} on {job.data}",
                    "code": job.code,
                    "outcome": outcome(job, images),
                }
    return found


def first_of_each(study: str, overrides: Sequence[str]) -> Iterator[Job]:
    """The runs of a study, one of each configuration."""
    with composing((f"study={study}", *overrides)) as given:
        table, figures = jobs_of(composed("config", given))
    yield from {job.key: job for job in reversed([*table, *figures])}.values()


def has_record(job: Job, folders: Sequence[Path]) -> bool:
    """Whether a folder has a record of the job's configuration, with any seed, that is of the same code."""
    paths = (
        path
        for folder in folders
        for path in replace(job, results=folder).record_path.parent.glob(f"{job.key}-s*.json")
    )
    return any(is_of(read_record(path), job.code) for path in paths)


def is_of(record: Record, code: str) -> bool:
    """Whether a record is of some code, or was carried over from it."""
    return code == record.code or code in record.environment.get(SAME, {})


def outcome(job: Job, images: int | None = None) -> str:
    """Digest of data, losses, weights, codes and reconstructions after one epoch; "failed: ..." if the fit fails.

    Args:
        job: the run.
        images: training images; None for all.
    """
    fit = job.axes["fit"]
    short = {"fit": fit | ({"epochs": 1} if "epochs" in fit else {})}
    job = replace(job, axes=job.axes | short, checkpoint_seconds=None)
    try:
        data = read(job) if images is None else load(job, min(images, whole(job)))
        fitted = fit_one(job, data)
    except ZooError as error:
        return f"{FAILED}{error}"
    digest = hashlib.sha256(json.dumps(fitted.report.history).encode())
    for part in (data.train, data.validation, data.test):
        digest.update(part.digest().encode())
    with torch.no_grad():
        codes = fitted.model.encode(data.test[:COMPARED])
        results = {"codes": codes, "reconstructions": fitted.model.decode(codes)}
    for name, values in sorted((fitted.model.state_dict() | results).items()):
        digest.update(name.encode() + values.contiguous().numpy().tobytes())
    return digest.hexdigest()


def carried(folder: Path, codes: Mapping[str, tuple[str, str]], commit: str) -> int:
    """Let records of configurations whose fits are equal name the code as it is now; their number.

    Args:
        folder: of records.
        codes: digests of the code at the commit and of the code as it is now, by key of the configuration.
        commit: at which the fits were compared.
    """
    count = 0
    for path in sorted((folder / "records").glob("*/*/*.json")):
        with locked(lock_of(path)):  # keep metrics that others have added meanwhile
            record = read_record(path)
            if record.hash not in codes:
                continue
            before, now = codes[record.hash]
            if is_of(record, before) and record.code != now:
                earlier = record.environment.get(SAME, {}) | {before: commit}
                write_record(folder, replace(record, code=now, environment=record.environment | {SAME: earlier}))
                count += 1
    return count


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the tree of the commit is removed
    try:
        main()
    except ZooError as error:
        sys.exit(f"error: {error}")
