"""What a tested claim leaves: a JSON file, a picture, and its part of the README of all claims."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from inspect import cleandoc
from pathlib import Path
from typing import Any

from experiments.claims import NAMES
from experiments.claims.claim import Claim, Found, Number, verdict
from experiments.claims.lab import Lab
from zoo.files import write_atomically
from zoo.report.figures.style import save, styled
from zoo.runs.versions import versions

DIGITS = 6  # of a number in a file
ANSWERS = {True: "true", False: "false", None: "undecided"}
HEAD = """# Claims from courses, tested

What courses say about bottlenecks: each claim as an experiment with a verdict. `zoo claims paths.results=results` tests
them and writes this page from the JSON files beside it; `zoo claims <name>` tests one. Numbers stand with their 95 %
intervals, over the seeds of the fits and over test images (of faces, over people); a part of a claim is undecided where
the interval includes its bound.
"""


def publish(
    name: str, claim: Claim, labs: Mapping[str, Lab], found: Mapping[str, Found], folder: Path
) -> dict[str, Any]:
    """Write the figure and the JSON file of a tested claim; return what the file holds."""
    save(styled(claim.draw)(found), folder / f"{name}.png")
    known = content(name, claim, labs, found)
    write_atomically(folder / f"{name}.json", (json.dumps(known, indent=1) + "\n").encode())
    return known


def write_page(folder: Path) -> None:
    """Write the README of a folder."""
    write_atomically(folder / "README.md", page(folder).encode())


def content(name: str, claim: Claim, labs: Mapping[str, Lab], found: Mapping[str, Found]) -> dict[str, Any]:
    """All that is known of a tested claim, as plain data; numbers to six digits."""
    numbers = {data: {key: rounded(one) for key, one in each.numbers.items()} for data, each in found.items()}
    cases = {data: claim.cases(each) for data, each in numbers.items()}
    return {
        "name": name,
        **texts(claim),
        "verdict": asdict(verdict(cases, claim.answers)),
        "cases": {data: [asdict(case) for case in each] for data, each in cases.items()},
        "numbers": {data: {key: asdict(one) for key, one in each.items()} for data, each in numbers.items()},
        "figure": f"{name}.png",
        "fits": {data: {key: fit(lab, key) for key in lab.jobs} for data, lab in labs.items()},
        "versions": versions(),
    }


def texts(claim: Claim) -> dict[str, str]:
    """The texts of a claim, paragraphs as single lines."""
    found = {"title": claim.title, "claim": claim.claim, "why": claim.why, "done": claim.done, "fails": claim.fails}
    return {key: " ".join(text.split()) for key, text in found.items()} | {"equation": cleandoc(claim.equation)}


def rounded(number: Number) -> Number:
    """A number to six digits."""
    value, low, high = (
        None if x is None else float(f"{x:.{DIGITS}g}") for x in (number.value, number.low, number.high)
    )
    assert value is not None
    return Number(value, low, high, number.unit)


def fit(lab: Lab, name: str) -> dict[str, Any]:
    """How a model was fitted: the command that fits it again, and the number of seeds."""
    return {"command": " ".join(["zoo", "run", *lab.overrides[name]]), "seeds": len(lab.jobs[name])}


def numbers_of(known: Mapping[str, Any]) -> dict[str, dict[str, Number]]:
    """The numbers of a claim's JSON file, by data set."""
    return {data: {key: Number(**one) for key, one in each.items()} for data, each in known["numbers"].items()}


def page(folder: Path) -> str:
    """The README of a folder: what its JSON files hold."""
    paths = [path for name in NAMES if (path := folder / f"{name}.json").is_file()]
    every = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    rows = [
        f"| [{one['title']}](#{slug(one['title'])}) | {one['verdict']['text']} | {one['verdict']['answer']} |"
        for one in every
    ]
    table = ["| claim | verdict | in words |", "| --- | --- | --- |", *rows]
    return "\n".join([HEAD, *table, "", *(section(one) for one in every)])


def slug(heading: str) -> str:
    """The anchor that GitHub and MyST give a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def with_unit(number: Number) -> str:
    """A number with its interval and its unit."""
    return f"{number} {number.unit}".rstrip()


def section(known: Mapping[str, Any]) -> str:
    """One claim."""
    return "\n".join(
        [
            f"## {known['title']}",
            "",
            f"Verdict: **{known['verdict']['text']}**. {known['verdict']['answer']}".rstrip(),
            "",
            f"**The claim.** {known['claim']}",
            "",
            f"**Why one would believe it.** {known['why']}",
            "",
            *(f"    {line}".rstrip() for line in known["equation"].splitlines()),
            "",
            f"**What was done.** {known['done']}",
            "",
            f"![{known['title']}]({known['figure']})",
            "",
            *case_table(known, "part of the claim", beside=False),
            "",
            *case_table(known, "beside the claim", beside=True),
            "",
            *number_table(numbers_of(known)),
            "",
            f"**When it fails.** {known['fails']}",
            "",
            *fit_list(known["fits"]),
            "",
        ]
    )


def case_table(known: Mapping[str, Any], head: str, beside: bool) -> list[str]:
    """The cases that are parts of a claim, or those beside it, and the numbers that decide them; empty without any."""
    several, numbers = len(known["cases"]) > 1, numbers_of(known)
    rows = [
        f"| {case['part']}{f' ({data})' if several else ''} | {ANSWERS[case['holds']]} | "
        f"{case['rule']} | {case['number']}: {with_unit(numbers[data][case['number']])} |"
        for data, cases in known["cases"].items()
        for case in cases
        if case["beside"] is beside
    ]
    return [f"| {head} | result | true if | measured |", "| --- | --- | --- | --- |", *rows] if rows else []


def number_table(numbers: Mapping[str, Mapping[str, Number]]) -> list[str]:
    """All numbers of a claim, a column for each data set."""
    names = list(dict.fromkeys(name for each in numbers.values() for name in each))
    rows = [
        f"| {name} | " + " | ".join(with_unit(each[name]) if name in each else "" for each in numbers.values()) + " |"
        for name in names
    ]
    return [f"| number | {' | '.join(numbers)} |", "| --- |" + " --- |" * len(numbers), *rows]


def fit_list(fits: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """The commands that fit the models of a claim."""
    lines = [
        f"- {name} ({data}, {one['seeds']} seed{'s' * (one['seeds'] > 1)}): `{one['command']}`"
        for data, each in fits.items()
        for name, one in each.items()
    ]
    return ["Models:", "", *lines] if lines else []
