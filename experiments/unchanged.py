"""Carry records over a change of code that changes no number: `python -m experiments.unchanged COMMIT`.

A record is stale where code that its parts come from has changed, whatever the change did. This fits every method of
every study that has records once at COMMIT and once as the code is now, for one epoch and one seed, on one machine.
Where all weights and losses are equal bit for bit, the records name the code as it is now, and remember the earlier
code and COMMIT under `environment: same_code`. All others stay stale. Nothing is changed if one fit differs, but with
`--equal-only`, which carries over the records of those methods that are equal.

Limitations: one epoch, one seed and one machine; what happens in later epochs alone, such as early stopping, is not
tested, nor what other sizes of data would reach.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from zoo.errors import ZooError
from zoo.options import names
from zoo.runs.compose import composed, composing
from zoo.runs.grid import jobs_of
from zoo.runs.identity import code_digest
from zoo.runs.job import Job
from zoo.runs.records import Record, read_record, write_record
from zoo.runs.single import fit_one, read

ROOT = Path(__file__).parents[1]
SAME = "same_code"


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare all fits of two versions of the code, and carry records over."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("commit", help="at which the records are not stale")
    parser.add_argument("--results", type=Path, action="append", help="folders of records; default: results")
    parser.add_argument("--study", action="append", help="default: all")
    parser.add_argument("--equal-only", action="store_true", help="carry over those that are equal, if others differ")
    parser.add_argument("--fits-to", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="of all runs, such as paths.data=...")
    said = parser.parse_intermixed_args(arguments)
    folders = [folder.resolve() for folder in said.results or [ROOT / "results"]]
    studies = said.study or names("study")
    if said.fits_to is not None:
        wanted = json.loads(said.fits_to.read_text()) if said.fits_to.exists() else None
        said.fits_to.write_text(json.dumps(fits(studies, folders, said.overrides, wanted)))
        return
    before, after = both(said.commit, studies, folders, said.overrides)
    differing = sorted(f"{old['name']} on {old['data']}" for key, old in before.items() if after[key] != old["model"])
    print(f"{len(before)} fits at {said.commit} and now: {len(before) - len(differing)} are equal bit for bit")
    if differing:
        print("different: " + "; ".join(differing))
        if not said.equal_only:
            raise ZooError("no record is changed; --equal-only carries over those of methods that are equal")
    equal = {key: old["code"] for key, old in before.items() if after[key] == old["model"]}
    print(f"{sum(carried(folder, equal, said.commit) for folder in folders)} records carried over")


def both(
    commit: str, studies: Sequence[str], folders: Sequence[Path], overrides: Sequence[str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """What `fits` returns at a commit, and the digests of the same fits' models as the code is now."""
    with TemporaryDirectory() as place:
        tree, told = Path(place) / "tree", Path(place) / "fits.json"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], cwd=ROOT, check=True)
        try:
            before = in_tree(tree, told, commit, studies, folders, overrides)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", tree], cwd=ROOT, check=True)
        told.write_text(json.dumps(list(before)))
        after = in_tree(ROOT, told, commit, studies, folders, overrides)
    return before, {key: after.get(key, {}).get("model", "") for key in before}


def in_tree(tree: Path, told: Path, *said: Any) -> dict[str, dict[str, str]]:
    """What `fits` returns with the code below `tree`."""
    commit, studies, folders, overrides = said
    chosen = [f"--study={study}" for study in studies if (tree / f"conf/study/{study}.yaml").exists()]
    where = [f"--results={folder}" for folder in folders]
    command = [sys.executable, __file__, commit, *chosen, *where, f"--fits-to={told}", *overrides]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    subprocess.run(command, cwd=tree, env=environment, check=True)
    found: dict[str, dict[str, str]] = json.loads(told.read_text())
    return found


def fits(
    studies: Sequence[str], folders: Sequence[Path], overrides: Sequence[str], wanted: Sequence[str] | None
) -> dict[str, dict[str, str]]:
    """One epoch of each configuration of studies, by its key: name, data, digests of the code and of the fitted model.

    Args:
        studies: their names.
        folders: of records.
        overrides: of all runs.
        wanted: keys; None for those of which a folder has a record that is not stale.
    """
    found: dict[str, dict[str, str]] = {}
    for study in studies:
        for job in first_of_each(study, overrides):
            if job.key in found or job.key not in (wanted if wanted is not None else [*fresh(job, folders)]):
                continue
            print(f"{study}: {job.name}", flush=True)
            found[job.key] = {"name": job.name, "data": job.data, "code": job.code, "model": one_epoch(job)}
    return found


def first_of_each(study: str, overrides: Sequence[str]) -> Iterator[Job]:
    """The runs of a study, one of each configuration."""
    with composing((f"study={study}", *overrides)) as given:
        table, figures = jobs_of(composed("config", given))
    yield from {job.key: job for job in reversed([*table, *figures])}.values()


def fresh(job: Job, folders: Sequence[Path]) -> Iterator[str]:
    """The job's key, if there is a record of its configuration with any seed that is not stale."""
    for folder in folders:
        for path in replace(job, results=folder).record_path.parent.glob(f"{job.key}-s*.json"):
            if read_record(path).code == job.code:
                yield job.key


def one_epoch(job: Job) -> str:
    """Digest of weights and losses after one epoch; of the error, if the fit fails."""
    fit = job.axes["fit"]
    short = replace(
        job, axes=job.axes | {"fit": fit | ({"epochs": 1} if "epochs" in fit else {})}, checkpoint_seconds=None
    )
    try:
        fitted = fit_one(short, read(short))
    except ZooError as error:
        return f"failed: {error}"
    whole = hashlib.sha256(json.dumps(fitted.report.history).encode())
    for name, values in sorted(fitted.model.state_dict().items()):
        whole.update(name.encode() + values.contiguous().numpy().tobytes())
    return whole.hexdigest()


def carried(folder: Path, equal: Mapping[str, str], commit: str) -> int:
    """Let records of configurations whose fits are equal name the code as it is now; their number.

    Args:
        folder: of records.
        equal: digest of the code at the commit by key of configurations.
        commit: at which the fits were compared.
    """
    count = 0
    for path in sorted((folder / "records").glob("*/*/*.json")):
        record = read_record(path)
        if equal.get(record.hash) == record.code and (now := code_of(record)) != record.code:
            earlier = record.environment.get(SAME, {}) | {record.code: commit}
            write_record(folder, replace(record, code=now, environment=record.environment | {SAME: earlier}))
            count += 1
    return count


def code_of(record: Record) -> str:
    """Digest of the code that a record's parts come from, as it is now."""
    return code_digest(record.config, tuple(record.trust))


if __name__ == "__main__":
    try:
        main()
    except ZooError as error:
        sys.exit(f"error: {error}")
