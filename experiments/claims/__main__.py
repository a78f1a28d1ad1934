"""Test claims: `python -m experiments.claims linear` is `zoo claims linear`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.claims import NAMES, claim_of
from experiments.claims.claim import Claim
from experiments.claims.lab import Lab, fit_all
from zoo.errors import ZooError
from zoo.files import check_writable, home

SETTINGS = ("data", "paths.results", "processes")


@dataclass(frozen=True)
class Asked:
    """What the words of a command ask for.

    Attributes:
        names: of the claims.
        data: data set of a reduced version, for that of each claim; None for the full ones.
        folder: where files are written.
        processes: that fit models; None for as many as there are cores.
    """

    names: tuple[str, ...]
    data: str | None
    folder: Path
    processes: int | None

    @classmethod
    def of(cls, words: Sequence[str]) -> Asked:
        """From the words of the command line: names of claims, and settings.

        Raises:
            ZooError: no such claim or setting, or a value that it does not take.
        """
        given = dict(word.split("=", 1) for word in words if "=" in word)
        if unknown := [key for key in given if key not in SETTINGS]:
            raise ZooError(f"zoo claims {unknown[0]}=: no such setting; there are {', '.join(SETTINGS)}")
        count = given.get("processes")
        if count is not None and (not count.isdecimal() or int(count) < 1):
            raise ZooError(f"processes={count}: must be a whole number, 1 or more")
        names = tuple(word for word in words if "=" not in word) or NAMES
        reduced = list(dict.fromkeys(claim_of(name).reduced for name in names))
        if (data := given.get("data")) not in (None, *reduced):
            raise ZooError(f"data={data}: the reduced version is data={' or '.join(reduced)}; or leave it out")
        results = Path(given.get("paths.results") or home() / "outputs")
        return cls(names, data, results / "claims", None if count is None else int(count))

    def sets(self, claim: Claim) -> tuple[str, ...]:
        """The data sets that a claim is tested on."""
        return claim.data if self.data is None else (claim.reduced,)


def run_claims(words: Sequence[str]) -> None:
    """Fit the models of claims, then test the claims and write what is found.

    Raises:
        ZooError: a mistake in the words, or a fit that failed.
    """
    from experiments.claims.page import write_page

    asked = Asked.of(words)
    check_writable("paths.results", asked.folder)
    labs = {name: labs_of(name, asked) for name in asked.names}
    fit_all((lab for each in labs.values() for lab in each.values()), asked.processes)
    for known in tested(labs, asked):
        write_page(asked.folder)
        said = f"{known['verdict']['text']}. {known['verdict']['answer']}".rstrip()
        print(f"{known['name']}: {known['title']}\n  {said}", flush=True)
    print(asked.folder / "README.md")


def labs_of(name: str, asked: Asked) -> dict[str, Lab]:
    """The lab of a claim on each data set."""
    claim = claim_of(name)
    return {data: Lab.of(claim, data, asked.data is None) for data in asked.sets(claim)}


def tested(labs: Mapping[str, dict[str, Lab]], asked: Asked) -> Iterator[dict[str, Any]]:
    """What the files of claims hold, claim by claim; several processes test one each."""
    import joblib

    from zoo.runs.engines import Local

    if asked.processes == 1 or len(labs) == 1:
        yield from (tested_alone(name, each, asked.folder) for name, each in labs.items())
        return
    with Local(asked.processes).workers(len(labs), 1, False) as workers, joblib.parallel_config(**workers.backend):
        pool = joblib.Parallel(workers.at_once, return_as="generator", batch_size=1)
        yield from pool(joblib.delayed(tested_alone)(name, each, asked.folder) for name, each in labs.items())


def tested_alone(name: str, labs: Mapping[str, Lab], folder: Path) -> dict[str, Any]:
    """Test a claim whose models are fitted, on one thread, and write its file and its figure."""
    import torch

    from experiments.claims.page import publish

    torch.set_num_threads(1)
    claim = claim_of(name)
    with torch.no_grad():
        found = {data: claim.measure(lab) for data, lab in labs.items()}
    return publish(name, claim, labs, found, folder)


if __name__ == "__main__":
    try:
        run_claims(sys.argv[1:])
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
