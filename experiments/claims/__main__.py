"""Test claims: `python -m experiments.claims linear` is `zoo claims linear`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.claims import NAMES, claim_of
from experiments.claims.claim import Claim
from experiments.claims.lab import Lab, fit_all
from zoo.errors import ZooError
from zoo.files import home

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
    """Fit the models of claims, then test one claim after the other and write what is found.

    Raises:
        ZooError: a mistake in the words, or a fit that failed.
    """
    import torch

    from experiments.claims.page import publish

    asked = Asked.of(words)
    claims = {name: claim_of(name) for name in dict.fromkeys(asked.names)}
    labs = {
        name: {data: Lab.of(claim, data, asked.data is None) for data in asked.sets(claim)}
        for name, claim in claims.items()
    }
    fit_all((lab for each in labs.values() for lab in each.values()), asked.processes)
    torch.set_num_threads(1)
    for name, claim in claims.items():
        with torch.no_grad():
            found = {data: claim.measure(lab) for data, lab in labs[name].items()}
        known = publish(name, claim, labs[name], found, asked.folder)
        print(f"{name}: {known['title']}\n  {known['verdict']['text']}", flush=True)
    print(asked.folder / "README.md")


if __name__ == "__main__":
    try:
        run_claims(sys.argv[1:])
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
